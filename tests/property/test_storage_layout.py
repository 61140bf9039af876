"""After any changes by users each detector is in exactly one place, and no row refers to a missing one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from countingroom.core.configurations import covers
from countingroom.core.errors import RequestError
from countingroom.storage.database import Database
from tests.examples import examples
from tests.scenario.experiment import AtOnce

T = TypeVar("T")
detectors = st.sampled_from(["STS", "MVD", "TRD"])
partitions = st.sampled_from(["A", "B"])
systems = st.sampled_from(["STS", "MVD", "TRD", "TFC"])
names = st.sampled_from(["x", "y"])
people = st.sampled_from(["anna", "ben"])


class Layout(RuleBasedStateMachine):
    """The database beside a model of a few dictionaries. What the model forbids is refused and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = Database("sqlite://")
        store: Any = vars(self.database)["_store"]
        store._writer = store._reader = AtOnce()
        self.places: dict[str, str] = {}
        self.partitions: set[str] = set()
        self.configurations: dict[tuple[str, str], int] = {}
        self.revisions: dict[tuple[str, str], int] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.wanted: dict[str, dict[str, str]] = {}
        self.moves = 0

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def attempt(self, allowed: bool, work: Coroutine[Any, Any, object]) -> bool:
        try:
            self.do(work)
        except RequestError as refused:
            assert not allowed, refused.cause
            assert refused.cause.suggestion
            return False
        assert allowed
        return True

    @initialize()
    def open(self) -> None:
        self.do(self.database.open())

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()

    @rule(name=partitions, by=people)
    def create_partition(self, name: str, by: str) -> None:
        if self.attempt(name not in self.partitions, self.database.partitions.create(name, "cbm", "", by)):
            self.partitions.add(name)
            self.wanted[name] = {}

    @rule(name=partitions, by=people, force=st.booleans())
    def delete_partition(self, name: str, by: str, force: bool) -> None:
        inside = [one for one, at in self.places.items() if at == name]
        allowed = name in self.partitions and (force or not inside)
        if self.attempt(allowed, self.database.partitions.delete(name, by, force=force)):
            self.partitions.remove(name)
            del self.wanted[name]
            self.places.update(dict.fromkeys(inside, ""))
            self.moves += len(inside)

    @rule(name=detectors, by=people)
    def create_detector(self, name: str, by: str) -> None:
        if self.attempt(name not in self.places, self.database.mapping.create(name, by)):
            self.places[name] = ""

    @rule(name=detectors, by=people)
    def delete_detector(self, name: str, by: str) -> None:
        selected = any(name in chosen for chosen in self.wanted.values())
        allowed = self.places.get(name) == "" and not selected
        if self.attempt(allowed, self.database.mapping.delete(name, by)):
            del self.places[name]
            self.configurations = {key: at for key, at in self.configurations.items() if key[0] != name}
            self.tags = {tag: chosen for tag, chosen in self.tags.items() if name not in chosen}

    @rule(moves=st.dictionaries(detectors, st.sampled_from(["", "A", "B"]), max_size=3), by=people)
    def move(self, moves: dict[str, str], by: str) -> None:
        allowed = set(moves) <= set(self.places) and {to for to in moves.values() if to} <= self.partitions
        if self.attempt(allowed, self.database.mapping.move(moves, by)):
            for name, to in moves.items():
                if self.places[name] != to:
                    self.moves += 1
                    self.wanted.get(self.places[name], {}).pop(name, None)
                    self.places[name] = to

    @rule(system=systems, tag=names, value=st.integers(0, 2), by=people)
    def save_configuration(self, system: str, tag: str, value: int, by: str) -> None:
        self.attempt(True, self.database.configurations.save(system, tag, {"v": value}, by))
        if self.configurations.get((system, tag)) != value:
            self.configurations[system, tag] = value
            self.revisions[system, tag] = self.revisions.get((system, tag), 0) + 1

    @rule(system=systems, tag=names, by=people, with_tags=st.booleans())
    def delete_configuration(self, system: str, tag: str, by: str, with_tags: bool) -> None:
        held = [name for name, chosen in self.tags.items() if chosen.get(system) == tag]
        selected = any(chosen.get(system) == tag for chosen in self.wanted.values())
        allowed = (system, tag) in self.configurations and not selected and (with_tags or not held)
        if self.attempt(allowed, self.database.configurations.delete(system, tag, by, with_tags=with_tags)):
            del self.configurations[system, tag]
            for name in held:
                del self.tags[name]

    @rule(name=names, chosen=st.dictionaries(systems, names), by=people)
    def save_tag(self, name: str, chosen: dict[str, str], by: str) -> None:
        if self.attempt(set(chosen.items()) <= set(self.configurations), self.database.tags.save(name, chosen, by)):
            self.tags[name] = chosen

    @rule(name=names, by=people)
    def delete_tag(self, name: str, by: str) -> None:
        if self.attempt(name in self.tags, self.database.tags.delete(name, by)):
            del self.tags[name]

    @rule(name=partitions, chosen=st.dictionaries(systems, names), by=people)
    def select(self, name: str, chosen: dict[str, str], by: str) -> None:
        allowed = name in self.partitions and set(chosen.items()) <= set(self.configurations)
        if self.attempt(allowed, self.database.partitions.select(name, "custom", chosen, by)):
            self.wanted[name] = dict(chosen)

    @invariant()
    def every_detector_is_in_exactly_one_place(self) -> None:
        assert self.do(self.database.mapping.all()) == self.places
        inside = [one for kept in self.do(self.database.partitions.list()) for one in kept.detectors]
        assert sorted(inside) == sorted(name for name, at in self.places.items() if at)

    @invariant()
    def tags_and_selections_name_what_is_there(self) -> None:
        kept = {(one.system, one.tag): one for one in self.do(self.database.configurations.list())}
        assert {key: one.parameters["v"] for key, one in kept.items()} == self.configurations
        tags = self.do(self.database.tags.list())
        assert {one.name: one.systems for one in tags} == self.tags
        for name, chosen in self.wanted.items():
            wanted = self.do(self.database.partitions.wanted(name)).systems
            assert wanted == {system: kept[system, tag] for system, tag in chosen.items()}
        offered = {one.name for one in self.do(self.database.tags.covering(["TFC", "STS"]))}
        assert offered == {name for name, chosen in self.tags.items() if covers(chosen, ["TFC", "STS"])}

    @invariant()
    def every_change_is_written_down(self) -> None:
        moved = [one for one in self.do(self.database.mapping.history(limit=10_000)) if one.what == "move"]
        assert len(moved) == self.moves
        for (system, tag), saved in self.revisions.items():
            history = self.do(self.database.configurations.history(system, tag, limit=10_000))
            assert sum(not one.deleted for one in history) == saved
            assert sorted(one.revision for one in history) == list(range(1, len(history) + 1))


Layout.TestCase.settings = settings(max_examples=examples(25, part=2), stateful_step_count=25, deadline=None)
TestLayout = Layout.TestCase

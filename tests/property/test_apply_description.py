"""However description and database changed: what was applied once is applied, and a second time changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from countingroom.core.apply_description.compare import Choices, Side
from countingroom.core.configurations import ConfigurationSet
from countingroom.core.errors import Conflict, CountingRoomError, NotFound
from countingroom.core.placement import Renames, Seed, SeedPartition
from countingroom.storage.columns import metadata
from countingroom.storage.database import Database
from tests.examples import examples
from tests.scenario.experiment import AtOnce

SYSTEMS, TAGS, PARTITIONS = ("STS", "TFC"), ("x", "y", "z"), ("A", "B")
parameters = st.fixed_dictionaries({}, optional={"t": st.sampled_from([1, 1.0, True, 2])})
renames = st.dictionaries(st.sampled_from(TAGS), st.sampled_from(TAGS), max_size=2)


@st.composite
def descriptions(draw: st.DrawFn) -> Seed:
    """A description without mistakes: tags name configurations, and `was` names nothing that is still there."""
    configurations: dict[str, dict[str, Any]] = {
        system: draw(st.dictionaries(st.sampled_from(TAGS), parameters, max_size=3)) for system in SYSTEMS
    }
    tags: dict[str, dict[str, str]] = {}
    for name in draw(st.sets(st.sampled_from(TAGS))):
        chosen = {one: draw(st.sampled_from(sorted(tags_of))) for one, tags_of in configurations.items() if tags_of}
        tags[name] = chosen
    schemas = {system: {"title": draw(st.sampled_from("ab"))} for system in draw(st.sets(st.sampled_from(SYSTEMS)))}
    detectors = dict.fromkeys(draw(st.sets(st.just("STS"))), "")
    partitions: list[SeedPartition] = []
    for name in sorted(draw(st.sets(st.sampled_from(PARTITIONS)))):
        tag = draw(st.sampled_from(["", *sorted(tags)]))
        partitions.append(SeedPartition(name=name, template="cbm", tag=tag, systems=tags.get(tag, {})))
        detectors |= {one: name for one, at in detectors.items() if not at}
    return Seed(
        configurations=ConfigurationSet(configurations=configurations, tags=tags, schemas=schemas),
        partitions=tuple(partitions),
        detectors=detectors,
        renames=Renames(
            tags=_free(draw(renames), tags),
            configurations={one: _free(draw(renames), tags_of) for one, tags_of in configurations.items()},
        ),
    )


def _free(given: dict[str, str], there: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for new, old in given.items():
        if new in there and old not in there and old not in found.values():
            found[new] = old
    return found


edits = st.lists(
    st.tuples(
        st.sampled_from(["save", "delete", "tag", "untag", "unmap"]),
        st.sampled_from(SYSTEMS),
        st.sampled_from(TAGS),
        parameters,
    ),
    max_size=6,
)
choices = st.builds(Choices, take=st.fixed_dictionaries({"": st.sampled_from(Side)}), prune=st.booleans())


async def edit(database: Database, what: str, system: str, tag: str, values: dict[str, Any]) -> None:
    """A change by a user; what the database refuses is left."""
    match what:
        case "save":
            await database.configurations.save(system, tag, values, "ben")
        case "delete":
            await database.configurations.delete(system, tag, "ben", with_tags=True)
        case "tag":
            await database.tags.save(tag, {system: tag}, "ben")
        case "untag":
            await database.tags.delete(tag, "ben")
        case _:
            await database.mapping.move({"STS": ""}, "ben")


@settings(max_examples=examples(60), deadline=None)
@given(first=descriptions(), second=descriptions(), changes=edits, chosen=choices, recorded=st.booleans())
def test_what_is_applied_once_is_applied(
    first: Seed, second: Seed, changes: list[Any], chosen: Choices, recorded: bool
) -> None:
    async def run() -> None:
        database = Database("sqlite://")
        store: Any = vars(database)["_store"]
        store._writer = store._reader = AtOnce()
        await store.write(metadata.create_all)  # the migrations take 0.5 s
        if recorded:
            await database.seed(first, "description")
        else:  # as an earlier version left it
            await database.configurations.put(first.configurations, "ben")
        for change in changes:
            try:
                await edit(database, *change)
            except CountingRoomError:
                continue
        await database.seed(second, "description")
        plan = await database.description.plan(second, chosen)
        assert not plan.conflicts  # all are decided
        before = await database.configurations.export()
        try:
            await database.description.apply(second, "anna", chosen, expected=plan.digest)
        except (NotFound, Conflict):  # a tag of one side names what the other side deleted
            event("refused")
            assert await database.configurations.export() == before
            return
        finally:
            again = await database.description.plan(second, chosen)
            await database.close()
        assert not again.differs
        assert {one.was for one in again.changes if one.was} <= {one.was for one in plan.changes if one.was}

    asyncio.run(run())

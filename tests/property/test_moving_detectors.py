"""After any commands, deaths of processes and lost messages: each detector is in one place, no partition stays
held, and no wait is without end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from countingroom.core.messages import EventKind
from tests.scenario.experiment import DETECTORS, World, description, experiment

PARTITIONS = ("A", "B")
PLACES = st.sampled_from(("", *PARTITIONS, "nowhere"))
GROUPS = st.lists(st.sampled_from(DETECTORS), min_size=1, max_size=3, unique=True).map(",".join)
QUIET_S = 40.0
"""Longer than any hold, order or transition may last."""


class Moving(RuleBasedStateMachine):
    """Commands at random while processes die and what they say is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.open = AsyncExitStack()
        self.count = 1
        self.world: World

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def begin(self) -> None:
        async def enter() -> World:
            section = description({"kind": "simulated", "configure": "1 s"}, A=("STS", "MVD"), B=("TRD",))
            world = await self.open.enter_async_context(experiment(section))
            world.begin_runs("second")
            await world.until(lambda: world.partition("B"))
            return world

        self.world = self.do(enter())

    async def _command(self, action: str, target: str, **arguments: Any) -> None:
        try:
            await self.world.ask(action, target, **arguments)
        except Exception as error:  # nobody may be there to answer just now
            assert type(error).__name__ == "LinkError", error

    @rule(detectors=GROUPS, to=PLACES, force=st.booleans())
    def move(self, detectors: str, to: str, force: bool) -> None:
        self.do(self._command("move", "_experiment", detectors=detectors, to=to, force=force))

    @rule(partition=st.sampled_from(PARTITIONS), action=st.sampled_from(("configure", "configure_all", "start")))
    def climb(self, partition: str, action: str) -> None:
        self.do(self._command(action, partition))

    @rule(partition=st.sampled_from(PARTITIONS), action=st.sampled_from(("stop", "abort")))
    def fall(self, partition: str, action: str) -> None:
        self.do(self._command(action, partition))

    @rule(seconds=st.sampled_from((0.0, 0.1, 1.0, 3.0)))
    def wait(self, seconds: float) -> None:
        self.do(self.world.clock.advance(seconds))

    @rule()
    def kill_a_process(self) -> None:
        """One of two that run; another begins."""
        name = next(name for name in self.world.buses if name in self.world.tasks)
        self.do(self.world.kill(name))
        self.count += 1
        self.do(self._begin(f"runs{self.count}"))

    async def _begin(self, name: str) -> None:
        self.world.begin_runs(name)

    @rule(what=st.sampled_from(("detectors", "owner.A", "owner.B", "partition.A")), times=st.integers(1, 3))
    def lose(self, what: str, times: int) -> None:
        """The next things said there are lost."""
        for name, bus in self.world.buses.items():
            if name in self.world.tasks:
                left = [what] * times
                bus.fails = lambda where, left=left: where in left and bool(left.pop())

    @invariant()
    def every_detector_is_in_one_place(self) -> None:
        if hasattr(self, "world"):
            where = self.do(self.world.database.mapping.all())
            assert where.keys() == set(DETECTORS)
            assert set(where.values()) <= {"", *PARTITIONS}

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.do(self._comes_to_rest())
        finally:
            self.do(self.open.aclose())
            self.loop.close()

    async def _comes_to_rest(self) -> None:
        world = self.world
        for bus in world.buses.values():
            bus.fails = lambda _: False
        await world.clock.advance(QUIET_S)
        where = await world.database.mapping.all()
        for name in PARTITIONS:
            shown = await world.partition(name)
            assert shown is not None
            assert not shown.locked, f"{name} is still held"
            assert shown.goal is None and not shown.steps, f"{name} waits"
            members = {member.system for member in shown.members if member.kind == "detector"}
            assert members == {detector for detector, at in where.items() if at == name}, name
        for name in ("A", "B"):
            asked = [e.command_id for e in await world.events(name) if e.kind is EventKind.COMMAND]
            ended = [e.command_id for e in await world.events(name) if e.kind in (EventKind.DONE, EventKind.FAILED)]
            assert len(ended) == len(set(ended)) and set(ended) <= set(asked)


def test_moves_among_deaths_and_losses_break_no_invariant() -> None:
    run_state_machine_as_test(
        Moving,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""After any commands and any deaths of processes an experiment comes to rest, takes commands, and has lost no run.

Real run control, real agents and a real database on the memory bus, in virtual time. A history is made of its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from countingroom.core.errors import LinkError
from countingroom.core.messages import EventKind
from countingroom.runs.description import RunsSection
from tests.examples import examples
from tests.scenario.experiment import DETECTORS, GLOBALS, World, description, experiment

HISTORIES = int(os.environ.get("COUNTINGROOM_WORLDS") or examples(50))
FIRST_SEED = int(os.environ.get("COUNTINGROOM_SEED", "0"))
PARTS = 5
"""So that the workers of a test run share them."""
QUIET_S = 60.0
"""Longer than any hold, order, transition or run of a sequence may last."""
SYSTEMS = (*GLOBALS, *DETECTORS)
TARGETS = ("A", "B")
OVER = (EventKind.DONE, EventKind.FAILED)


class History:
    """One experiment to which everything happens that can."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.count = 1
        self.dead: set[str] = set()

    async def ask(self, action: str, target: str = "A", **arguments: Any) -> bool:
        by = self.chance.choice(("anna", "anna", "ben"))
        try:
            reply = await self.world.ask(action, target, by=by, **arguments)
        except LinkError:  # nobody may be there to answer just now
            return False
        assert reply.accepted or (reply.cause and reply.cause.suggestion), reply
        return reply.accepted

    async def happens(self) -> None:
        """One thing, whatever it is."""
        chance, target = self.chance, self.chance.choice(TARGETS)
        system = chance.choice(SYSTEMS)
        match chance.randrange(16):
            case 0 | 1:
                await self.ask(chance.choice(("configure", "configure_all", "start", "start", "repeat")), target)
            case 2:
                await self.ask(chance.choice(("stop", "abort", "stop_sequence", "lock", "unlock")), target)
            case 3:
                state = chance.choice(("Idle", "TFC_Active", "QA_Active", "Recording", "Recording"))
                await self.ask("goal", target, state=state, seconds=chance.choice((None, 2)))
            case 4:
                await self.ask(chance.choice(("include", "exclude", "exclude", "reset")), target, system=system)
            case 5:
                tag = chance.choice(("physics", "tests"))
                await self.ask("select_one", target, system=system, tag=tag)
            case 6:
                values, name = "1,2", f"scan{chance.randrange(10_000)}"
                scan = {"parameter": "threshold", "values": values, "seconds": 2, "name": name}
                await self.ask("sequence", target, system=system, **scan)
            case 7:
                to = chance.choice(("", *TARGETS))
                detectors = ",".join(chance.sample(DETECTORS, chance.randrange(1, 3)))
                await self.ask("move", "_experiment", detectors=detectors, to=to, force=chance.random() < 0.5)
            case 8 | 9:
                await self.agent_dies(system) if system not in self.dead else self.agent_begins(system)
            case 10:
                await self.owner_dies()
            case 11:
                await self.fault(system)
            case 12:
                what, times = (
                    chance.choice(("detectors", "owner.A", "partition.A", "control.A", f"agent.{system}")),
                    [0] * 2,
                )
                for name, bus in self.world.buses.items():
                    if name in self.world.tasks:
                        bus.fails = lambda where: where == what and bool(times and times.pop() == 0)
            case 13:
                parameters = f'{{"threshold": {chance.randrange(40)}}}'
                tag = chance.choice(("physics", "tests"))
                await self.ask("save_configuration", "_experiment", system=system, tag=tag, parameters=parameters)
            case 14:
                await self.ask("reconfigure", target, while_recording=chance.random() < 0.7)
            case _:
                await self.ask(chance.choice(("take_control", "force_control", "release_control")), target)

    async def agent_dies(self, system: str) -> None:
        self.dead.add(system)
        await self.world.end(f"agents of {system}")

    def agent_begins(self, system: str) -> None:
        self.dead.discard(system)
        self.world.begin_agents(system)

    async def owner_dies(self) -> None:
        name = next(name for name in self.world.buses if name in self.world.tasks)
        await self.world.kill(name)
        self.count += 1
        self.world.begin_runs(f"runs{self.count}")

    async def fault(self, system: str) -> None:
        chance = self.chance
        fault = chance.choice(("fail", "hang", "slow", "error"))
        await self.world.say(system, "fault", name=fault, seconds=chance.choice((1, 8)))

    async def heal(self) -> None:
        for bus in self.world.buses.values():
            bus.fails = lambda _: False
        for system in tuple(self.dead):
            self.agent_begins(system)
        await self.world.clock.advance(QUIET_S)
        for system in SYSTEMS:
            await self.world.say(system, "fault", name="heal")
        for target in TARGETS:
            for action in ("force_control", "unlock", "stop_sequence", "abort"):
                await self.world.ask(action, target, by="anna")
        await self.world.ask("force_control", "_experiment", by="anna")
        await self.world.clock.advance(QUIET_S)

    async def rests(self) -> None:
        world = self.world
        where = await world.database.mapping.all()
        runs = await world.runs()
        assert sorted(run.number for run in runs) == list(range(1, len(runs) + 1))
        for name in TARGETS:
            shown = await world.partition(name)
            assert shown is not None and not shown.locked, f"{name} is held"
            assert shown.goal is None and not shown.steps, f"{name} waits: {shown.goal} {shown.steps}"
            assert shown.state == "Idle", f"{name} is {shown.state}: {shown.cause}"
            assert [run.number for run in runs if run.partition == name and run.end is None] == []
            members = {member.system for member in shown.members if member.kind == "detector"}
            assert members == {detector for detector, at in where.items() if at == name}, name
            events = await world.events(name)
            ended = [event.command_id for event in events if event.kind in OVER and event.command_id]
            assert len(ended) == len(set(ended)), "a command ended twice"

    async def obeys(self) -> None:
        world = self.world
        await world.ask("move", "_experiment", by="anna", detectors=",".join(DETECTORS), to="", force=True)
        await world.clock.advance(3)
        for detectors, name in (("STS,MVD", "A"), ("TRD", "B")):
            assert (
                await world.does("move", "_experiment", by="anna", detectors=detectors, to=name)
            ).kind is EventKind.DONE
            for system in SYSTEMS:
                await world.ask("include", name, by="anna", system=system)
                await world.ask("reset", name, by="anna", system=system)
            await world.does("select", name, by="anna", tag=f"physics-{name}")
            end = await world.does("goal", name, by="anna", state="Recording")
            assert end.kind is EventKind.DONE, end.cause
            await world.reaches("Recording", name)
            assert (await world.does("stop", name, by="anna")).kind is EventKind.DONE
            await world.reaches("QA_Active", name)


async def live(seed: int) -> None:
    chance = random.Random(seed)
    agent = {"kind": "simulated", "configure": chance.choice(("0 s", "1 s")), "start": chance.choice(("0 s", "300 ms"))}
    plain = description(agent, A=("STS", "MVD"), B=("TRD",)).model_dump()
    for system in plain["systems"].values():  # some can be reconfigured in place
        system["agent"]["reconfigure"] = chance.choice((None, 0.0, 1.0))
    section = RunsSection.model_validate(plain)
    async with experiment(section, agents=False, runs=False) as world:
        history = History(world, chance)
        for system in SYSTEMS:
            history.agent_begins(system)
        world.begin_runs()
        world.begin_runs("second")
        await world.until(lambda: world.partition("B"))
        for _ in range(chance.randrange(5, 30)):
            await history.happens()
            await world.clock.advance(chance.choice((0.0, 0.01, 0.3, 2.5)))
        await history.heal()
        await history.rests()
        await history.obeys()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_to_an_experiment_it_comes_to_rest_and_obeys_again(part: int) -> None:
    for seed in range(FIRST_SEED + part, FIRST_SEED + HISTORIES, PARTS):
        try:
            asyncio.run(live(seed))
        except BaseException as error:
            error.add_note(f"history of seed {seed}: COUNTINGROOM_SEED={seed} COUNTINGROOM_WORLDS=1 repeats it")
            raise

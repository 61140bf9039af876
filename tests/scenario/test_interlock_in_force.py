"""An effect of an interlock that is in force already is reached, also in a state that takes no such command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from countingroom.bus import streams
from countingroom.core import subjects
from countingroom.core.messages import Command, CommandSpec, EventKind, Reply, decode, encode
from countingroom.core.values import Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.testing.fake_device import FakeBehaviour, FakeProvingDriver
from tests.scenario import test_interlock_host
from tests.scenario.test_interlock_host import Room

STOP = CommandSpec(name="stop", event="switch_off", scope="channel", deadline_s=5.0)


class StoppedByWrite(FakeBehaviour):
    """Its channels have a command that is allowed while they are on, and names no state that it leads to."""

    commands = (*FakeBehaviour.commands, STOP)

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        if command == "stop":
            return (Write(point=f"{channel}.on", value=False),)
        return super().writes(command, channel, arguments, readings)


async def give(room: Room, by: str, action: str = "stop", *, trip: int = 0, number: int = 0) -> Reply:
    now_ns = room.clock.now_ns()
    command = Command(
        id=f"of {by}{number or ''}",
        action=action,
        channel="a",
        issued_ns=now_ns,
        deadline_ns=now_ns + 10**10,
        origin="interlock cooling",
        trip=trip,
    )
    return decode(
        (await room.bus.request(subjects.command(by, "devices", "supply"), encode(command), timeout_s=5)).data, Reply
    )


async def test_what_is_in_force_is_done_for_an_interlock_and_refused_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_interlock_host, "FakeBehaviour", StoppedByWrite)
    room = Room(tmp_path)
    room.supply.values |= {"a.on": False, "b.on": False}
    await streams.prepare(room.bus)
    async with room.host():
        await room.settle()
        person = await give(room, "ann")
        assert person.cause is not None
        assert person.cause.message == "stop is not possible in OFF"
        assert (await give(room, "interlock.cooling")).accepted
        await room.settle()
        ends = [event.kind for event in await room.events() if event.command_id == "of interlock.cooling"]
        assert ends == [EventKind.COMMAND, EventKind.DONE]
        assert room.supply.writes == []


async def test_a_repeated_command_of_one_trip_joins_and_that_of_a_later_trip_is_given_anew(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await streams.prepare(room.bus)
    room.supply.slow["a.on"] = asyncio.Event()  # the first write never ends
    async with room.host(driver=FakeProvingDriver):
        await room.settle()
        assert (await give(room, "interlock.far", "switch_off", trip=1, number=1)).accepted
        await room.settle()
        room.supply.slow.clear()
        assert (await give(room, "interlock.far", "switch_off", trip=1, number=2)).accepted
        await room.settle()
        assert room.supply.writes == []
        assert (await give(room, "interlock.far", "switch_off", trip=2, number=3)).accepted
        await room.settle()
        assert room.supply.writes == [("a.on", False)]

"""Interlocks in the alarm department: saved states in memory, and a power supply that takes commands."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_specs
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.errors import Cause, Conflict, LinkError
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryQuery
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.values import Scalar
from tests.scenario.alarm_stage import AlarmStage

SECTION: dict[str, Any] = {
    "interlocks": {
        "cooling": {
            "title": "Cooling lost",
            "causes": {
                "warm": {
                    "title": "Bath too warm",
                    "inputs": [{"limit": {"point": "chiller.bath", "alarm_high": 35}}],
                    "on_delay": "2 s",
                    "unknown_delay": "0 s",
                },
                "pump": {"inputs": [{"expression": {"text": "chiller.pump == True"}}]},
            },
            "effects": {
                "off": {
                    "title": "HV off",
                    "commands": [
                        {"device": "caen", "channel": 0, "command": "off"},
                        {"device": "caen", "channel": 1, "command": "off"},
                    ],
                },
                "stop": {"stop": "mCBM"},
                "no_start": {"forbid": "mCBM"},
            },
            "matrix": {"warm": {"off": 0, "stop": "30 s", "no_start": 0}, "pump": ["off"]},
            "proof_test": "180 d",
        }
    }
}


class MemoryInterlocks:
    """The saved interlocks. It outlives an engine, as a database does."""

    def __init__(self) -> None:
        self.saved: dict[str, InterlockState] = {}
        self.rows: list[InterlockEntry] = []
        self.is_away = False
        self.writer = 0

    async def load(self) -> tuple[InterlockState, ...]:
        self._answer()
        return tuple(self.saved.values())

    async def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        self._answer()
        if writer < self.writer:
            raise Conflict("another has taken over", source="alarms", code="superseded")
        self.writer = writer
        self.saved |= {one.name: one for one in states}
        self.rows += entries

    async def history(self, wanted: InterlockHistoryQuery) -> tuple[InterlockEntry, ...]:
        self._answer()
        found = [row for row in reversed(self.rows) if wanted.from_ns is None or row.time_ns >= wanted.from_ns]
        return tuple(found[: wanted.limit])

    def _answer(self) -> None:
        if self.is_away:
            raise LinkError("the disk is full", source="storage", code="disk_full")


class InterlockStage(AlarmStage):
    """The stage of alarms with the interlock of SECTION."""

    def __init__(self) -> None:
        super().__init__(section=SECTION)
        self.kept = MemoryInterlocks()
        self.interlocks = self.kept
        self.given: list[str] = []
        """Commands that targets got: `interlock.cooling caen.0 off`."""
        self.refuses = ""
        """Why the power supply refuses commands; empty: it takes them."""

    def specs(self) -> tuple[InterlockSpec, ...]:
        """What the engine evaluates."""
        return interlock_specs(AlarmsSection.model_validate(SECTION).interlocks)

    async def state_of(self, name: str = "cooling") -> InterlockState:
        """The published state."""
        await self.clock.advance(0)
        entry = await self.bus.get("state", subjects.interlock_key(name))
        assert entry is not None
        assert entry.data is not None
        return decode(entry.data, InterlockState)

    async def ask(self, action: str, *, user: str = "anna", **arguments: Scalar) -> Cause | None:
        """A command to interlocks; the cause where it is refused."""
        given: dict[str, Any] = {"interlock": "cooling", **arguments}
        return await self.command(action, user=user, target=subjects.INTERLOCKS, **given)

    async def acting(self) -> list[str]:
        """The effects that act."""
        return [one.name for one in (await self.state_of()).effects if one.acting_ns is not None]

    @asynccontextmanager
    async def targets(self) -> AsyncGenerator[None]:
        """The power supply and run control answer commands."""
        async with (
            self.bus.respond(subjects.commands_to("devices", "caen"), self._answer),
            self.bus.respond(subjects.commands_to("runs", "mCBM"), self._answer),
        ):
            yield

    async def _answer(self, message: Message) -> bytes:
        command = decode(message.data, Command)
        _, _, department, target = message.subject.split(".")
        place = f"{target}.{command.channel}" if command.channel else target
        self.given.append(f"{subjects.command_user(message.subject)} {place} {command.action}")
        if self.refuses:
            cause = Cause(code="not_allowed", message=self.refuses)
            return encode(Reply(id=command.id, accepted=False, cause=cause))
        event = Event(
            id=uuid4().hex,
            kind=EventKind.DONE,
            time_ns=self.clock.now_ns(),
            department=department,
            source=target,
            message="done",
            command_id=command.id,
        )
        await self.bus.append(subjects.event(department, target), encode(event))
        return encode(Reply(id=command.id, accepted=True))

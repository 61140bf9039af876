"""Rules in the alarm department on the memory bus. A test plays the device host, run control and the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from msgspec import structs

from countingroom.alarms.rules.rule_engine import RuleParts
from countingroom.alarms.sections.rules import RuleSection
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.errors import Cause, Conflict, LinkError
from countingroom.core.messages import (
    Command,
    CommandSpec,
    Event,
    EventKind,
    Reply,
    decode,
    encode,
)
from countingroom.core.points import Point
from countingroom.core.rules.states import RuleState, SavedRule
from tests.scenario.alarm_stage import CHILLER, AlarmStage

SETPOINT = Point(name="set", label="Set", unit="degC", writable=True, write_low=5.0, write_high=40.0)
COMMANDS = (CommandSpec(name="stop"), CommandSpec(name="burn", dangerous=True))


class MemoryRules:
    """The saved rules. They outlive an engine, as a database does."""

    def __init__(self) -> None:
        self.saved: dict[str, SavedRule] = {}
        self.is_away = False
        self.writer = 0
        self.saves = 0

    async def load(self) -> Mapping[str, SavedRule]:
        self._answer()
        return dict(self.saved)

    async def save(self, writer: int, changed: Mapping[str, SavedRule]) -> None:
        self._answer()
        if writer < self.writer:
            raise Conflict("another has taken over", source="alarms", code="superseded")
        self.writer = writer
        self.saved |= changed
        self.saves += 1

    def _answer(self) -> None:
        if self.is_away:
            raise LinkError("the disk is full", source="storage", code="disk_full")


class RuleStage(AlarmStage):
    """The bus with a chiller that takes commands, and engines with rules."""

    def __init__(self, rules: dict[str, dict[str, Any]], **section: Any) -> None:
        super().__init__(section=section)
        self.rules = MemoryRules()
        self.record: list[AuditEntry] = []
        self.commands: list[tuple[str, Command]] = []
        """(user, command) of all that the device and the partition got."""
        self.refuses: dict[str, str] = {}
        """Command -> why the device refuses it."""
        self.is_silent = False
        """The device accepts commands and tells no end."""
        self.describe(rules)

    def describe(self, rules: dict[str, dict[str, Any]]) -> None:
        """The rules that the next engine has."""
        sections = {
            name: RuleSection.model_validate({"reason": "a test", "roles": {"device.*": "shifter"}, **one})
            for name, one in rules.items()
        }
        self.parts["rules"] = RuleParts(rules=sections, store=self.rules, audit=self._audit)

    async def prepare(self) -> None:
        await super().prepare()
        await self.put(structs.replace(CHILLER, points=(*CHILLER.points, SETPOINT), commands=COMMANDS))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Prepared, with the device and an engine."""
        await self.prepare()
        async with self.owner("devices", "chiller"), self.host("chiller"), self.engine():
            yield

    @asynccontextmanager
    async def owner(self, department: str, target: str) -> AsyncGenerator[None]:
        """A process that takes the commands of a target and does them at once."""

        async def answer(message: Message) -> bytes:
            command, user = decode(message.data, Command), subjects.command_user(message.subject)
            self.commands.append((user, command))
            if why := self.refuses.get(command.action):
                return encode(Reply(id=command.id, accepted=False, cause=Cause(code="not_allowed", message=why)))
            if not self.is_silent:
                await self.tell(department, target, EventKind.DONE, command.action, id=command.id, by=user)
            return encode(Reply(id=command.id, accepted=True))

        async with self.bus.respond(subjects.commands_to(department, target), answer):
            yield

    async def tell(
        self, department: str, source: str, kind: EventKind, action: str, *, id: str = "", by: str = "anna"
    ) -> None:
        event = Event(
            id=uuid4().hex,
            kind=kind,
            time_ns=self.clock.now_ns(),
            department=department,
            source=source,
            message=f"{action} {kind.value}",
            action=action,
            command_id=id,
            principal=by,
        )
        await self.bus.append(subjects.event(department, source), encode(event))

    def given(self) -> list[str]:
        """What the device got: `rule.night: stop`, `rule.night: set set 20.0`."""
        return [f"{user}: {' '.join(map(str, (one.action, *one.arguments.values())))}" for user, one in self.commands]

    async def rule(self, name: str) -> RuleState:
        """The published rule."""
        await self.clock.advance(0)
        entry = await self.bus.get("state", subjects.rule_key(name))
        assert entry is not None
        assert entry.data is not None
        return decode(entry.data, RuleState)

    async def order(self, action: str, rule: str, *, user: str = "anna", **arguments: str) -> Cause | None:
        """Arm or disarm a rule; the cause where it is refused."""
        return await self.command(action, user=user, target=subjects.RULES, rule=rule, **arguments)

    async def record_of(self, name: str) -> list[str]:
        """What the events of a rule say."""
        return [event.message for event in await self.events() if event.source == name]

    async def _audit(self, entry: AuditEntry) -> None:
        self.record.append(entry)

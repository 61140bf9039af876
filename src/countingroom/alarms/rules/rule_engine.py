"""The rules of the active alarm department: messages of the bus go to the evaluation, its outcomes to the keeper."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from msgspec import Struct

from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.engine.records import DEPARTMENT
from countingroom.alarms.rules.described_rules import actions_of
from countingroom.alarms.rules.evaluation import RuleEvaluation, RuleOutcome
from countingroom.alarms.rules.rule_commands import RuleCommands, RulePolicy
from countingroom.alarms.rules.rule_keeper import RuleKeeper, RuleStore
from countingroom.alarms.rules.rule_runner import Ended, RuleRunner, RuleSurroundings, Tell
from countingroom.alarms.sections.rules import RuleSection
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Event, Readings
from countingroom.core.policy import Principal
from countingroom.core.retry import Retry, edge_log
from countingroom.core.rules.actions import Action, RampAction
from countingroom.core.values import Quality, Scalar

_log = logging.getLogger(__name__)

LONGEST_S = 60.0
"""The longest wait before due times are checked again. Due times are wall times, and the wall clock may be set."""
RETRY_S = 1.0
_STALE = int(Quality.STALE)


class RuleParts(Struct, frozen=True, kw_only=True):
    """What the rule engine needs: the described rules, their store, and the audit."""

    rules: Mapping[str, RuleSection]
    store: RuleStore
    audit: Callable[[AuditEntry], Awaitable[None]]


class RuleEngine:
    """All rules of an active department. The follower of the bus calls `read`, `state` and `lost`."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        parts: RuleParts,
        publisher: Publisher,
        known: KnownAlarms,
        principal: Callable[[str, str], Awaitable[Principal]],
        tell: Callable[[], Tell | None] = lambda: None,
    ) -> None:
        """`tell`: returns the present sender of messages to people, or None while there is none."""
        self._find_tell = tell
        self._bus = bus
        self._clock = clock
        self._parts = parts
        self._publisher = publisher
        self._known = known
        self._principal = principal
        self._actions = {name: actions_of(rule) for name, rule in parts.rules.items()}
        self._setpoints: dict[str, Scalar] = {
            f"{one.device}.{one.point}": None
            for actions in self._actions.values()
            for one in actions.actions
            if isinstance(one, RampAction)
        }
        """Address of each setpoint that a rule ramps -> its last value; None: unknown."""
        self._ramped = {address.partition(".")[0] for address in self._setpoints}
        self._news = asyncio.Event()
        self._looks_ns = 0
        """Wall time at which due times are checked next."""
        self._evaluation: RuleEvaluation
        self._keeper: RuleKeeper

    async def take_over(self, writer: int) -> None:
        """Load the saved rules, and delete rules from the bus that the description no longer has. `writer`: the number
        of this engine; the store refuses a save with an older one."""
        saved = await self._parts.store.load()
        memories = {name: one.memory for name, one in saved.items()}
        self._evaluation = RuleEvaluation(self._parts.rules, memories, now_ns=self._clock.now_ns())
        self._keeper = RuleKeeper(
            self._parts.rules,
            self._evaluation,
            saved,
            self._parts.store,
            writer,
            self._publisher,
            self._clock,
            self._run_action,
        )
        for name in await self._published():  # left by an engine with an earlier description
            if name not in self._parts.rules:
                self._publisher.delete(subjects.rule_key(name))

    def troubles(self) -> list[str]:
        """Why the department is not ready, one sentence each."""
        return self._keeper.troubles()

    @property
    def problems(self) -> list[str]:
        """Rules that cannot be evaluated, one sentence each."""
        return self._evaluation.problems

    async def run(self) -> None:
        """Until cancelled, or until another process has taken over (Conflict)."""
        commands = RuleCommands(self._keeper, self._publisher)
        server = CommandServer(
            self._bus,
            self._clock,
            DEPARTMENT,
            subjects.RULES,
            commands,
            self._publisher,
            policy=RulePolicy(self._clock, self._principal, self._keeper),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            group.create_task(self._pass_time())
            group.create_task(server.run())
            for department in sorted(self._evaluation.departments):
                group.create_task(self._follow_events(department))

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        if message.device in self._ramped:
            for name, value, quality in zip(message.points, message.values, message.qualities, strict=True):
                if (address := f"{message.device}.{name}") in self._setpoints:
                    self._setpoints[address] = value if quality < _STALE else None
        self._tell(self._evaluation.read(message, now_ns))

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, `system.STS` or `role.history`."""
        self._tell(self._evaluation.state(subject, word, common, now_ns))

    def lost(self, device: str, now_ns: int) -> None:
        """Take in that the host of a device is gone: its values are unknown."""
        for address in self._setpoints:
            if address.startswith(f"{device}."):
                self._setpoints[address] = None
        self._tell(self._evaluation.lost(device, now_ns))

    def _tell(self, outcomes: Iterable[RuleOutcome]) -> None:
        due_ns = self._evaluation.next_due_ns()
        # A reading can leave each rule as it is and still bring a due time nearer: a rate changes as time passes.
        if self._evaluation.changed or (due_ns is not None and due_ns < self._looks_ns):
            self._news.set()
        self._keeper.take(outcomes)

    async def _pass_time(self) -> None:
        while True:
            due_ns = self._evaluation.next_due_ns()
            wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
            self._looks_ns = self._clock.now_ns() + round(wait_s * 1e9)
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with within(self._clock, wait_s):
                        await self._news.wait()
            self._news.clear()
            self._keeper.take(self._evaluation.pass_time(self._clock.now_ns()))

    async def _follow_events(self, department: str) -> None:
        """Give the events of a department to the rules. Events that are published while the link is down are missed:
        a rule must not act long after the event that triggers it."""
        report = edge_log(
            _log, f"rules: events of {department} are not followed", f"rules: events of {department} are followed again"
        )
        retry = Retry(self._clock, report, pause_s=RETRY_S, on=CountingRoomError)

        async def follow() -> None:
            async with self._bus.subscribe(subjects.events_of(department)) as events:
                report.worked()
                async for message in events:
                    event = self._bus.dead_letters.read(message.subject, message.data, Event)
                    if event is not None:
                        self._tell(self._evaluation.event(event, self._clock.now_ns()))

        await retry.forever(follow)

    async def _run_action(self, rule: str, number: int, place: int, action: Action) -> Ended:
        around = RuleSurroundings(
            catalogue=self._known.catalogue,
            value=self._setpoints.get,
            audit=self._parts.audit,
            tell=self._find_tell(),
            is_armed=self._keeper.is_armed,
        )
        return await RuleRunner(self._bus, self._clock, rule, number, self._actions[rule], around).run(place, action)

    async def _published(self) -> set[str]:
        """Names of the rules that the state bucket holds."""
        found: set[str] = set()
        async with self._bus.watch(subjects.STATE_BUCKET, "rule.*") as items:
            async for item in items:
                match item:
                    case Entry(data=bytes()):
                        found.add(item.key.partition(".")[2])
                    case Current():
                        break
                    case _:
                        pass
        return found

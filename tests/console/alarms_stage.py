"""An alarm department on the memory bus that says and does what the test wants."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.alarms.definition import Guidance
from countingroom.core.alarms.queries import (
    AlarmDetails,
    AlarmHistoryEntry,
    AlarmLink,
    DefinitionAnswer,
    DefinitionQuery,
    HistoryAnswer,
    HistoryQuery,
)
from countingroom.core.alarms.states import AlarmState, BaseState, OutOfService, Shelf
from countingroom.core.commands.alarms import named
from countingroom.core.errors import Cause
from countingroom.core.messages import Command, Event, EventKind, Presence, Reply, decode, encode
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.core.notify.queries import OutboxAnswer, OutboxQuery
from countingroom.core.rules.states import (
    ActionOutcome,
    ActionResult,
    Firing,
    RulePhase,
    RuleState,
)
from tests.console.interlocks_stage import InterlockStage
from tests.console.stage import Stage

BATH = "point.chiller.internal_temp"
SECOND_NS = 1_000_000_000
_DAY_S = 86_400.0
_ACKNOWLEDGED = {
    BaseState.UNACKNOWLEDGED: BaseState.ACKNOWLEDGED,
    BaseState.RETURNED: BaseState.NORMAL,
    BaseState.LATCHED_UNACKNOWLEDGED: BaseState.LATCHED,
}


class AlarmStage:
    """The states that are published, and the commands that came."""

    def __init__(self, here: Stage) -> None:
        self.here = here
        self.states: dict[str, AlarmState] = {}
        self.rules: dict[str, RuleState] = {}
        self.details: dict[str, AlarmDetails] = {}
        self.records: dict[str, list[AlarmHistoryEntry]] = {}
        self.messages: dict[str, list[OutboxEntry]] = {}
        """Alarm -> messages to people that tell of it, the last first."""
        self.commands: list[tuple[str, Command]] = []
        self.refuse: Cause | None = None
        self.interlocks = InterlockStage(here.bus, here.clock)

    def alarm(self, name: str, *, age_s: float = 60.0, **more: Any) -> AlarmState:
        """A state, not yet published: active for `age_s` and not acknowledged."""
        since_ns = self.here.clock.now_ns() - round(age_s * SECOND_NS)
        told: dict[str, Any] = {
            "title": name,
            "base": BaseState.UNACKNOWLEDGED,
            "priority": 2,
            "text": f"{name} is too high",
            "occurrence": 1,
            "since_ns": since_ns,
            "announced_ns": since_ns,
            "changed_ns": since_ns,
        }
        return AlarmState(id=name, **(told | more))

    async def publish(self, *states: AlarmState) -> None:
        """Say how alarms are; one at rest loses its key. The department knows the definition of each: a page may ask
        for an alarm that has just come to rest."""
        for state in states:
            known = AlarmDetails(id=state.id, area=state.area, title=state.title, longest_shelf_s=_DAY_S)
            self.details.setdefault(state.id, known)
            key = subjects.alarm_key(state.id)
            if state.is_at_rest:
                self.states.pop(state.id, None)
                await self.here.bus.delete(subjects.STATE_BUCKET, key)
            else:
                self.states[state.id] = state
                await self.here.bus.put(subjects.STATE_BUCKET, key, encode(state))

    async def publish_rules(self, *rules: RuleState) -> None:
        """Say how rules are."""
        for rule in rules:
            self.rules[rule.rule] = rule
            await self.here.bus.put(subjects.STATE_BUCKET, subjects.rule_key(rule.rule), encode(rule))

    async def clear(self, beginning: str) -> None:
        """Forget the alarms whose identity begins so."""
        for name in [name for name in self.states if name.startswith(beginning)]:
            del self.states[name]
            await self.here.bus.delete(subjects.STATE_BUCKET, subjects.alarm_key(name))

    async def beat(self) -> None:
        """One heartbeat of the department."""
        beat = Presence(
            role="alarms",
            instance="main",
            boot="boot1",
            host="here",
            pid=1,
            interval_s=1.0,
            sent_ns=self.here.clock.now_ns(),
        )
        await self.here.bus.publish(subjects.presence("alarms", "main"), encode(beat))

    async def query(self, message: Message) -> bytes:
        """Answer a question for definitions or history."""
        if message.subject == subjects.query("alarms", "definition"):
            ids = decode(message.data, DefinitionQuery).ids
            return encode(DefinitionAnswer(definitions=tuple(self.details[one] for one in ids if one in self.details)))
        if message.subject == subjects.query("alarms", "notifications"):
            alarm = decode(message.data, OutboxQuery).alarm
            return encode(OutboxAnswer(ended=tuple(self.messages.get(alarm, ()))))
        asked = decode(message.data, HistoryQuery)
        records = self.records.get(asked.id, [])
        return encode(HistoryAnswer(records=tuple(records[: asked.limit]), occurrences_30d=len(records)))

    async def command(self, message: Message) -> bytes:
        """Carry out a command as the department does, without its rules."""
        command = decode(message.data, Command)
        user = subjects.command_user(message.subject)
        self.commands.append((user, command))
        if self.refuse:
            return encode(Reply(id=command.id, accepted=False, cause=self.refuse))
        target = message.subject.rpartition(".")[2]
        if target == subjects.RULES:
            rule = self.rules[str(command.arguments["rule"])]
            reason = str(command.arguments.get("reason") or "")
            is_armed = command.action == "arm"
            await self.publish_rules(structs.replace(rule, armed=is_armed, armed_by=user, armed_reason=reason))
        if message.subject.endswith(subjects.INTERLOCKS) and (cause := await self.interlocks.command(command, user)):
            return encode(Reply(id=command.id, accepted=False, cause=cause))
        for name in named(str(command.arguments.get("alarms") or "{}")):
            await self.publish(self._after(command, user, self.states[name]))
        event = Event(
            id=f"end {command.id}",
            kind=EventKind.DONE,
            time_ns=self.here.clock.now_ns(),
            department="alarms",
            source=target,
            message=f"{command.action} done",
            command_id=command.id,
            action=command.action,
        )
        await self.here.bus.append(subjects.event("alarms", target), encode(event))
        return encode(Reply(id=command.id, accepted=True))

    def _after(self, command: Command, user: str, state: AlarmState) -> AlarmState:
        now_ns, given = self.here.clock.now_ns(), command.arguments
        new: Mapping[str, Any] = {}
        match command.action:
            case "acknowledge":
                base = _ACKNOWLEDGED.get(state.base, state.base)
                new = {"base": base, "acknowledged_by": user, "acknowledged_ns": now_ns}
            case "reset":
                new = {"base": BaseState.NORMAL}
            case "shelve":
                until_ns = now_ns + round(float(given["seconds"] or 0) * SECOND_NS)
                new = {"shelf": Shelf(by=user, reason=str(given["reason"]), since_ns=now_ns, until_ns=until_ns)}
            case "unshelve":
                new = {"shelf": None}
            case "out_of_service":
                due_ns = now_ns + round(float(given["seconds"] or 0) * SECOND_NS)
                owner, reason = str(given["owner"]), str(given["reason"])
                new = {"service": OutOfService(by=user, owner=owner, reason=reason, since_ns=now_ns, due_ns=due_ns)}
            case "in_service":
                new = {"service": None}
            case _:
                pass
        return structs.replace(state, changed_ns=now_ns, **new)


@asynccontextmanager
async def alarms_stage(here: Stage) -> AsyncGenerator[AlarmStage]:
    """The department answers questions and commands while entered."""
    alarms = AlarmStage(here)
    bus = here.bus.client()
    async with (
        bus.respond(subjects.query("alarms", "definition"), alarms.query),
        bus.respond(subjects.query("alarms", "history"), alarms.query),
        bus.respond(subjects.query("alarms", "notifications"), alarms.query),
        bus.respond(subjects.query("alarms", "interlock_history"), alarms.interlocks.history),
        bus.respond(subjects.commands_to("alarms"), alarms.command),
    ):
        yield alarms


def a_night(alarms: AlarmStage) -> list[AlarmState]:
    """The alarms of the picture: a chiller that stopped, with what follows from it, and some others of each state."""
    make = alarms.alarm
    cooling = {"area": "cooling/chiller", "device": "chiller"}
    now_ns = alarms.here.clock.now_ns()
    bath = make(
        BATH,
        title="Julabo chiller / Bath",
        priority=1,
        age_s=127,
        text="37.5 °C above alarm limit 35.0 °C",
        advice="Fill the bath.",
        first_out=True,
        point="internal_temp",
        value=37.5,
        **cooling,
    )
    alarms.details[BATH] = AlarmDetails(
        id=BATH,
        area="cooling/chiller",
        title="Julabo chiller / Bath",
        priority=1,
        condition="above 35.0 °C for 5 s",
        longest_shelf_s=1800.0,
        guidance=Guidance(
            meaning="The bath no longer cools while the modules have low voltage.",
            do=("Display says LOW LEVEL: fill the bath, start it.", "Not running in 2 min: switch LV off, call."),
            if_not="Interlock cooling lost takes LV off.",
            time_to_act_s=300.0,
        ),
        contact="cooling on call",
        links=(AlarmLink(title="How to fill the bath", address="/help/bath"),),
    )
    alarms.records[BATH] = [
        AlarmHistoryEntry(
            time_ns=now_ns - age * SECOND_NS,
            kind=kind,
            text=text,
            base=base,
            priority=priority,
            occurrence=3,
        )
        for age, kind, text, base, priority in (
            (127, "raised", "raised to priority 1 above 35.0", "unacknowledged", 1),
            (300, "acknowledged", "acknowledged by anna", "acknowledged", 3),
            (333, "announced", "announced, priority 3 above 30.0", "unacknowledged", 3),
            (900_000, "returned", "active 12 min, acknowledged by ben after 48 s", "normal", 0),
        )
    ]
    alarms.messages[BATH] = [
        OutboxEntry(
            notification=Notification(
                id=f"{number:032x}",
                channel="anna_mail",
                person="anna",
                kind=NotificationKind.FIRST,
                title="Julabo chiller / Bath",
                text="too warm",
                alarms=((BATH, 3),),
                created_ns=now_ns,
                due_ns=now_ns,
                expires_ns=now_ns,
            ),
            state=state,
            error=error,
            ended_ns=now_ns - age * SECOND_NS,
        )
        for number, age, state, error in (
            (1, 97, NotificationState.SENT, ""),
            (2, 320, NotificationState.DEAD, "smtp.example.org:587 answers 550: no such user"),
        )
    ]
    chain = {"cause_id": BATH, "base": BaseState.ACKNOWLEDGED}
    shelf = Shelf(by="ben", reason="door open for cable work", since_ns=now_ns, until_ns=now_ns + 3600 * SECOND_NS)
    service = OutOfService(
        by="ben", owner="ben", reason="spare output", since_ns=now_ns, due_ns=now_ns + 600_000 * SECOND_NS
    )
    returned_ns = now_ns - 1200 * SECOND_NS
    return [
        bath,
        make("custom.cooling_lost", title="Interlock cooling lost", text="tripped: HV off now", age_s=125, **chain),
        make("partition.mCBM.goal", title="mCBM / run 219", text="stopped by the interlock", age_s=124, **chain),
        make("channel.caen.0", title="CAEN mainframe ch 0", text="HV off by the interlock", age_s=121, **chain),
        make("channel.caen.1", title="CAEN mainframe ch 1", text="LV 46.8 °C above 45.0 °C", age_s=43, **chain),
        make(
            "point.caen.2.lv_i",
            title="CAEN mainframe ch 2 / LV I",
            priority=1,
            text="was 2.46 A, limit 2.40",
            base=BaseState.LATCHED,
            returned_ns=returned_ns,
            latching=True,
            age_s=5100,
        ),
        make(
            "point.esp01.humidity",
            title="Cold box ESP01 / humidity",
            area="environment",
            text="was 76.1 %, limit 75.0",
            base=BaseState.RETURNED,
            returned_ns=returned_ns,
            age_s=1848,
        ),
        make("member.mCBM.TRD", title="mCBM / TRD", text="agent has not answered since 02:32:45", age_s=2339),
        make("value.trd.a", title="TRD / a", text="no present value", age_s=2330, cause_id="member.mCBM.TRD"),
        make(
            "point.esp02.co2",
            title="Clean room ESP02 / co2",
            area="environment",
            priority=3,
            text="1 312 ppm above warning limit 1 200 ppm",
            age_s=352,
        ),
        make(
            "point.marta.pt04",
            title="MARTA CO2 plant / PT04_CO2",
            area="cooling/marta",
            priority=3,
            text="71.2 bar above warning limit 70.0 bar",
            base=BaseState.ACKNOWLEDGED,
            acknowledged_by="anna",
            acknowledged_ns=now_ns - 780 * SECOND_NS,
            age_s=804,
        ),
        make(
            "custom.history_disk",
            title="History store",
            priority=4,
            text="disk 81 % full, warning at 80 %",
            base=BaseState.ACKNOWLEDGED,
            acknowledged_by="ben",
            acknowledged_ns=now_ns - 90_000 * SECOND_NS,
            age_s=100_000,
        ),
        make(
            "point.esp02.humidity", title="Clean room ESP02 / humidity", priority=3, shelf=shelf, base=BaseState.NORMAL
        ),
        make("point.caen.0.hv_v", title="CAEN ch 0 / HV V", suppressed="HV alarms while a channel is off by intention"),
        make("channel.caen.3", title="CAEN mainframe ch 3", service=service),
    ]


def two_rules(now_ns: int) -> list[RuleState]:
    """One that acted and was refused, and one that waits for its time."""
    refusal = Cause(code="denied", message="rule.bath_warm is viewer on device.caen", suggestion="add it to roles")
    firing = Firing(
        number=3,
        time_ns=now_ns - 600 * SECOND_NS,
        since_ns=now_ns - 900 * SECOND_NS,
        evidence={"chiller.internal_temp": 35.6, "state of partition mCBM": "Idle"},
        outcomes=(
            ActionOutcome(action="log: warm", result=ActionResult.DONE),
            ActionOutcome(action="caen: hv_off", result=ActionResult.REFUSED, cause=refusal),
        ),
        ended_ns=now_ns - 599 * SECOND_NS,
    )
    return [
        RuleState(
            rule="bath_warm",
            title="Bath warm for long",
            reason="The supplies heat it further.",
            when="chiller.internal_temp is above 35, for 5 min",
            unless="partition.mCBM is Recording",
            actions=("log: warm", "caen: hv_off"),
            armed=True,
            phase=RulePhase.SPENT,
            firings=3,
            held_back=2,
            last=firing,
            most_per_s=3600.0,
        ),
        RuleState(
            rule="night",
            title="Chiller to standby",
            reason="An empty hall needs no cooling.",
            when="0 22 * * * (Europe/Berlin)",
            actions=("ramp chiller.setpoint_1 to 20 at 0.01 per s",),
            armed=False,
            armed_by="ben",
            armed_reason="the chiller is repaired",
            phase=RulePhase.DISARMED,
        ),
    ]

"""The interlock of a cold box: the real step decides, while its inputs are what the test wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from countingroom.alarms.interlocks.described import interlock_spec
from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.interlocks import chart
from countingroom.core.interlocks.events import (
    ActionKind,
    BypassCause,
    EndBypass,
    InputReading,
    InterlockEvent,
    RecordProofTest,
    ReportEffect,
    ResetInterlock,
)
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryAnswer
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import Command, encode
from countingroom.core.policy import Role

_SECOND_NS = 1_000_000_000
_BOX: dict[str, Any] = {
    "title": "Cooling lost",
    "causes": {
        "bath": {
            "title": "Bath too warm",
            "inputs": [{"limit": {"point": "chiller.bath", "alarm_high": 35}}],
        },
        "pressure": {
            "title": "Plant pressure",
            "inputs": [{"limit": {"point": f"marta.p{one}", "alarm_high": 78}} for one in (1, 2)],
            "vote": "1oo2",
        },
        "modules": {
            "title": "Modules too warm",
            "inputs": [{"limit": {"point": f"caen.{one}.temp", "alarm_high": 40}} for one in range(3)],
            "vote": "2oo3",
        },
        "dew": {"title": "Dew point margin", "inputs": [{"limit": {"point": "esp.margin", "alarm_low": 3}}]},
    },
    "effects": {
        "hv": {
            "title": "HV off",
            "commands": [{"device": "caen", "channel": one, "command": "off"} for one in (0, 1)],
        },
        "lv": {"title": "LV off", "commands": [{"device": "caen", "channel": 0, "command": "lv_off"}]},
        "stop": {"title": "Stop run", "stop": "mCBM"},
        "no_start": {"title": "No start", "forbid": "mCBM"},
    },
    "matrix": {
        "bath": {"hv": 0, "lv": "300 s", "stop": 0, "no_start": 0},
        "pressure": ["hv", "stop", "no_start"],
        "modules": ["hv", "lv", "stop", "no_start"],
        "dew": ["hv", "stop"],
    },
    "proof_test": "180 d",
}
_QUIET = {
    ("bath", 0): InputReading(Truth.FALSE, 21.4),
    ("pressure", 0): InputReading(Truth.FALSE, 57.6),
    ("pressure", 1): InputReading(Truth.FALSE, 71.2),
    ("modules", 0): InputReading(Truth.TRUE, 41.2),
    ("modules", 1): InputReading(Truth.FALSE, 38.1),
    ("modules", 2): InputReading(Truth.FALSE, 36.9),
    ("dew", 0): InputReading(Truth.FALSE, 9.0),
}


class InterlockStage:
    """The interlock `cooling_lost`, published after each step."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._spec = interlock_spec("cooling_lost", InterlockSection.model_validate(_BOX))
        self._inputs = dict(_QUIET)
        self._rows: list[InterlockEntry] = []
        self.state = chart.initial(self._spec)

    async def read(self, **inputs: InputReading) -> None:
        """The first input of these causes is so from now on."""
        self._inputs |= {(cause, 0): reading for cause, reading in inputs.items()}
        await self._step()

    async def reached(self, effect: str) -> None:
        """The devices or run control did what the effect asks for."""
        await self._step(ReportEffect(effect=effect, trip=self.state.trip))

    async def command(self, command: Command, user: str) -> Cause | None:
        """What the department does with a command; why it refuses."""
        given = command.arguments
        person: Mapping[str, Any] = {"by": user, "role": Role.EXPERT}
        event: InterlockEvent
        match command.action:
            case "reset":
                event = ResetInterlock(reason=str(given.get("reason") or ""), **person)
            case "bypass":
                until_ns = self._clock.now_ns() + round(float(given["seconds"] or 0) * _SECOND_NS)
                event = BypassCause(cause=str(given["cause"]), reason=str(given["reason"]), until_ns=until_ns, **person)
            case "end_bypass":
                event = EndBypass(cause=str(given["cause"]), **person)
            case _:
                event = RecordProofTest(passed=bool(given["passed"]), comment=str(given.get("comment") or ""), **person)
        return await self._step(event)

    async def history(self, _: Message) -> bytes:
        """The answer to a question for the history, newest first."""
        return encode(InterlockHistoryAnswer(records=tuple(reversed(self._rows))))

    async def _step(self, event: InterlockEvent = chart.TIME_PASSED) -> Cause | None:
        now_ns = self._clock.now_ns()
        self.state, actions = chart.step(self._spec, self.state, self._inputs, now_ns, event)
        for one in actions:
            if one.kind is ActionKind.REFUSED:
                return one.refusal
            entry = InterlockEntry(
                time_ns=now_ns, interlock="cooling_lost", kind=one.kind, name=one.name, trip=one.trip, text=one.text
            )
            self._rows.append(entry)
        await self._bus.put(subjects.STATE_BUCKET, subjects.interlock_key("cooling_lost"), encode(self.state))
        return None

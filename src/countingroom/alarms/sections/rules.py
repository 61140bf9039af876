"""The section `alarms.rules`: what a rule watches for, what it does, and what its principal may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from countingroom.alarms.sections.conditions import ConditionKeys, PointName, Positive
from countingroom.alarms.sections.inherited import Problem, Texts
from countingroom.core import policy
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import EventKind
from countingroom.core.rules import cron
from countingroom.core.rules.actions import DEADLINE_S
from countingroom.core.rules.specs import CronTrigger
from countingroom.core.yaml.section import Name, Seconds, Section

Word = Literal["viewer", "shifter", "expert", "administrator"]
Value = float | int | bool | str
"""A value of an argument or of an event."""
MOST_ACTIONS = 20


class EventKeys(Section):
    """An event. Each key that is given must be equal."""

    department: Name
    """Of the event: `runs`, `devices`, `alarms`, `console`."""
    kind: EventKind | None = None
    source: str = ""
    """What it is about: `caen`, `mCBM`."""
    channel: str = ""
    action: str = ""
    """Its command: `start`, `hv_on`."""
    before: str = ""
    """The state before it."""
    after: str = ""
    """The state after it."""
    principal: str = ""
    """The user or rule that caused it."""
    data: dict[str, Value] = {}
    """Further values that it must have."""

    def problems(self) -> Iterator[Problem]:
        """One that fits every event of a department."""
        if not (self.kind or self.source or self.action or self.before or self.after or self.data):
            yield (), "give at least one of kind, source, action, before, after, data: it fits every event"


class TriggerKeys(ConditionKeys):
    """When a rule acts: a condition that becomes true, times of cron, or an event."""

    cron: str = ""
    """Minute, hour, day of month, month, day of week: `0 22 * * *`."""
    zone: str = "UTC"
    """Time zone of `cron`: `Europe/Berlin`."""
    event: EventKeys | None = None

    @property
    def is_condition(self) -> bool:
        """Whether it is a condition."""
        return bool(self.kind)

    def problems(self) -> Iterator[Problem]:
        """None, or more than one; times that cannot be read."""
        given = [key for key, part in (("cron", self.cron), ("event", self.event)) if part]
        given += [self.kind] if self.kind else []
        if self.kind and len(given) == 1:
            yield from super().problems()
        elif len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            yield (), f"give exactly one of cron, event, or a condition; {found}"
        if self.cron:
            try:
                cron.check(CronTrigger(expression=self.cron, zone=self.zone))
            except ConfigurationError as error:
                key = "zone" if "time zone" in error.cause.message else "cron"
                yield (key,), f"{error.cause.message}; {error.cause.suggestion}"
        if self.zone != "UTC" and not self.cron:
            yield ("zone",), "zone is that of cron, which is not given"


class CommandKeys(Section):
    """A command to a device, to a partition, or to the experiment."""

    device: str = ""
    partition: str = ""
    command: str
    """As the API names it: `hv_off`, `set`, `stop`. To neither a device nor a partition: of the experiment."""
    channel: str = ""
    arguments: dict[str, Value] = {}
    deadline: Positive = DEADLINE_S
    """It must have ended after so long."""

    def problems(self) -> Iterator[Problem]:
        """Two targets."""
        if self.device and self.partition:
            yield ("partition",), "give device or partition, not both"
        if self.channel and not self.device:
            yield ("channel",), "channel is that of a device, which is not given"


class RampKeys(Section):
    """Brings a setpoint to a value at a rate. A device that ramps by itself is told the rate and does it."""

    point: PointName
    """The setpoint."""
    to: float
    rate: Annotated[float, Field(gt=0)]
    """In the unit of the point, in each `per`."""
    per: Positive = 1.0
    every: Annotated[Seconds, Field(ge=1.0)] = 5.0
    """Time between two steps where the device does not ramp by itself."""


class LogKeys(Section):
    """An entry of the events, and of the run book where it names a partition."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    run_book: str = ""
    """A partition: the entry is a comment of its open run."""


def _log(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class NotifyKeys(Section):
    """A message to people, through the channels of the section `alarms.notify`."""

    to: Annotated[Texts, Field(min_length=1)]
    """Channels, persons or calendars, by name."""
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    title: Annotated[str, Field(max_length=200)] = ""
    """That of the rule where empty."""


ACTIONS = ("command", "ramp", "notify", "log")


class ActionKeys(Section):
    """One action: exactly one of these keys."""

    command: CommandKeys | None = None
    ramp: RampKeys | None = None
    notify: NotifyKeys | None = None
    log: Annotated[LogKeys, BeforeValidator(_log, json_schema_input_type=str | LogKeys)] | None = None

    @property
    def kind(self) -> str:
        """The key that is given; empty: none."""
        return next((key for key in ACTIONS if getattr(self, key) is not None), "")

    def problems(self) -> Iterator[Problem]:
        """None, or more than one."""
        given = [key for key in ACTIONS if getattr(self, key) is not None]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            yield (), f"give exactly one of {', '.join(ACTIONS)}; {found}"


class MostKeys(Section):
    """How often a rule acts at most."""

    times: Annotated[int, Field(ge=1, le=100)] = 1
    per: Positive = 60.0


class RuleSection(Section):
    """Logic that acts by itself, under the name and with the rights of the principal `rule.<name>`."""

    title: str = ""
    """For display; the name where empty."""
    reason: Annotated[str, Field(min_length=1)]
    """The reason for this rule, shown with what it did."""
    when: TriggerKeys
    """It acts once when this becomes true, and again only after it was false."""
    unless: ConditionKeys | None = None
    """It acts only while this is known and false."""
    hold: Annotated[Seconds, Field(ge=0)] = Field(default=0.0, alias="for")
    """The condition must be true for so long."""
    do: Annotated[list[ActionKeys], Field(min_length=1, max_length=MOST_ACTIONS)]
    """Its actions, one after the other; each begins when the one before is done."""
    go_on: bool = False
    """Do the further actions also after one that was refused or failed."""
    roles: dict[Annotated[str, Field(pattern=r"^(\*|_experiment|(device|partition)\.[A-Za-z0-9_\-*?.]+)$")], Word] = {}
    """Target or pattern of targets (`device.caen`, `partition.*`, `_experiment`) -> its role there. Without an entry it
    may do nothing there."""
    armed: bool = True
    """Whether it is armed. It stays as a person has left it, until this is changed."""
    arming: Literal["shifter", "expert", "administrator"] = "shifter"
    """The lowest role that may arm and disarm it."""
    if_already_true: Literal["wait", "act"] = "wait"
    """What it does where the condition is true already when the department starts, or when it is armed."""
    most: MostKeys = MostKeys()

    @property
    def principal_roles(self) -> dict[str, policy.Role]:
        """`roles` as the policy takes them."""
        return {target: policy.Role[word.upper()] for target, word in self.roles.items()}

    def problems(self) -> Iterator[Problem]:
        """Keys of a condition beside another trigger."""
        if not self.when.is_condition:
            if self.hold:
                yield ("for",), "only a condition can hold for a time; when has none"
            if self.if_already_true == "act":
                yield ("if_already_true",), "only a condition can be true already; when has none"

"""The key `interlocks` of the section `alarms`: cause-and-effect matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.inherited import InheritedKeys, PrioritiesSection, Problem
from countingroom.core.values import Scalar
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean

_DAY = 86400.0
Delay = Annotated[Seconds, Field(ge=0)]
Positive = Annotated[Seconds, Field(gt=0)]
RoleName = Literal["shifter", "expert", "administrator"]
"""A role that may change something; a higher one may as well."""


class FaultSection(Section):
    """A fault that the simulator of a device is given."""

    device: Name
    fault: Name
    """Its name: `freeze`, `trip`."""
    arguments: dict[str, Scalar] = {}


class RestoreSection(Section):
    """The fault that ends it."""

    device: Name | None = None
    """The device of `simulate` where it is not given."""
    fault: Name = "restore"
    arguments: dict[str, Scalar] = {}


class CauseTestSection(Section):
    """How `countingroom interlock test` provokes the cause while the devices are simulated."""

    simulate: FaultSection
    restore: RestoreSection = RestoreSection()
    within: Positive = 60.0
    """How long the devices may take, beside the declared delays: to make the cause true, to reach the effects, and to
    be good again after `restore`."""


class CauseSection(Section):
    """One cause: a row of the matrix."""

    title: str = ""
    """For display; the name where empty."""
    inputs: Annotated[list[ConditionKeys], Field(min_length=1, max_length=100)]
    """Conditions. One that cannot be evaluated, because a value is stale, bad or missing, counts as true."""
    vote: Annotated[str, Field(pattern=r"^[1-9][0-9]?oo[1-9][0-9]?[0-9]?$")] | None = None
    """`2oo3`: two of the three inputs must be true. One is enough where it is not given."""
    on_delay: Delay = 0.0
    """They must be true for so long before the cause trips."""
    unknown_delay: Delay | None = None
    """The same where inputs count as true because they cannot be evaluated; `on_delay` where it is not given."""
    test: CauseTestSection | None = None
    """How the cause is provoked by simulation."""

    @property
    def needed(self) -> int:
        """How many inputs must be true."""
        return int(self.vote.partition("oo")[0]) if self.vote else 1

    def problems(self) -> Iterator[Problem]:
        """A vote that does not fit the inputs."""
        if self.vote:
            needed, of = (int(part) for part in self.vote.split("oo"))
            if of != len(self.inputs):
                yield ("vote",), f"{self.vote} names {of} inputs, and there are {len(self.inputs)}"
            elif needed > of:
                yield ("vote",), f"{needed} of {of} inputs cannot be true"


class EffectCommand(Section):
    """One command of an effect to a device."""

    device: Name
    channel: Annotated[str, BeforeValidator(lambda given: str(given) if isinstance(given, int) else given)] = ""
    """Empty: the device itself."""
    command: Annotated[str, Field(min_length=1)]
    """Name of a command of the device, or `set` with the arguments `point` and `value`."""
    arguments: dict[str, Scalar] = {}


EFFECTS = ("commands", "stop", "forbid")


class EffectSection(Section):
    """One effect: a column of the matrix. Exactly one of `commands`, `stop`, `forbid`."""

    title: str = ""
    """For display; the name where empty."""
    commands: Annotated[list[EffectCommand], Field(max_length=100)] = []
    """Commands to devices, in the order in which they are sent."""
    stop: Name | None = None
    """Partition whose run is stopped."""
    forbid: Name | None = None
    """Partition in which no run can be started while the effect acts."""

    def problems(self) -> Iterator[Problem]:
        """None, or more than one of the kinds."""
        given = [key for key in EFFECTS if getattr(self, key)]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            yield (), f"give exactly one of {', '.join(EFFECTS)}; {found}"


class BypassSection(Section):
    """The role that may bypass a cause, and the longest time."""

    role: RoleName = "expert"
    longest: Positive = 8 * 3600.0


class SilentSection(Section):
    """What a device host does of itself when it has heard no alarm engine."""

    after: Annotated[Seconds, Field(ge=1)]
    """So long after it heard one last."""
    effects: Annotated[list[Name], Field(min_length=1)]
    """Effects of which it carries out the commands to its own devices."""


def _row(given: Any) -> Any:
    """A list of effects is a row without delays."""
    return dict.fromkeys(given, 0.0) if isinstance(given, list) else given  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]


MatrixRow = Annotated[dict[Name, Delay], BeforeValidator(_row, json_schema_input_type=dict[Name, Delay] | list[Name])]
"""Effect -> its delay after the trip of the cause; or a list of effects without a delay."""


class InterlockSection(InheritedKeys):
    """One interlock. Its alarm is `interlock.<name>`, of priority 1 where `priority` gives no other."""

    title: str = ""
    """For display; the name where empty."""
    area: str | None = None
    """Path of the area of its alarm."""
    causes: Annotated[dict[Name, CauseSection], Field(min_length=1)]
    effects: Annotated[dict[Name, EffectSection], Field(min_length=1)]
    matrix: dict[Name, MatrixRow]
    """Cause -> the effects that it leads to."""
    latch: bool = True
    """It stays tripped until a person resets it."""
    reset: RoleName = "shifter"
    """The role that may reset it, when all causes are gone."""
    bypass: BypassSection = BypassSection()
    proof_test: Positive | None = None
    """It is to be tested at least so often."""
    engine_silent: SilentSection | None = None

    def problems(self) -> Iterator[Problem]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Causes and effects that do not exist."""
        yield from super().problems()
        for cause, row in self.matrix.items():
            if cause not in self.causes:
                yield ("matrix", cause), f"there is no cause {cause}{did_you_mean(cause, self.causes)}"
            for effect in row:
                if effect not in self.effects:
                    yield ("matrix", cause, effect), f"there is no effect {effect}{did_you_mean(effect, self.effects)}"
        for index, effect in enumerate(self.engine_silent.effects if self.engine_silent else ()):
            if effect not in self.effects:
                message = f"there is no effect {effect}{did_you_mean(effect, self.effects)}"
                yield ("engine_silent", "effects", index), message
            elif not self.effects[effect].commands:
                yield ("engine_silent", "effects", index), f"{effect} has no commands that a device host could send"


def interlock_priority(section: InterlockSection) -> int:
    """The priority of its alarms: its own, and not that of its area."""
    given = section.priority
    if isinstance(given, PrioritiesSection):
        given = given.alarm
    return given or 1

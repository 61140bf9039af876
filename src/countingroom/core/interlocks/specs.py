"""The specification of an interlock: causes, effects, and the matrix between them.

It is made from the section `alarms.interlocks` of the description. Times are ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.policy import Role
from countingroom.core.values import Scalar

Delay = Annotated[int, Meta(ge=0)]
Period = Annotated[int, Meta(gt=0)]

HOUR_NS = 3_600_000_000_000
LONGEST_BYPASS_NS = 8 * HOUR_NS
SILENT_S = 10.0
"""A start is refused after this time without an alarm engine, if the interlock declares no `engine_silent`."""


class InterlockEffect(StrEnum):
    """What an effect does."""

    COMMANDS = "commands"
    """Commands to devices, in their order."""
    STOP = "stop"
    """The run of a partition is stopped."""
    FORBID = "forbid"
    """The start of a run of a partition is refused while the effect acts (a permissive)."""


class SimulatorFault(Struct, frozen=True, kw_only=True):
    """A fault of the simulator of a device."""

    device: str
    fault: str
    arguments: dict[str, Scalar] = {}

    @property
    def shown(self) -> str:
        """In words: `chiller trip code=-3`."""
        return " ".join((self.device, self.fault, *(f"{name}={value}" for name, value in self.arguments.items())))


class CauseTest(Struct, frozen=True, kw_only=True):
    """How a cause is provoked while the devices are simulated."""

    simulate: SimulatorFault
    restore: SimulatorFault
    """Ends what `simulate` began."""
    trip_ns: Delay
    """The cause is to trip so long after the fault at the latest, beside the time after which its points are stale."""
    within_ns: Period
    """The effects are to be reached so long after they began, and the cause is to be gone so long after `restore`."""


class CauseSpec(Struct, frozen=True, kw_only=True):
    """One cause: some conditions, of which enough must be true. ValueError where the vote is not possible."""

    name: str
    title: str = ""
    inputs: tuple[DescribedCondition, ...]
    """A condition that cannot be evaluated (stale, bad or missing) counts as true."""
    vote: Annotated[int, Meta(ge=1)] = 1
    """So many of the inputs must be true: the 2 of `2oo3`."""
    on_delay_ns: Delay = 0
    """The vote must hold for so long before the cause trips."""
    unknown_delay_ns: Delay = 0
    """The same where the vote holds only because inputs cannot be evaluated."""
    test: CauseTest | None = None
    """None: no test by simulation is declared."""

    def __post_init__(self) -> None:
        if not 1 <= self.vote <= len(self.inputs):
            raise ValueError(f"cause {self.name}: a vote of {self.vote} among {len(self.inputs)} inputs cannot be")

    @property
    def shown(self) -> str:
        """Its title for people."""
        return self.title or self.name

    @property
    def points(self) -> tuple[str, ...]:
        """Addresses of all points and states that it depends on, each once."""
        return tuple(dict.fromkeys(address for one in self.inputs for address in one.inputs))


class DeviceCommand(Struct, frozen=True, kw_only=True):
    """One command of an effect."""

    device: str
    channel: str = ""
    """Empty: the device itself."""
    command: str
    arguments: dict[str, Scalar] = {}

    @property
    def target(self) -> str:
        """For people: `caen.0`."""
        return f"{self.device}.{self.channel}" if self.channel else self.device

    @property
    def shown(self) -> str:
        """In words: `caen.0 off`, `caen.0 set v_set=0`."""
        return " ".join((self.target, self.command, *(f"{name}={value}" for name, value in self.arguments.items())))


class EffectSpec(Struct, frozen=True, kw_only=True):
    """One effect: exactly one of `commands`, `stop` and `forbid`. ValueError otherwise."""

    name: str
    title: str = ""
    commands: tuple[DeviceCommand, ...] = ()
    """In the order in which they are sent. One that fails does not keep back the next."""
    stop: str = ""
    """Partition whose run is stopped."""
    forbid: str = ""
    """Partition in which no run is started while this effect acts."""

    def __post_init__(self) -> None:
        if bool(self.commands) + bool(self.stop) + bool(self.forbid) != 1:
            raise ValueError(f"effect {self.name}: give exactly one of commands, stop and forbid")

    @property
    def kind(self) -> InterlockEffect:
        """What it does."""
        if self.commands:
            return InterlockEffect.COMMANDS
        return InterlockEffect.STOP if self.stop else InterlockEffect.FORBID

    @property
    def partition(self) -> str:
        """The partition whose run it stops or whose start it forbids; empty: none."""
        return self.stop or self.forbid

    @property
    def does(self) -> str:
        """What it does, in words: `caen.0 off, caen.1 off`."""
        if self.stop:
            return f"stop the run of {self.stop}"
        if self.forbid:
            return f"no start of {self.forbid}"
        return ", ".join(one.shown for one in self.commands)

    @property
    def shown(self) -> str:
        """Its title for people."""
        return self.title or self.name


class MatrixCell(Struct, frozen=True, kw_only=True):
    """A cause leads to an effect."""

    cause: str
    effect: str
    delay_ns: Delay = 0
    """From the trip of the cause to the effect."""


class Permissive(Struct, frozen=True, kw_only=True):
    """An effect that forbids the start of runs of a partition while it acts, or while it is not known."""

    interlock: str
    title: str
    effect: str
    silent_s: float
    """Without a sign of life of an alarm engine for so long the start is refused as well."""


class BypassRule(Struct, frozen=True, kw_only=True):
    """The role that may bypass a cause, and the longest time."""

    role: Role = Role.EXPERT
    longest_ns: Period = LONGEST_BYPASS_NS


class SilenceRule(Struct, frozen=True, kw_only=True):
    """The effects that a device host carries out when it has received no heartbeat of an engine for a time."""

    after_ns: Period
    effects: tuple[str, ...]
    """Those of its own devices are carried out."""


class InterlockSpec(Struct, frozen=True, kw_only=True):
    """One interlock. ValueError if the matrix names a cause or an effect that does not exist."""

    name: str
    title: str = ""
    causes: tuple[CauseSpec, ...]
    """In the order of the description, which decides between causes that trip at the same time."""
    effects: tuple[EffectSpec, ...]
    matrix: tuple[MatrixCell, ...]
    latch: bool = True
    """It stays tripped until a person resets it. Without a latch it releases when its causes are gone."""
    reset_role: Role = Role.SHIFTER
    bypass: BypassRule = BypassRule()
    proof_test_ns: Period | None = None
    """It is to be tested at least so often; None: no period is declared."""
    engine_silent: SilenceRule | None = None
    priority: Annotated[int, Meta(ge=1, le=4)] = 1
    """Of its alarm."""

    def __post_init__(self) -> None:
        causes, effects = {one.name for one in self.causes}, {one.name for one in self.effects}
        for cell in self.matrix:
            if cell.cause not in causes:
                raise ValueError(f"interlock {self.name}: the matrix names the cause {cell.cause}, which is not there")
            if cell.effect not in effects:
                raise ValueError(f"interlock {self.name}: the matrix names {cell.effect}, which is no effect of it")
        for name in self.engine_silent.effects if self.engine_silent else ():
            if name not in effects:
                raise ValueError(f"interlock {self.name}: engine_silent names {name}, which is no effect of it")

    @property
    def shown(self) -> str:
        """Its title for people."""
        return self.title or self.name

    def cause(self, name: str) -> CauseSpec | None:
        """The cause of this name; None: there is none."""
        return next((one for one in self.causes if one.name == name), None)

    def effect(self, name: str) -> EffectSpec | None:
        """The effect of this name; None: there is none."""
        return next((one for one in self.effects if one.name == name), None)

    def cells(self, effect: str) -> Iterator[MatrixCell]:
        """The cells of one effect."""
        return (cell for cell in self.matrix if cell.effect == effect)


def permissives(specs: Iterable[InterlockSpec]) -> dict[str, tuple[Permissive, ...]]:
    """Partition -> what can forbid the start of its runs."""
    found: dict[str, tuple[Permissive, ...]] = {}
    for spec in specs:
        silent_s = spec.engine_silent.after_ns / 1e9 if spec.engine_silent else SILENT_S
        for effect in spec.effects:
            if effect.forbid:
                one = Permissive(interlock=spec.name, title=spec.shown, effect=effect.name, silent_s=silent_s)
                found[effect.forbid] = (*found.get(effect.forbid, ()), one)
    return found

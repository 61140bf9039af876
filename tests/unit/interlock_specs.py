"""Interlocks for tests."""

from __future__ import annotations

from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.interlocks.specs import (
    CauseSpec,
    DeviceCommand,
    EffectSpec,
    InterlockSpec,
    MatrixCell,
)


def condition(point: str, above: float = 35.0) -> DescribedCondition:
    """A point above a limit."""
    return DescribedCondition(spec=LimitSpec(high=(AlarmLimit(above, 2),)), inputs=(point,), text=f"{point} is high")


def cause(name: str, inputs: int = 1, *, vote: int = 1, on_ns: int = 0, unknown_ns: int = 0) -> CauseSpec:
    """A cause of some inputs."""
    return CauseSpec(
        name=name,
        inputs=tuple(condition(f"plant.{name}{number}") for number in range(inputs)),
        vote=vote,
        on_delay_ns=on_ns,
        unknown_delay_ns=unknown_ns,
    )


OFF = EffectSpec(name="off", commands=(DeviceCommand(device="caen", channel="0", command="off"),))
STOP = EffectSpec(name="stop", stop="mCBM")
FORBID = EffectSpec(name="no_start", forbid="mCBM")


def interlock(*causes: CauseSpec, cells: dict[tuple[str, str], int], latch: bool = True) -> InterlockSpec:
    """An interlock with all three kinds of effects. `cells`: (cause, effect) -> delay in ns."""
    return InterlockSpec(
        name="cooling",
        causes=causes,
        effects=(OFF, STOP, FORBID),
        matrix=tuple(
            MatrixCell(cause=one, effect=effect, delay_ns=delay_ns) for (one, effect), delay_ns in cells.items()
        ),
        latch=latch,
    )

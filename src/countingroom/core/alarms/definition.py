"""Definitions of alarms, made from the description, for the engine, the console and the CLI."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.alarms.states import HIGHEST_PRIORITY, LOWEST_PRIORITY

PLAIN_PRIORITIES = (1, 2, 3, 4)
"""The priority of each level where the description changes none."""


class Guidance(Struct, frozen=True, kw_only=True, gc=False):
    """What a person must know to react to an alarm."""

    meaning: str = ""
    """What it means, in one or two sentences."""
    do: tuple[str, ...] = ()
    """What to do, one step after the other."""
    time_to_act_s: float | None = None
    """How long there is to do it; None: not described."""
    if_not: str = ""
    """What happens if nothing is done."""

    @property
    def is_given(self) -> bool:
        """Whether it says what to do, or at least what the alarm means."""
        return bool(self.meaning or self.do)


NO_GUIDANCE = Guidance()


class AlarmArea(Struct, frozen=True, kw_only=True, gc=False):
    """An area of the experiment, with what its alarms inherit."""

    path: str
    """`cooling/chiller`; empty: the experiment as a whole."""
    title: str
    guidance: Guidance = NO_GUIDANCE
    contact: str = ""
    links: dict[str, str] = {}
    """Title -> address."""


class Count(Struct, frozen=True, kw_only=True, gc=False):
    """The condition must be true in `n` of the last `of` readings."""

    n: int
    of: int


class AlarmDefinition(Struct, frozen=True, kw_only=True, gc=False):
    """One alarm of the description. Its condition gives a level, 0 for clear, of which `priority` makes a priority."""

    id: str
    """See `core/alarms/identity.py`."""
    area: str = ""
    """Path in the area tree; empty: in no area."""
    title: str
    """Its source for people: `Julabo chiller / Bath`."""
    priorities: tuple[int, int, int, int] = PLAIN_PRIORITIES
    """The priority of each level, 1 to 4, of the condition."""
    guidance: Guidance = NO_GUIDANCE
    contact: str = ""
    """The person or service to call."""
    links: dict[str, str] = {}
    """Title -> address of a page that helps."""
    latching: bool = False
    """It stays after its return until a person resets it."""
    on_delay_s: float = 0.0
    """Its condition must be true for so long."""
    off_delay_s: float = 0.0
    """Its condition must be clear for so long."""
    hysteresis: float = 0.0
    """So far, in the unit of the point, must a value come back from its limit before the condition is clear."""
    count: Count | None = None
    """None: one reading is enough."""
    device: str = ""
    channel: str = ""
    point: str = ""
    """Name of the point within the device."""
    partition: str = ""
    system: str = ""
    role: str = ""
    """The process of the control system."""
    suppressions: tuple[str, ...] = ()
    """Names of the conditions of the section by which it is suppressed."""
    custom: str = ""
    """Name of the alarm in the section `alarms`."""

    def priority(self, level: int) -> int:
        """The priority of a level of the condition, 1 to 4."""
        return self.priorities[min(max(level, HIGHEST_PRIORITY), LOWEST_PRIORITY) - 1]

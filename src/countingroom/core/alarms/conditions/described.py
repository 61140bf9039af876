"""A condition that the description writes itself, in the form in which alarms, interlocks and rules evaluate it.

Pure: it holds what to evaluate, and is evaluated by `rows.py`.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.alarms.conditions.rows import Derive
from countingroom.core.alarms.conditions.specs import ConditionSpec
from countingroom.core.points import Limits


class DescribedCondition(Struct, frozen=True, kw_only=True):
    """One condition, with what it depends on."""

    spec: ConditionSpec
    inputs: tuple[str, ...]
    """Addresses of points, `<device>.<point>`, or of states (`state_address`)."""
    derive: Derive | None = None
    text: str
    """What is abnormal, without the value: `the state of device.caen is error`."""
    limits: Limits | None = None
    """Of a limit: its text names the value."""


def state_address(subject: str) -> str:
    """The address under which the state of a thing is evaluated; it is no name of a device."""
    return f"state of {subject.replace('.', ' ', 1)}.word"


def state_value(word: str, common: str) -> str:
    """The value of a state: its own word and the common state. One value, because two would change one by one."""
    return f"{word}\n{common}"

"""Checks of the arguments of faults."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.errors import OutOfRange
from countingroom.core.values import Scalar


def number(arguments: Mapping[str, Scalar], name: str, default: float | None = None) -> float:
    """A number."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OutOfRange(f"{name} must be a number; got {value!r}", code="wrong_type")
    return float(value)


def text(arguments: Mapping[str, Scalar], name: str, default: str | None = None) -> str:
    """A text."""
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise OutOfRange(f"{name} must be a text; got {value!r}", code="wrong_type")
    return value

"""Base class and common types for the sections of the experiment's description.

A section refuses unknown keys and is frozen; durations are written with a unit. Each department declares its section in
its own `description.py`; the package `experiment` combines and loads them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Struct
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from countingroom.core.subjects import is_token

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31557600.0}
_LONGEST_S = 290 * _SECONDS["y"]
"""Longest duration that fits in 64-bit nanoseconds."""
_DURATION = re.compile(r"\s*([0-9.]+)\s*([a-z]*)\s*")


class Section(BaseModel):
    """A part of the description. The text below a field is its description in the schema (field_texts.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @property
    def in_use(self) -> bool:
        """Whether `up` starts the roles of its department."""
        return True


class Reference(Struct, frozen=True, kw_only=True):
    """A name in one section of a thing that another section holds. A section gives them by `references()`."""

    path: tuple[str, ...]
    """Where the name stands, within the section."""
    section: str
    """Key of the other section, a table of things by name."""
    kind: str
    """For the error text: `device`."""
    name: str


class AreaName(Struct, frozen=True, kw_only=True):
    """The area of the section `alarms` that a thing of another section names. A section gives them by `own_areas()`."""

    path: tuple[str, ...]
    """Where the area stands, within the section."""
    subject: str
    """The thing: `device.caen`, `system.STS`, `partition.mCBM`."""
    area: str


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    try:
        if match and match[2] in _SECONDS:
            return float(match[1]) * _SECONDS[match[2]]
    except ValueError:
        pass
    raise ValueError(f"a duration is a number with one of {', '.join(_SECONDS)}, such as 500 ms or 10 s; got {value!r}")


def _span(value: float) -> float:
    if abs(value) > _LONGEST_S:
        raise ValueError(f"a duration is at most 290 y; got {value:g} s")
    return value


def _name(value: str) -> str:
    if not is_token(value):
        raise ValueError(f"a name has letters, digits, _ and - only; got {value!r}")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str), AfterValidator(_span)]
"""A duration in seconds, written as `10`, `500 ms`, `2 min`, `30 d`."""

Name = Annotated[str, AfterValidator(_name)]
"""A name that can stand in a bus subject and in a URL."""

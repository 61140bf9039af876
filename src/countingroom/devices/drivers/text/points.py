"""The points of a table of queries. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.text.description import ERROR, IDENTIFICATION, TextSection, TextValue

_STALE_S = 30.0
_STALE_POLLS = 3


def points(section: TextSection) -> tuple[Point, ...]:
    """Every value of the table in its order, then the identification and the error."""
    found = [_point(name, value, section) for name, value in section.values.items()]
    if section.identify:
        found.append(Point(name=IDENTIFICATION, label="Identification", type=Type.STRING, main=False))
    if section.errors:
        description = "what the instrument reported since the poll before; empty: nothing"
        found.append(Point(name=ERROR, label="Error", description=description, type=Type.STRING))
    return tuple(found)


def channels(section: TextSection) -> tuple[str, ...]:
    """The channels in its names, in order."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in section.values if "." in name))


def _point(name: str, value: TextValue, section: TextSection) -> Point:
    usual = 2 if value.type == "float" else 0
    precision = usual if value.precision is None else value.precision
    point = value.as_point(name, Type(value.type), precision=precision, writable=bool(value.set))
    return replace(
        point,
        choices=point.choices or tuple(dict.fromkeys(value.words.values())),
        codes=point.codes or {str(code): word for word, code in value.words.items() if str(code) != word},
        stale_after_s=max(_STALE_S, _STALE_POLLS * max(value.poll or 0.0, section.poll)),
    )

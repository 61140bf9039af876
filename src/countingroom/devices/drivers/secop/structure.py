"""What a SECoP node says of a parameter, as points; its JSON values as values of points, and back. Pure.

A tuple or struct of plain values is one point for each of them. What holds arrays is one text of JSON, read only.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Scalar

STALE_AFTER_S = 30.0
STATUS, STATUS_TEXT = "status", "status_text"
MOST_LETTERS = 4096
"""Of a text; a longer one is BAD."""
_MAIN = ("value", "target", STATUS, STATUS_TEXT)
_MOST_DECIMALS = 12
_SHOWN = 60
_PLAIN = {"double": Type.FLOAT, "scaled": Type.FLOAT, "int": Type.INT, "enum": Type.INT, "bool": Type.BOOL}
_PLAIN["string"] = Type.STRING

Info = Mapping[str, Any]
"""The `datainfo` of a parameter."""
Path = tuple[int | str, ...]
"""Where a value is within that of its parameter: empty, or a number in a tuple, or a name in a struct."""


class Leaf(Struct, frozen=True, kw_only=True):
    """One value of a parameter, and its point."""

    point: Point
    module: str
    parameter: str
    path: Path
    info: Info

    @property
    def specifier(self) -> str:
        """`module:parameter`, as the protocol has it."""
        return f"{self.module}:{self.parameter}"

    def value(self, raw: Any) -> Scalar:
        """The value of the point in that of its parameter; ValueError where it has none."""
        for step in self.path:
            try:
                raw = raw[step]
            except (KeyError, IndexError, TypeError):
                raise ValueError(f"the value of {self.specifier} has no part {step}") from None
        return plain(self.info, raw)

    def replaced(self, raw: Any, value: float | int | str | bool) -> Any:
        """The value of the parameter with this of the point in its place."""
        new = wire(self.info, value)
        if not self.path:
            return new
        if isinstance(raw, Mapping):
            return {**cast("Mapping[str, Any]", raw), self.path[0]: new}
        return [new if number == self.path[0] else one for number, one in enumerate(raw)]


def leaves(module: str, parameter: str, accessible: Info) -> list[Leaf]:
    """The values of one parameter; ValueError where its type is not known."""
    info: Info = accessible["datainfo"]
    readonly = bool(accessible.get("readonly", True))
    description = str(accessible.get("description", "")).partition("\n")[0]

    def leaf(column: str, info: Info, path: Path, *, writable: bool) -> Leaf:
        label = column.lstrip("_").replace("_", " ")
        point = _point(module, column, label, description, info, writable=writable)
        return Leaf(point=point, module=module, parameter=parameter, path=path, info=info)

    parts = list(_parts(info))
    if parameter == STATUS and info.get("type") == "tuple" and len(parts) >= 2:
        names = (STATUS, STATUS_TEXT)
        return [leaf(name, part, (place,), writable=False) for name, (place, part) in zip(names, parts, strict=False)]
    if parts and all(part.get("type") in _PLAIN for _, part in parts):
        return [leaf(f"{parameter}_{place}", part, (place,), writable=not readonly) for place, part in parts]
    is_plain = info.get("type") in _PLAIN
    if not is_plain and info.get("type") not in ("tuple", "struct", "array", "matrix", "blob"):
        raise ValueError(f"the type {info.get('type')!r} of {module}:{parameter} is not known")
    return [leaf(parameter, info, (), writable=is_plain and not readonly)]


def _parts(info: Info) -> Iterator[tuple[int | str, Info]]:
    """The members of a tuple or struct."""
    members: Any = info.get("members")
    if info.get("type") == "tuple":
        yield from enumerate(members)
    elif info.get("type") == "struct":
        yield from members.items()


def _point(module: str, column: str, label: str, description: str, info: Info, *, writable: bool) -> Point:
    kind = _PLAIN.get(info.get("type", ""), Type.STRING)
    low, high = limits(info)
    words: Mapping[str, int] = info["members"] if info.get("type") == "enum" else {}
    if any(_whole(code) is None for code in words.values()):
        raise ValueError("its members are no whole numbers")
    return Point(
        name=f"{module}.{column}",
        channel=module,
        column=column,
        label=label,
        description=description,
        type=kind,
        unit=str(info.get("unit", "")) if kind in (Type.FLOAT, Type.INT) else "",
        precision=precision(info),
        choices=tuple(sorted(words.values())),
        codes={str(code): word for word, code in words.items()},
        stale_after_s=STALE_AFTER_S,
        main=column in _MAIN,
        writable=writable,
        write_low=low if writable else None,
        write_high=high if writable else None,
        tolerance=_tolerance(info) if writable else 0.0,
    )


def limits(info: Info) -> tuple[float | None, float | None]:
    """The range of a number, as its point has it."""
    if info.get("type") not in ("double", "int", "scaled"):
        return None, None
    scale = float(info.get("scale", 1)) if info["type"] == "scaled" else 1
    for key in ("min", "max"):
        if info.get(key) is not None and not _is_number(info[key]):
            raise ValueError(f"its {key} is {str(info[key])[:_SHOWN]!r}, and no number")
    low, high = (None if (limit := info.get(key)) is None else limit * scale for key in ("min", "max"))
    return low, high


def precision(info: Info) -> int:
    """Decimals to show: those of `fmtstr`, or of the scale, or 3."""
    kind = info.get("type")
    if kind not in ("double", "scaled"):
        return 0
    text = str(info.get("fmtstr", ""))
    if text.startswith("%.") and text[2:-1].isdigit():
        return min(int(text[2:-1]), _MOST_DECIMALS)
    if kind == "scaled":
        return min(max(0, math.ceil(-math.log10(float(info["scale"])) - 1e-9)), _MOST_DECIMALS)
    return 3


def _tolerance(info: Info) -> float:
    """What a number may differ from what was written, by the resolution that the node tells."""
    if info.get("type") == "scaled":
        return float(info["scale"]) / 2
    return float(info.get("absolute_resolution", 0.0))


def plain(info: Info, raw: Any) -> Scalar:
    """The value of a point for a value of the protocol; ValueError where it does not fit its type."""
    kind = info.get("type", "")
    if kind not in _PLAIN:
        return _text(json.dumps(raw, ensure_ascii=False))
    if (value := _READERS[kind](info, raw)) is None:
        raise ValueError(f"{json.dumps(raw)[:60]} is no {kind}" + _members(info))
    return value


def _members(info: Info) -> str:
    return f" of {', '.join(info['members'])}" if info.get("type") == "enum" else ""


def _is_number(raw: Any) -> bool:
    return isinstance(raw, (int, float)) and not isinstance(raw, bool) and abs(raw) <= sys.float_info.max


def _whole(raw: Any) -> int | None:
    return int(raw) if _is_number(raw) and float(raw).is_integer() else None


def _text(raw: str) -> str:
    if len(raw) > MOST_LETTERS:
        raise ValueError(f"a text of {len(raw)} letters is too long")
    return raw


def _code(info: Info, raw: Any) -> int | None:
    return code if (code := _whole(raw)) in info["members"].values() else None


_READERS: Mapping[str, Callable[[Info, Any], Scalar]] = {
    "double": lambda info, raw: float(raw) if _is_number(raw) else None,
    "scaled": lambda info, raw: raw * float(info["scale"]) if _is_number(raw) else None,
    "int": lambda info, raw: _whole(raw),
    "enum": _code,
    "bool": lambda info, raw: bool(raw) if raw in (True, False) else None,
    "string": lambda info, raw: _text(raw) if isinstance(raw, str) else None,
}


def wire(info: Info, value: float | int | str | bool) -> Any:
    """The value of the protocol for one of a point, which was checked against its type and limits."""
    if info.get("type") == "scaled":
        return round(float(value) / float(info["scale"]))
    return value


def differs(mine: Info, node: Info) -> str:
    """Why values of a type of the node are not those of this description; empty: they are."""
    if mine.get("type") != node.get("type"):
        return f"its type is {node.get('type')}, and not {mine.get('type')}"
    if mine.get("unit") and mine["unit"] != node.get("unit"):
        return f"its unit is {node.get('unit') or 'none'}, and not {mine['unit']}"
    if mine.get("type") == "scaled" and mine.get("scale") != node.get("scale"):
        return f"its scale is {node.get('scale')}, and not {mine.get('scale')}"
    if mine.get("type") in ("tuple", "struct"):
        own, other = dict(_parts(mine)), dict(_parts(node))
        if own.keys() != other.keys():
            return "it has other members"
        return next((reason for place in own if (reason := differs(own[place], other[place]))), "")
    return ""

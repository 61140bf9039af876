"""Bindings: the point or state that an element of a drawing shows, and how. Pure.

An element is bound by its id (`chiller.internal_temp`, `device:caen`), or by the description, which says more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.synoptics.allowed import DRAWN, TEXTS
from countingroom.core.synoptics.elements import Drawing, Element
from countingroom.core.values import Scalar


class TargetKind(StrEnum):
    """The kinds of targets of a binding."""

    POINT = "point"
    DEVICE = "device"
    CHANNEL = "channel"
    AREA = "area"
    PARTITION = "partition"
    SYSTEM = "system"
    SYNOPTIC = "synoptic"
    PAGE = "page"


class Target(Struct, frozen=True):
    """A point, a state or a page: `point` and `chiller.internal_temp`, `device` and `caen`."""

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def only_leads(self) -> bool:
        """Whether it is a page and has no state."""
        return self.kind in (TargetKind.SYNOPTIC, TargetKind.PAGE)


class Fill(Struct, frozen=True, kw_only=True):
    """The element is filled from `low` to `high`, from its lower or left edge."""

    low: float
    high: float
    towards: Literal["up", "right"] = "up"


class Turn(Struct, frozen=True, kw_only=True):
    """The element is turned: by `start` degrees at `low`, by `end` degrees at `high`, clockwise."""

    low: float
    high: float
    start: float
    end: float
    about: Literal["centre", "left", "right", "top", "bottom"] = "centre"
    """The point of the element's box that stays where it is."""


class Visible(Struct, frozen=True, kw_only=True):
    """The element is seen while the value or state is one of these, or a number beyond a limit."""

    words: tuple[Scalar, ...] = ()
    above: float | None = None
    below: float | None = None


class Binding(Struct, frozen=True, kw_only=True):
    """One element with what it shows."""

    element: str
    """Its id in the drawing."""
    target: Target
    text: str | None = None
    """How its text is written: `{value} {unit}`; empty: not at all; None: as is usual for the element."""
    precision: int | None = None
    """Decimals; None: those of the point."""
    level: Fill | None = None
    turn: Turn | None = None
    visible: Visible | None = None
    described: bool = False
    """By the description, not by its id."""


PLAIN = "{value} {unit}"
MOST_BOUND = 2000
_AGAIN = "--"
"""`chiller.internal_temp--2`: the same point a second time; ids are unique in a drawing."""
_KINDS = frozenset(kind.value for kind in TargetKind if kind is not TargetKind.PAGE)
_LIKE = 0.8
"""How near a name must be to that of a device to be a mistake."""
_HIDDEN_IN = frozenset({"defs", "symbol", "clipPath", "mask", "pattern", "marker"})


class BindingMistake(Struct, frozen=True, kw_only=True):
    """A binding that cannot work."""

    element: str
    message: str
    line: int = 0
    """Of the drawing; 0: the element is not in it."""
    described: bool = False


def bind(
    drawing: Drawing, described: Mapping[str, Binding], devices: Collection[str]
) -> tuple[list[Binding], list[BindingMistake]]:
    """The bindings of the elements that are drawn, by the description or their ids, and what is wrong with them.

    `devices`: names of devices, by which an id is known to mean a point.
    """
    found: list[Binding] = []
    wrong: list[BindingMistake] = []
    seen: set[str] = set()
    for element, drawn in _walk(drawing.root):
        binding = described.get(element.id) or _by_id(element, devices) if element.id else None
        if binding is None:
            continue
        seen.add(element.id)
        if len(found) >= MOST_BOUND:
            message = f"at most {MOST_BOUND} elements of a drawing are bound"
        elif not drawn or element.name not in DRAWN:
            message = "it is part of a definition (<defs>, <symbol>, a pattern …), which is not drawn by itself"
        elif binding.text and not has_text(element):
            message = f"text is written into <text>; this is <{element.name}>"
        else:
            usual = PLAIN if element.name in TEXTS and not binding.target.only_leads else ""
            found.append(replace(binding, text=usual) if binding.text is None else binding)
            continue
        wrong.append(
            BindingMistake(element=element.id, message=message, line=element.line, described=element.id in described)
        )
    for name in described.keys() - seen:
        ids = [one.id for one in drawing.root.elements() if one.id]
        close = get_close_matches(name, ids, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        wrong.append(
            BindingMistake(element=name, message=f"the drawing has no element with the id {name}{hint}", described=True)
        )
    return found, wrong


def has_text(element: Element) -> bool:
    """Whether text can be written into it."""
    return any(one.name in TEXTS for one in element.elements())


def _walk(root: Element) -> Iterator[tuple[Element, bool]]:
    """Every element below the root, and whether it is drawn where it stands."""
    waiting = [(child, True) for child in reversed(root.content) if isinstance(child, Element)]
    while waiting:
        one, drawn = waiting.pop()
        yield one, drawn
        inner = drawn and one.name not in _HIDDEN_IN
        waiting.extend((child, inner) for child in reversed(one.content) if isinstance(child, Element))


def _by_id(element: Element, devices: Collection[str]) -> Binding | None:
    """`device:caen` names its kind. `caen.0.hv_vMon` is a point where `caen` is a device. A text with a name like that
    of a device means one too, so that what is drawn there is not taken for its value."""
    name = element.id.partition(_AGAIN)[0]
    kind, colon, rest = name.partition(":")
    if colon and rest and kind in _KINDS:
        return Binding(element=element.id, target=Target(TargetKind(kind), rest))
    device, dot, _ = name.partition(".")
    is_like = element.name in TEXTS and get_close_matches(device, devices, n=1, cutoff=_LIKE)
    if dot and (device in devices or is_like):
        return Binding(element=element.id, target=Target(TargetKind.POINT, name))
    return None

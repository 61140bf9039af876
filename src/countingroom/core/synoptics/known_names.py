"""Checks that what a drawing is bound to exists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.synoptics.bindings import Binding, BindingMistake, TargetKind
from countingroom.core.synoptics.elements import Drawing
from countingroom.core.yaml.validation_errors import did_you_mean

_NUMBERS = (Type.FLOAT, Type.INT)


class KnownDevice(Struct, frozen=True, kw_only=True):
    """The points and channels of a device."""

    title: str = ""
    points: Mapping[str, Point]
    channels: tuple[str, ...] = ()


class KnownNames(Struct, frozen=True, kw_only=True):
    """All possible targets of bindings. None: unknown, and not checked."""

    devices: Mapping[str, KnownDevice] = {}
    areas: Set[str] | None = None
    partitions: Set[str] | None = None
    systems: Set[str] | None = None
    synoptics: Set[str] | None = None

    def point(self, address: str) -> Point | None:
        """The point with this address, `<device>.<point>`."""
        device, _, name = address.partition(".")
        found = self.devices.get(device)
        return found.points.get(name) if found else None


def wrong_bindings(drawing: Drawing, bindings: Iterable[Binding], known: KnownNames) -> Iterator[BindingMistake]:
    """Bindings to missing targets, and numeric bindings to targets without a number."""
    lines = {name: element.line for name, element in drawing.by_id().items()}
    for one in bindings:
        if message := _wrong(one, known):
            yield BindingMistake(
                element=one.element, message=message, line=lines.get(one.element, 0), described=one.described
            )


def _wrong(one: Binding, known: KnownNames) -> str:
    kind, name = one.target.kind, one.target.name
    device, dot, rest = name.partition(".")
    match kind:
        case TargetKind.POINT | TargetKind.CHANNEL:
            if device not in known.devices:
                return f"there is no device {device}{did_you_mean(device, known.devices)}"
            there = known.devices[device]
            names = there.points if kind is TargetKind.POINT else there.channels
            if not dot or rest not in names:
                shown = names if len(names) < 12 else ()
                return f"{device} has no {kind} {rest}{did_you_mean(rest, names if rest else shown)[:200]}"
            if (one.level or one.turn or one.precision is not None) and kind is TargetKind.POINT:
                point = there.points[rest]
                if point.type not in _NUMBERS:
                    return f"{name} is {point.type}, not a number"
            return ""
        case TargetKind.DEVICE:
            found = known.devices.keys()
        case TargetKind.AREA:
            found = known.areas
        case TargetKind.PARTITION:
            found = known.partitions
        case TargetKind.SYSTEM:
            found = known.systems
        case TargetKind.SYNOPTIC:
            found = known.synoptics
        case TargetKind.PAGE:
            return ""
    if found is None or name in found:
        return ""
    return f"there is no {kind} {name}{did_you_mean(name, sorted(found))}"

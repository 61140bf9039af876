"""The values that a page with a synoptic needs in addition to the drawing: bindings with names, units and precision.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from countingroom.core.messages import Catalogue
from countingroom.core.synoptics.bindings import Binding, Target, TargetKind
from countingroom.core.synoptics.known_names import KnownDevice, KnownNames


def known_names(catalogues: Mapping[str, Catalogue], synoptics: Iterable[str]) -> KnownNames:
    """The names that the console knows: devices, points, partitions and others."""
    return KnownNames(
        devices={
            name: KnownDevice(
                title=one.title, points={point.name: point for point in one.points}, channels=one.channels
            )
            for name, one in catalogues.items()
        },
        synoptics=frozenset(synoptics),
    )


def address(target: Target, partitions: Mapping[str, Iterable[str]]) -> str:
    """The page of the console for a target. `partitions`: partition -> its systems."""
    name = target.name
    device, _, rest = name.partition(".")
    match target.kind:
        case TargetKind.POINT | TargetKind.CHANNEL:
            return f"/devices/{quote(device)}#{quote(rest)}"
        case TargetKind.DEVICE:
            return f"/devices/{quote(name)}"
        case TargetKind.AREA:
            return f"/alarms?area={quote(name)}"
        case TargetKind.PARTITION:
            return f"/partitions/{quote(name)}"
        case TargetKind.SYSTEM:
            place = next((one for one, systems in partitions.items() if name in systems), "")
            return f"/partitions/{quote(place)}" if place else "/detectors"
        case TargetKind.SYNOPTIC:
            return f"/synoptics/{quote(name)}"
        case TargetKind.PAGE:
            return name


def shown_bindings(
    bindings: Iterable[Binding], known: KnownNames, titles: Mapping[str, str], wrong: Mapping[str, str]
) -> list[dict[str, object]]:
    """The bindings as the page's script takes them. `wrong`: element -> why it cannot show anything."""
    return [_shown(one, known, titles, wrong.get(one.element, "")) for one in bindings]


def _shown(one: Binding, known: KnownNames, titles: Mapping[str, str], wrong: str) -> dict[str, object]:
    target = one.target
    found: dict[str, object] = {"kind": target.kind, "target": target.name, "name": _name(target, known, titles)}
    if target.kind is TargetKind.POINT and (point := known.point(target.name)):
        precision = point.precision if one.precision is None else one.precision
        found["point"] = {
            "type": point.type,
            "unit": point.unit,
            "precision": precision,
            "codes": point.codes,
        }
    for key in ("text", "level", "turn", "visible"):
        if (value := getattr(one, key)) not in (None, ""):
            found[key] = msgspec.to_builtins(value)
    if wrong:
        found["wrong"] = wrong
    return found


def _name(target: Target, known: KnownNames, titles: Mapping[str, str]) -> str:
    device, _, rest = target.name.partition(".")
    there = known.devices.get(device)
    match target.kind:
        case TargetKind.POINT:
            point = known.point(target.name)
            label = (point.label or point.column or point.name) if point else rest
            channel = f" ch {point.channel}" if point and point.channel else ""
            return f"{(there.title if there else '') or device}{channel} {label}"
        case TargetKind.CHANNEL:
            return f"{(there.title if there else '') or device} ch {rest}"
        case TargetKind.DEVICE:
            return (there.title if there else "") or device
        case TargetKind.SYNOPTIC:
            return titles.get(target.name, target.name)
        case TargetKind.PAGE:
            return target.name
        case TargetKind.AREA | TargetKind.PARTITION | TargetKind.SYSTEM:
            return f"{target.kind} {target.name}"

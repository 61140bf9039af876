"""What pages of devices show when they are rendered, as plain values; templates only place them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.console.present import format as write
from countingroom.console.present.device_rows import DeviceRows, Summary
from countingroom.core.messages import Catalogue, DeviceState, Link
from countingroom.core.points import Point, Type

_NUMBERS = (Type.FLOAT, Type.INT)


class Branch(Struct, frozen=True, kw_only=True):
    """A heading of the navigation with its devices."""

    group: str
    devices: tuple[Catalogue, ...]


class TableColumn(Struct, frozen=True, kw_only=True):
    """A column of a device's table; `point` is the first of it, for unit and label."""

    name: str
    point: Point
    main: bool


def branches(catalogues: Mapping[str, Catalogue]) -> list[Branch]:
    """Devices by group, both in order of name."""
    groups: dict[str, list[Catalogue]] = {}
    for catalogue in catalogues.values():
        groups.setdefault(catalogue.group or "Devices", []).append(catalogue)
    return [
        Branch(group=group, devices=tuple(sorted(found, key=lambda one: (one.title or one.device, one.device))))
        for group, found in sorted(groups.items())
    ]


def columns(catalogue: Catalogue) -> list[TableColumn]:
    """The columns of its channels, main ones first, each in order of first mention."""
    found: dict[str, TableColumn] = {}
    for point in catalogue.points:
        if point.channel and point.column not in found:
            found[point.column] = TableColumn(name=point.column, point=point, main=point.main)
    return sorted(found.values(), key=lambda column: not column.main)


def own_points(catalogue: Catalogue) -> list[Point]:
    """The points of the device itself: numbers first, then words, then flags."""
    own = [point for point in catalogue.points if not point.channel]
    return sorted(own, key=lambda point: (not point.main, point.severity > 0, point.type is Type.BOOL))


def lamps(catalogue: Catalogue) -> list[Point]:
    """The switches of the device itself that only commands set: they are shown as lamps in its head."""
    return [point for point in own_points(catalogue) if point.command_only and point.type is Type.BOOL]


def is_tiled(catalogue: Catalogue) -> bool:
    """Whether its channels are shown as tiles in place of a table: each has one switch and no other value."""
    return bool(catalogue.channels) and [column.point.type for column in columns(catalogue)] == [Type.BOOL]


def key_points(catalogue: Catalogue, most: int = 4) -> list[Point]:
    """The most important points: measured numbers, those with limits first; of a device with channels those of its
    first channel."""
    first = catalogue.channels[0] if catalogue.channels else ""
    numbers = [
        point
        for point in catalogue.points
        if point.main and point.type in _NUMBERS and not point.writable and point.unit and point.channel == first
    ]
    limited = [point for point in numbers if point.limits != type(point.limits)()]
    rest = [point for point in numbers if point not in limited]
    return (limited + rest)[:most]


class CardRow(Struct, frozen=True, kw_only=True):
    """A value on the card of a device; `channel`: the state of this channel is written beside it, empty: none."""

    label: str
    point: Point
    channel: str = ""


_CARD_ROWS = 3
_CARD_CHANNELS = 24
"""Channels of which a card has a row. It shows the first three of them, those in error before the others."""


def card_rows(catalogue: Catalogue) -> list[CardRow]:
    """The values on the card of a device; of one with several channels the main value of each."""
    if len(catalogue.channels) < 2:
        points = key_points(catalogue, _CARD_ROWS)
        return [CardRow(label=point.label or point.column or point.name, point=point) for point in points]
    column = _main_column(catalogue)
    mains = {point.channel: point for point in catalogue.points if point.channel and point.column == column}
    rows: list[CardRow] = []
    for channel in catalogue.channels[:_CARD_CHANNELS]:
        if point := mains.get(channel):
            label = f"ch {channel} {catalogue.channel_labels.get(channel, '')}".rstrip()
            rows.append(CardRow(label=label, point=point, channel=channel))
    return rows


_CONDITIONS = 16
"""Points that are compared between two runs: as many as one question to the history may name."""


def condition_points(catalogues: Mapping[str, Catalogue]) -> list[dict[str, object]]:
    """The main points of all devices, in turn, for a script: what a run is judged by."""
    rows = [[(catalogue, row) for row in card_rows(catalogue)] for catalogue in catalogues.values()]
    turns = [pair for turn in zip_longest(*rows) for pair in turn if pair is not None]
    return [
        {
            "id": f"{catalogue.device}.{row.point.name}",
            "label": " ".join(
                filter(None, (catalogue.title or catalogue.device, row.label, row.channel and row.point.label))
            ),
            "unit": write.unit(row.point.unit),
            "precision": row.point.precision,
            "deadband": row.point.deadband,
            "limits": msgspec.to_builtins(row.point.limits),
            "type": row.point.type.value,
        }
        for catalogue, row in sorted(turns[:_CONDITIONS], key=lambda pair: pair[0].title or pair[0].device)
    ]


def point_units(catalogues: Mapping[str, Catalogue]) -> dict[str, str]:
    """The unit of each point that has one, as it is written on a page, by the address of the point."""
    return {
        f"{catalogue.device}.{point.name}": write.unit(point.unit)
        for catalogue in catalogues.values()
        for point in catalogue.points
        if point.unit
    }


def _main_column(catalogue: Catalogue) -> str:
    """The most important column of a channel: the measured number with the widest range of its setting, which is the
    voltage of a high voltage channel; else the first number."""
    width: dict[str, float] = {}
    for point in catalogue.points:
        if point.channel and point.writable and point.main and point.unit:
            reach = (point.write_high or 0.0) - (point.write_low or 0.0)
            width[_kind(point)] = max(reach, width.get(_kind(point), 0.0))
    numbers = [
        point
        for point in catalogue.points
        if point.channel and point.main and point.type in _NUMBERS and point.unit and not point.writable
    ]
    best = max(numbers, key=lambda point: width.get(_kind(point), -1.0), default=None)
    return best.column if best else ""


def _kind(point: Point) -> str:
    """A setting and what is measured of it have the same: `hv V`."""
    return f"{point.column.split('_')[0]} {point.unit}"


def partner(catalogue: Catalogue) -> dict[str, Point]:
    """Name of a readback -> the point that sets it."""
    return {point.readback: point for point in catalogue.points if point.writable and point.readback}


def disc(state: DeviceState | None) -> str:
    """How full the disc of a state is drawn: the common state as a class."""
    if state is None:
        return "unknown"
    if state.link is not Link.CONNECTED:
        return "no_link"
    return state.common if state.common in ("off", "on", "moving", "error", "no_link") else "ready"


def group_counts(rows: DeviceRows, branch: Branch) -> Summary:
    """A group in numbers."""
    summaries = [rows.summary(catalogue.device) for catalogue in branch.devices]
    return Summary(
        normal=sum(one.normal for one in summaries),
        alarm=sum(one.alarm for one in summaries),
        off=sum(one.off for one in summaries),
        no_link=sum(one.no_link for one in summaries),
        priorities=(
            sum(one.priorities[0] for one in summaries),
            sum(one.priorities[1] for one in summaries),
            sum(one.priorities[2] for one in summaries),
        ),
    )


_PLAIN = msgspec.to_builtins(Point(name=""))


def inputs(catalogue: Catalogue, catalogues: Mapping[str, Catalogue]) -> dict[str, dict[str, Any]]:
    """Address of each point that points of this device are computed from -> how its values are written."""
    found: dict[str, dict[str, Any]] = {}
    for address in dict.fromkeys(address for point in catalogue.points for address in point.inputs):
        device, _, name = address.partition(".")
        points = catalogues[device].points if device in catalogues else ()
        known = next((point for point in points if point.name == name), Point(name=name))
        found[address] = {"name": name, "unit": known.unit, "precision": known.precision, "type": known.type.value}
    return found


def compact(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue for the script of a page; default values are left out of each point."""
    plain = msgspec.to_builtins(catalogue)
    plain["points"] = [
        {key: value for key, value in point.items() if key == "name" or value != _PLAIN[key]}
        for point in plain["points"]
    ]
    del plain["chart"], plain["channel_chart"]
    return plain

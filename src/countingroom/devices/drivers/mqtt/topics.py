"""Topics to points and payloads to values. A payload that cannot be read is BAD; it is never an error. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.mqtt.description import SENSOR, MqttSensorsSection, SensorValue
from countingroom.devices.port import Sample

MOST_PAYLOAD = 65_536
"""Bytes of a payload; a larger one is not read."""

MOST_TOPIC = 1024
"""Letters of a topic; a longer one matches nothing."""

_YES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


class Route(Struct, frozen=True, kw_only=True):
    """Topics that match the pattern carry this point's value."""

    point: Point
    pattern: TopicPattern
    filter: str
    """What to subscribe to."""
    value: SensorValue


def routes(section: MqttSensorsSection) -> tuple[Route, ...]:
    """Every point of the section with its topics."""
    found: list[Route] = []
    for column, value in section.values.items():
        for sensor in section.sensors if SENSOR in value.topic else ("",):
            topic = value.topic.replace(SENSOR, sensor)
            found.append(
                Route(
                    point=_point(sensor, column, value),
                    pattern=TopicPattern(topic),
                    filter=filter_of(topic),
                    value=value,
                )
            )
    return tuple(found)


def _point(sensor: str, column: str, value: SensorValue) -> Point:
    return Point(
        name=f"{sensor}.{column}" if sensor else column,
        channel=sensor,
        column=column,
        label=value.label or column,
        description=value.description,
        type=Type(value.type),
        unit=value.unit,
        precision=value.precision,
        deadband=value.deadband,
        stale_after_s=value.stale_after,
    )


class TopicPattern:
    """A topic with wildcards: `+` matches one level, `#` any number of levels, also in the middle.

    The time is proportional to the length of the topic. A regular expression with several `#` was quadratic, and a
    board can choose its topic.
    """

    def __init__(self, topic: str) -> None:
        parts: list[list[str]] = [[]]
        for level in topic.split("/"):
            if level == "#":
                parts.append([])
            else:
                parts[-1].append(level)
        if topic.endswith("#"):  # at the end it stands for at least one level
            parts[-1].append("+")
        self._first, *self._rest = parts

    def matches(self, topic: str) -> bool:
        """Whether the whole topic matches."""
        if len(topic) > MOST_TOPIC:
            return False
        levels = topic.split("/")
        if not self._rest:
            return len(levels) == len(self._first) and _fits(self._first, levels, 0)
        *middle, last = self._rest
        end = len(levels) - len(last)
        place = len(self._first)
        if place > end or not _fits(self._first, levels, 0) or not _fits(last, levels, end):
            return False
        # The earliest place of each part is right: it leaves the most levels for the parts after it.
        for part in middle:
            while not _fits(part, levels, place):
                place += 1
                if place + len(part) > end:
                    return False
            place += len(part)
        return place <= end


def _fits(part: list[str], levels: list[str], at: int) -> bool:
    return at + len(part) <= len(levels) and all(
        wanted in ("+", level) for wanted, level in zip(part, levels[at : at + len(part)], strict=True)
    )


def filter_of(topic: str) -> str:
    """The subscription that covers the topic: up to the first `#`, the only place where MQTT takes one."""
    levels = topic.split("/")
    return "/".join(levels[: levels.index("#") + 1]) if "#" in levels else topic


def sample(route: Route, payload: bytes, *, retained: bool) -> Sample:
    """The sample of this payload. A retained payload may be old, so it is UNCERTAIN."""
    if len(payload) > MOST_PAYLOAD:
        reason = f"the payload has more than {MOST_PAYLOAD} bytes"
        return Sample(point=route.point.name, value=None, quality=Quality.BAD, reason=reason)
    value = _value(payload, route.value)
    if value is None:
        where = f" at {route.value.field}" if route.value.field else ""
        reason = f"the payload has no {route.value.type}{where}: {payload[:60]!r}"
        return Sample(point=route.point.name, value=None, quality=Quality.BAD, reason=reason)
    believed = not retained and _within(value, route.value)
    return Sample(point=route.point.name, value=value, quality=Quality.GOOD if believed else Quality.UNCERTAIN)


def _value(payload: bytes, wanted: SensorValue) -> Scalar:
    try:
        text = payload.decode()
        raw = _field(json.loads(text), wanted.field) if wanted.field else text.strip()
    except (ValueError, RecursionError):
        return None
    if wanted.type == "string":
        return raw if isinstance(raw, str) else None
    if wanted.type == "bool":
        return raw if isinstance(raw, bool) else _YES.get(str(raw).lower())
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        return None
    return _number(raw)


def _number(raw: float | str) -> float | None:
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _field(document: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(document, dict):
            document = cast("dict[str, Any]", document).get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(cast("list[Any]", document)):
            document = cast("list[Any]", document)[int(step)]
        else:
            return None
    return document


def _within(value: Scalar, wanted: SensorValue) -> bool:
    if not isinstance(value, (int, float)):
        return True
    return (wanted.low is None or value >= wanted.low) and (wanted.high is None or value <= wanted.high)

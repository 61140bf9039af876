"""Topics to points and payloads to values. A payload that cannot be read is BAD; it is never an error. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.mqtt.description import SENSOR, MqttSensorsSection, SensorValue
from countingroom.devices.port import Sample

MOST_PAYLOAD = 65_536
"""Bytes of a payload; a larger one is not read."""

_YES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


class Route(Struct, frozen=True, kw_only=True):
    """Topics that match the pattern carry this point's value."""

    point: Point
    pattern: re.Pattern[str]
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
                    pattern=pattern_of(topic),
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


def pattern_of(topic: str) -> re.Pattern[str]:
    """`+` matches one level, `#` any number of levels, also in the middle."""
    levels = topic.split("/")
    last = len(levels) - 1
    text = ""
    for place, level in enumerate(levels):
        if level == "#":
            text += ".*" if place == last else "(?:[^/]*/)*"
        else:
            text += ("[^/]*" if level == "+" else re.escape(level)) + ("" if place == last else "/")
    return re.compile(text)


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

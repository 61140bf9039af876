"""Topics to points: which point a topic belongs to, what to subscribe to, and where a setpoint is published. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.mqtt.description import SENSOR, Availability, Board, MqttSensorsSection, SensorValue

MOST_TOPIC = 1024
"""Letters of a topic; a longer one matches nothing."""

_DEVICE = Board(name="")
"""In place of a board for values of the device itself."""


class Route(Struct, frozen=True, kw_only=True):
    """Topics that match the pattern carry this point's value."""

    point: Point
    pattern: TopicPattern
    filter: str
    """What to subscribe to."""
    set_topic: str
    """Where its setpoint is published; empty: nowhere."""
    value: SensorValue


class AvailabilityRoute(Struct, frozen=True, kw_only=True):
    """Topics that match the pattern say whether a board is there."""

    channel: str
    """The board; empty: all of them."""
    pattern: TopicPattern
    filter: str
    rule: Availability


def routes(section: MqttSensorsSection) -> tuple[Route, ...]:
    """Every point of the section with its topics."""
    found: list[Route] = []
    for column, value in section.values.items():
        for channel, board in section.boards.items() if SENSOR in value.topic else (("", _DEVICE),):
            topic = value.topic.replace(SENSOR, board.name)
            found.append(
                Route(
                    point=_point(channel, column, value),
                    pattern=TopicPattern(topic),
                    filter=filter_of(topic),
                    set_topic=value.set_topic.replace(SENSOR, board.name),
                    value=value,
                )
            )
    return tuple(found)


def availability_routes(section: MqttSensorsSection) -> tuple[AvailabilityRoute, ...]:
    """Every topic that says whether boards are there."""
    found: list[AvailabilityRoute] = []
    for rule in section.availability:
        for channel, board in section.boards.items() if SENSOR in rule.topic else (("", _DEVICE),):
            topic = rule.topic.replace(SENSOR, board.name)
            found.append(
                AvailabilityRoute(channel=channel, pattern=TopicPattern(topic), filter=filter_of(topic), rule=rule)
            )
    return tuple(found)


def _point(channel: str, column: str, value: SensorValue) -> Point:
    before = f"{channel}." if channel else ""
    return Point(
        name=f"{before}{column}",
        channel=channel,
        column=column,
        label=value.label or column,
        description=value.description,
        type=Type(value.type),
        unit=value.unit,
        precision=value.precision,
        deadband=value.deadband,
        choices=tuple(value.choices or dict.fromkeys(value.words.values())),
        codes=value.codes or {str(code): word for word, code in value.words.items() if str(code) != word},
        stale_after_s=value.stale_after,
        writable=bool(value.set_topic),
        write_low=value.write_low,
        write_high=value.write_high,
        readback=f"{before}{value.readback}" if value.readback else "",
        tolerance=value.tolerance,
        confirm_s=value.confirm,
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

"""The subscription of a page to the live feed. Equal subscriptions share one encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from countingroom.console.present.partition_words import ALARM_PLACE, TALK_PLACE
from countingroom.core.errors import RequestError
from countingroom.core.messages import Malformed, decode_json

_Names = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=2000)]


class WatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`watch` of a message of a client."""

    devices: _Names = ("*",)
    """Device names; `*` for all."""
    points: bool | _Names = True
    """Every point of the devices, none, or only these (`<device>.<name>`)."""
    states: bool = True
    events: bool = True
    partitions: _Names = ()
    """Partition names; `*` for all, with the systems that are in none."""
    talks: bool = False
    """The talks to actors of the fleet with their replies, `talk.<id>` in `states`."""
    alarms: bool = False
    """The state of each alarm that is not at rest, under its key `alarm.<id>` in `states`."""


class ClientMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends first, and again to change its subscription."""

    watch: WatchRequest = WatchRequest()
    resume: int | None = None
    """The last revision it has seen; None for a fresh snapshot."""


class LiveSubscription(Struct, frozen=True, kw_only=True):
    """A subscription as a hashable value."""

    devices: frozenset[str] | None
    """None: all."""
    points: frozenset[str] | None
    """None: all of the devices; empty: none."""
    states: bool
    events: bool
    partitions: frozenset[str] | None = frozenset()
    """None: all."""
    alarms: bool = False
    talks: bool = False

    def sees(self, device: str) -> bool:
        """Whether it includes this device."""
        return self.devices is None or device in self.devices

    def sees_partition(self, partition: str) -> bool:
        """Whether it includes this partition; an empty name stands for the experiment as a whole."""
        return self.partitions is None or partition in self.partitions

    def sees_words_of(self, place: str) -> bool:
        """Whether it includes the states of this place: a partition, the experiment, ALARM_PLACE or TALK_PLACE."""
        if place == TALK_PLACE:
            return self.talks
        return self.alarms if place == ALARM_PLACE else self.sees_partition(place)

    def includes_events_of(self, source: str) -> bool:
        """Whether it includes the events of this device, system or partition."""
        return self.events and (self.sees(source) or self.sees_partition(source))


def parse(text: str) -> tuple[LiveSubscription, int | None]:
    """Decode a message of a client; RequestError with the mistake in it."""
    try:
        request = decode_json(text, ClientMessage)
    except Malformed as error:
        raise RequestError(
            f"not a watch message: {error}",
            source="console",
            code="invalid",
            suggestion='send {"watch": {"devices": ["*"], "points": true, "states": true, "events": true}}',
        ) from None
    watch = request.watch
    points = watch.points
    return (
        LiveSubscription(
            devices=None if "*" in watch.devices else frozenset(watch.devices),
            points=frozenset(points) if isinstance(points, tuple) else None if points else frozenset(),
            states=watch.states,
            events=watch.events,
            partitions=None if "*" in watch.partitions else frozenset(watch.partitions),
            alarms=watch.alarms,
            talks=watch.talks,
        ),
        request.resume,
    )


def fragment(items: Mapping[str, object]) -> bytes:
    """The members of a JSON object without its braces, to be joined with others: `"a":1,"b":2`."""
    return msgspec.json.encode(items)[1:-1]

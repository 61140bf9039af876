"""Law: what a viewer asks to see is a value; equal wishes share one encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from countingroom.core.errors import RequestError

_Names = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=2000)]


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`watch` of a client's message."""

    devices: _Names = ("*",)
    """Device names; `*` for all."""
    points: bool | _Names = True
    """Every point of the devices, none, or only these (`<device>.<name>`)."""
    states: bool = True
    events: bool = True
    partitions: _Names = ()
    """Partition names; `*` for all, with the systems that are in none."""


class Hello(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: first, and again whenever it wants to see something else."""

    watch: Wish = Wish()
    resume: int | None = None
    """The last revision it has seen; None for a fresh snapshot."""


class LiveSubscription(Struct, frozen=True, kw_only=True):
    """A wish made hashable."""

    devices: frozenset[str] | None
    """None: all."""
    points: frozenset[str] | None
    """None: all of the devices; empty: none."""
    states: bool
    events: bool
    partitions: frozenset[str] | None = frozenset()
    """None: all."""

    def sees(self, device: str) -> bool:
        """Whether this device is of interest."""
        return self.devices is None or device in self.devices

    def sees_partition(self, partition: str) -> bool:
        """Whether this partition is; an empty name stands for the experiment as a whole."""
        return self.partitions is None or partition in self.partitions

    def hears(self, source: str) -> bool:
        """Whether what happens to this device, system or partition is."""
        return self.events and (self.sees(source) or self.sees_partition(source))


def parse(text: str) -> tuple[LiveSubscription, int | None]:
    """A client's message; RequestError saying what is wrong with it."""
    try:
        hello = msgspec.json.decode(text, type=Hello)
    except msgspec.DecodeError as error:
        raise RequestError(
            f"not a watch message: {error}",
            source="console",
            code="invalid",
            suggestion='send {"watch": {"devices": ["*"], "points": true, "states": true, "events": true}}',
        ) from None
    wish = hello.watch
    points = wish.points
    return (
        LiveSubscription(
            devices=None if "*" in wish.devices else frozenset(wish.devices),
            points=frozenset(points) if isinstance(points, tuple) else None if points else frozenset(),
            states=wish.states,
            events=wish.events,
            partitions=None if "*" in wish.partitions else frozenset(wish.partitions),
        ),
        hello.resume,
    )


def fragment(items: Mapping[str, object]) -> bytes:
    """The inside of a JSON object, to be joined with others: `"a":1,"b":2`."""
    return msgspec.json.encode(items)[1:-1]

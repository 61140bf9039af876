"""When a topic is published: at most once in a while, the first change after a quiet time at once. Pure.

A change that comes sooner waits for the time to pass, and then the newest values go out. A refresh sends everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countingroom.mqtt.messages import Publication

REFRESH_S = 0.2
"""Refreshes that come faster are answered together."""

Make = Callable[[bool], bytes | None]
"""Makes the payload; the argument says whether it must have all fields. None: do not publish."""


class Item:
    """One topic, or a part of one that has messages of its own."""

    def __init__(
        self,
        kind: str,
        topic: str,
        make: Make,
        *,
        least_s: float,
        every_s: float = 0.0,
        full_s: float = 0.0,
        retain: bool = False,
    ) -> None:
        """`least_s`: the shortest time between two messages. `every_s`: it is published again after this time even
        without a change; 0: never. `full_s`: the time between two messages with all fields; 0: `make` has only one
        kind."""
        self.kind = kind
        self.topic = topic
        self.make = make
        self.least_s = least_s
        self.every_s = every_s
        self.full_s = full_s
        self.retain = retain
        self.last_s = float("-inf")
        self.last_full_s = float("-inf")
        self.is_forced = False

    def due_s(self, *, changed: bool) -> float:
        """When it must be published next; infinity: not before a change."""
        if self.is_forced:
            return self.last_s + REFRESH_S
        if changed:
            return self.last_s + self.least_s
        return self.last_s + self.every_s if self.every_s else float("inf")


class Schedule:
    """All items, and which of them have changed."""

    def __init__(self) -> None:
        self._items: dict[Item, None] = {}
        self._periodic: dict[Item, None] = {}
        self._changed: dict[Item, None] = {}
        """In the order of their change."""

    @property
    def is_refreshing(self) -> bool:
        """Whether anything of a refresh waits."""
        return any(item.is_forced for item in self._changed)

    @property
    def changes(self) -> int:
        """How many items wait."""
        return len(self._changed)

    def add(self, item: Item) -> None:
        """Take an item in."""
        self._items[item] = None
        if item.every_s:
            self._periodic[item] = None

    def remove(self, item: Item) -> None:
        """Forget an item."""
        for items in (self._items, self._periodic, self._changed):
            items.pop(item, None)

    def change(self, items: Iterable[Item]) -> None:
        """Publish these as soon as they may be."""
        self._changed.update(dict.fromkeys(items))

    def refresh(self, kind: str = "") -> None:
        """Publish all of a kind soon, or of all kinds."""
        for item in self._items:
            if kind in ("", item.kind):
                item.is_forced = True
                item.last_full_s = float("-inf")
                self.change([item])

    def due(self, now_s: float, most: int | None = None) -> list[Publication]:
        """The messages that must be published now. They count as published. `most`: the largest number of messages; the
        others stay due, and are made later with the values of that time."""
        ready = [item for item in self._changed if item.due_s(changed=True) <= now_s]
        ready += [item for item in self._periodic if item not in self._changed and item.due_s(changed=False) <= now_s]
        found: list[Publication] = []
        for item in ready[:most]:
            full = bool(item.full_s) and now_s - item.last_full_s >= item.full_s
            payload = item.make(full)
            self._changed.pop(item, None)
            item.is_forced = False
            item.last_s = now_s
            if payload is not None:
                item.last_full_s = now_s if full else item.last_full_s
                found.append(Publication(topic=item.topic, payload=payload, retain=item.retain))
        return found

    def next_s(self) -> float:
        """When `due` has something next; infinity: not before something changes."""
        times = [item.due_s(changed=True) for item in self._changed]
        times += [item.due_s(changed=False) for item in self._periodic if item not in self._changed]
        return min(times, default=float("inf"))

"""The memory of the planner: one track for each alarm and route, and the times of the messages of routes. Pure.

A track begins with the announcement of an alarm and ends with its return. Tracks are saved in one transaction with the
messages that follow from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct, field

Key = tuple[str, str]
"""(route, alarm)."""


class Track(Struct, frozen=True, kw_only=True):
    """One alarm in one route."""

    route: str
    alarm: str
    occurrence: int
    announced_ns: int
    """Time of the announcement that this round of messages is about. One occurrence may be announced again."""
    priority: int
    area: str = ""
    title: str = ""
    text: str = ""
    """What was abnormal when it was announced."""
    is_again: bool = False
    """It was announced again: it is more urgent now, or its shelf ended."""
    due_ns: int | None = None
    """When the next step is due; None: no step follows."""
    step: int = 0
    """Steps that were taken in this round: 0 none, 1 the first message, 2 the first escalation …"""
    first_ns: int = 0
    """Time of the first message of this round."""
    remind_ns: int | None = None
    """When the next reminder is due."""
    told: tuple[str, ...] = ()
    """Channels whose last message said that the alarm is active."""
    thread: str = ""
    """The first message in which it was told."""
    acknowledged_by: str = ""
    returned_ns: int | None = None
    """It returned then, and a follow-up is due."""
    is_closed: bool = False
    """It ended because the description has no such alarm any more."""

    @property
    def key(self) -> Key:
        """Its place in the plan."""
        return self.route, self.alarm


class PlanState(Struct, frozen=True, kw_only=True):
    """The memory of the planner. Its values are replaced, never changed."""

    tracks: Mapping[Key, Track] = field(default_factory=dict[Key, Track])
    sent: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    """NotifyRoute with a rate -> the times of its messages within the time of the rate."""


class PlanChanges(Struct, frozen=True, kw_only=True):
    """The changes that must be saved; None: deleted."""

    tracks: Mapping[Key, Track | None] = field(default_factory=dict[Key, "Track | None"])
    sent: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    def __bool__(self) -> bool:
        return bool(self.tracks or self.sent)


_SENT = "sent"
_TRACK = "track"
_tracks = msgspec.json.Decoder(Track)
_times = msgspec.json.Decoder(tuple[int, ...])


def saved(changed: PlanChanges) -> dict[str, str | None]:
    """The rows that are saved: key -> JSON text; None: the row is deleted."""
    rows: dict[str, str | None] = {
        f"{_TRACK} {route} {alarm}": None if track is None else msgspec.json.encode(track).decode()
        for (route, alarm), track in changed.tracks.items()
    }
    for route, times in changed.sent.items():
        rows[f"{_SENT} {route}"] = msgspec.json.encode(times).decode() if times else None
    return rows


def restored(rows: Iterable[tuple[str, str]]) -> PlanState:
    """The state from the rows that were saved."""
    tracks: dict[Key, Track] = {}
    sent: dict[str, tuple[int, ...]] = {}
    for key, text in rows:
        kind, _, name = key.partition(" ")
        if kind == _TRACK:
            track = _tracks.decode(text)
            tracks[track.key] = track
        elif kind == _SENT:
            sent[name] = _times.decode(text)
    return PlanState(tracks=tracks, sent=sent)


class Draft:
    """A state in the making: the former one with changes over it."""

    def __init__(self, before: PlanState) -> None:
        self.tracks = dict(before.tracks)
        self.sent = dict(before.sent)
        self._before = before
        self._touched: set[Key] = set()
        self._sent_touched: set[str] = set()

    def put(self, track: Track) -> None:
        """Add or replace a track."""
        self.tracks[track.key] = track
        self._touched.add(track.key)

    def drop(self, key: Key) -> None:
        """Forget a track."""
        if self.tracks.pop(key, None) is not None:
            self._touched.add(key)

    def of_alarm(self, alarm: str, routes: Iterable[str]) -> Iterator[Track]:
        """The tracks of an alarm in these routes."""
        for route in routes:
            if (track := self.tracks.get((route, alarm))) is not None:
                yield track

    def count(self, route: str, times: tuple[int, ...]) -> None:
        """Replace the times of the messages of a route."""
        self.sent[route] = times
        self._sent_touched.add(route)

    def state(self) -> PlanState:
        """The new state."""
        return PlanState(tracks=self.tracks, sent=self.sent)

    def changed(self) -> PlanChanges:
        """The differences from the former state."""
        before = self._before.tracks
        tracks = {key: self.tracks.get(key) for key in self._touched}
        return PlanChanges(
            tracks={key: track for key, track in tracks.items() if track != before.get(key)},
            sent={route: self.sent[route] for route in self._sent_touched},
        )

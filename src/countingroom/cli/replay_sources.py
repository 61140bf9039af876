"""Where a replay reads what was recorded: the API of the running experiment, or the files of one that does not run.

Both only read. The API is asked page by page, so that the console and the history answer others meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from countingroom.cli.client import Client, Remote
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter
from countingroom.core.errors import ConfigurationError, CountingRoomError, LinkError
from countingroom.core.messages import Event, EventKind
from countingroom.core.series import Last, LastQuery, RangeQuery, Samples, Series
from countingroom.core.times import format_time
from countingroom.core.values import Reading

if TYPE_CHECKING:
    from countingroom.core.rules.specs import EventTrigger
    from countingroom.history.messages import Page
    from countingroom.storage.description import StorageSection

_POINTS = 200
"""The most points of one HTTP request, because their names are in its address."""
_PAGE = 50_000
_ALARMS = "alarms"
"""The department of rules and interlocks."""
_EVENTS = 1000
_ENTRIES = 5000
MOST_EVENTS = 200_000
"""Of states that are read; a replay over more of them says that it is not complete."""


class Source(Protocol):
    """A source of recorded data."""

    @property
    def has_states(self) -> bool: ...
    def points(self) -> list[str]: ...
    def last(self, names: Sequence[str], at_ns: int) -> Mapping[str, Reading]: ...
    def pages(self, names: Sequence[str], begin_ns: int, end_ns: int) -> Iterator[Page]: ...
    def series(self, point: str, begin_ns: int, end_ns: int, most: int) -> Series | None: ...
    def events(self, begin_ns: int, end_ns: int) -> list[Event]: ...
    def about(self, names: Sequence[str], begin_ns: int, end_ns: int) -> list[Event] | None: ...
    def triggers(self, triggers: Sequence[EventTrigger], begin_ns: int, end_ns: int) -> list[Event]: ...
    def alarms(self, begin_ns: int, end_ns: int) -> list[AlarmEntry]: ...
    def close(self) -> None: ...


class ApiSource:
    """The running experiment, over its API."""

    has_states = True
    """It knows the states of devices."""

    def __init__(self, url: str) -> None:
        self._api = Client(url, timeout_s=120.0)

    def close(self) -> None:
        self._api.__exit__(None, None, None)

    def points(self) -> list[str]:
        """Addresses of the points that have a history."""
        return list(self._api.exact("/api/v1/history/points")["points"])

    def last(self, names: Sequence[str], at_ns: int) -> Mapping[str, Reading]:
        """The last reading of each at or before this time."""
        found: dict[str, Reading] = {}
        for part in _parts(names):
            answer = self._api.exact("/api/v1/history/last", point=part, at=format_time(at_ns))
            found |= msgspec.convert(answer, Last).readings
        return found

    def pages(self, names: Sequence[str], begin_ns: int, end_ns: int) -> Iterator[Page]:
        """All samples in order of time. With many points the pages of their parts are read side by side."""
        from countingroom.history.messages import side_by_side

        return side_by_side([self._part(part, begin_ns, end_ns) for part in _parts(names)])

    def _part(self, names: list[str], begin_ns: int, end_ns: int) -> Iterator[Page]:
        from countingroom.history.columns import of_samples

        cursor: int | None = begin_ns
        end = format_time(end_ns)
        while cursor is not None:
            asked: dict[str, Any] = {"point": names, "from": format_time(cursor), "to": end, "limit": _PAGE}
            page = self._api.exact("/api/v1/history/export", messages="true", **asked)
            cursor = page["next_ns"]
            samples = msgspec.convert(page["samples"], Samples)
            yield of_samples(names, samples), end_ns if cursor is None else cursor

    def series(self, point: str, begin_ns: int, end_ns: int, most: int) -> Series | None:
        """One point, reduced, for a curve."""
        asked = {"point": point, "from": format_time(begin_ns), "to": format_time(end_ns), "max_points": most}
        try:
            return msgspec.convert(self._api.exact("/api/v1/history", **asked), Series)
        except Remote:
            return None

    def events(self, begin_ns: int, end_ns: int) -> list[Event]:
        """Changes of states and links, in the order of time."""
        found = [one for kind in ("state", "link") for one in self._events(begin_ns, end_ns, kind=kind)]
        return sorted((one for one in found if one.department != _ALARMS), key=lambda one: one.time_ns)

    def about(self, names: Sequence[str], begin_ns: int, end_ns: int) -> list[Event] | None:
        """Events of these rules or interlocks, in the order of time. None: they are not read."""
        found = [one for name in names for one in self._events(begin_ns, end_ns, source=name)]
        return sorted((one for one in found if one.department == _ALARMS), key=lambda one: one.time_ns)

    def triggers(self, triggers: Sequence[EventTrigger], begin_ns: int, end_ns: int) -> list[Event]:
        """Events for which rules wait, each once, in the order of time."""
        found: dict[str, Event] = {}
        for trigger in triggers:
            wanted = {"source": trigger.source or None, "kind": trigger.kind.value if trigger.kind else None}
            every = self._events(begin_ns, end_ns, **wanted)
            found |= {one.id: one for one in every if trigger.matches(one)}
        return sorted(found.values(), key=lambda one: one.time_ns)

    def _events(self, begin_ns: int, end_ns: int, **wanted: str | None) -> list[Event]:
        """At most MOST_EVENTS, the newest first."""
        found: list[Event] = []
        before: int | None = None
        while len(found) < MOST_EVENTS:
            asked: dict[str, Any] = {"from": format_time(begin_ns), "to": format_time(end_ns), **wanted}
            page = self._api.exact("/api/v1/events", limit=_EVENTS, before=before, **asked)
            found += msgspec.convert(page["events"], list[Event])
            before = page["next_before"]
            if before is None:
                break
        return found

    def alarms(self, begin_ns: int, end_ns: int) -> list[AlarmEntry]:
        """The history of all alarms, in the order in which it was stored."""
        found: list[AlarmEntry] = []
        before: int | None = None
        while True:
            asked: dict[str, Any] = {"from": format_time(begin_ns), "to": format_time(end_ns), "limit": _ENTRIES}
            page = self._api.exact("/api/v1/alarms/entries", before=before, **asked)
            found += msgspec.convert(page["entries"], list[AlarmEntry])
            before = page["next_before"]
            if before is None:
                return found[::-1]


class FileSource:
    """The data folder of an experiment that does not run."""

    def __init__(self, data: Path, storage: StorageSection) -> None:
        """ConfigurationError where there is no history; LinkError where a process has it open."""
        from countingroom.history.duckdb_store import DuckStore

        file = data / "history" / "history.duckdb"
        if not file.exists():
            raise ConfigurationError(
                f"{data} has no history", source="--data", suggestion="give the data folder of the experiment"
            )
        self._data = data
        self._storage = storage
        self._read: dict[tuple[int, int], list[Event]] = {}
        """Range -> its events."""
        try:
            self._store = DuckStore(file, read_only=True)
        except LinkError as error:
            raise LinkError(
                f"the history in {data} cannot be read: {error.cause.message}",
                source="--data",
                code="data_in_use",
                suggestion="leave --data out while the experiment runs: it is then asked over its API",
            ) from error

    def close(self) -> None:
        self._store.close()

    @property
    def has_states(self) -> bool:
        """Whether the folder has the events, which tell the states of devices."""
        from countingroom.cli.stored_events import has_events

        return has_events(self._data)

    def points(self) -> list[str]:
        """Addresses of the points that have a history."""
        return list(self._store.points())

    def last(self, names: Sequence[str], at_ns: int) -> Mapping[str, Reading]:
        """The last reading of each at or before this time."""
        from countingroom.history.query_answers import answer_last

        return answer_last(self._store, LastQuery(points=tuple(names), at_ns=at_ns)).readings

    def pages(self, names: Sequence[str], begin_ns: int, end_ns: int) -> Iterator[Page]:
        """All samples in order of time."""
        from countingroom.history.messages import pages

        return pages(self._store, tuple(names), begin_ns, end_ns)

    def series(self, point: str, begin_ns: int, end_ns: int, most: int) -> Series | None:
        """One point, reduced, for a curve."""
        from countingroom.history.query_answers import answer_range

        try:
            return answer_range(self._store, RangeQuery(point=point, start_ns=begin_ns, end_ns=end_ns, max_points=most))
        except CountingRoomError:
            return None

    def events(self, begin_ns: int, end_ns: int) -> list[Event]:
        """Changes of states and links, in the order of time."""
        return [
            one
            for one in self._of_range(begin_ns, end_ns)
            if one.kind in (EventKind.STATE, EventKind.LINK) and one.department != _ALARMS
        ]

    def about(self, names: Sequence[str], begin_ns: int, end_ns: int) -> list[Event] | None:
        """Events of these rules or interlocks, in the order of time. None: the folder has no events."""
        if not self.has_states:
            return None
        wanted = set(names)
        return [one for one in self._of_range(begin_ns, end_ns) if one.department == _ALARMS and one.source in wanted]

    def triggers(self, triggers: Sequence[EventTrigger], begin_ns: int, end_ns: int) -> list[Event]:
        """Events for which rules wait, each once, in the order of time."""
        every = {one.id: one for one in self._of_range(begin_ns, end_ns)}
        return [one for one in every.values() if any(trigger.matches(one) for trigger in triggers)]

    def _of_range(self, begin_ns: int, end_ns: int) -> list[Event]:
        """All of them, in the order of time."""
        from countingroom.cli.stored_events import stored_events

        if (begin_ns, end_ns) not in self._read:
            found = stored_events(self._data, begin_ns, end_ns)
            self._read[begin_ns, end_ns] = sorted(found, key=lambda one: one.time_ns)
        return self._read[begin_ns, end_ns]

    def alarms(self, begin_ns: int, end_ns: int) -> list[AlarmEntry]:
        """The history of all alarms, in the order in which it was stored. The database is not migrated."""
        return asyncio.run(self._alarms(AlarmHistoryFilter(from_ns=begin_ns, to_ns=end_ns, limit=1_000_000)))

    async def _alarms(self, wanted: AlarmHistoryFilter) -> list[AlarmEntry]:
        from countingroom.storage.database import Database

        address = self._storage.address(self._data)
        if address.startswith("sqlite:") and not (self._data / "countingroom.sqlite").exists():
            return []
        database = Database(address)
        try:
            return list((await database.alarms.history(wanted))[::-1])
        finally:
            await database.close()


def _parts(names: Sequence[str]) -> list[list[str]]:
    return [list(names[begin : begin + _POINTS]) for begin in range(0, len(names), _POINTS)]

"""The last changes of the live feed, so that a page that reconnects can resume. Bounded in number and in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from msgspec import Struct

from countingroom.console.live.subscription import LiveSubscription, fragment
from countingroom.console.present.device_rows import Row


class FeedChange(Struct, frozen=True, kw_only=True):
    """The changes of one tick, encoded in pieces. The pieces of a device are encoded once for all viewers."""

    revision: int
    time_ns: int
    rows: Mapping[str, Mapping[str, Row]]
    """Device -> `<device>.<point>` -> row."""
    points: Mapping[str, bytes]
    """Device -> the same, encoded."""
    states: Mapping[str, bytes]
    """Device -> its states that changed."""
    words: Mapping[str, bytes]
    """Partition -> its run control state that changed; an empty name: of the experiment as a whole; ALARM_PLACE: the
    alarms that changed."""
    events: Mapping[str, bytes]
    """Source -> its events, comma-separated."""
    shared: bytes
    """What every viewer gets: `"alive":{…},"alarms":[…]`, or nothing."""

    @property
    def size(self) -> int:
        """About how many bytes it occupies: the rows cost several times their text."""
        texts = (*self.points.values(), *self.states.values(), *self.words.values(), *self.events.values(), self.shared)
        return 6 * sum(map(len, texts))

    def compose(self, watch: LiveSubscription) -> str | None:
        """The message for this subscription; None without a change in it."""
        parts: list[bytes] = []
        points = list(self._points(watch))
        if points:
            parts.append(b'"points":{%s}' % b",".join(points))
        states = [text for device, text in self.states.items() if watch.states and watch.sees(device)]
        states += [text for partition, text in self.words.items() if watch.sees_words_of(partition)]
        if states:
            parts.append(b'"states":{%s}' % b",".join(states))
        if events := [text for source, text in self.events.items() if watch.includes_events_of(source)]:
            parts.append(b'"events":[%s]' % b",".join(events))
        if self.shared:
            parts.append(self.shared)
        if not parts:
            return None
        head = b'{"kind":"delta","revision":%d,"time_ns":%d,' % (self.revision, self.time_ns)
        return (head + b",".join(parts) + b"}").decode()

    def _points(self, watch: LiveSubscription) -> Iterator[bytes]:
        if watch.points is None:
            yield from (text for device, text in self.points.items() if watch.sees(device))
        elif watch.points:
            for device, rows in self.rows.items():
                wanted = {name: row for name, row in rows.items() if name in watch.points}
                if wanted and watch.sees(device):
                    yield fragment(wanted)


class Backlog:
    """The last changes in order."""

    def __init__(self, *, most: int = 150, most_bytes: int = 16_000_000) -> None:
        self._changes: deque[FeedChange] = deque()
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, change: FeedChange) -> None:
        """Add a change, and drop the oldest ones beyond the limits."""
        self._changes.append(change)
        self._bytes += change.size
        while self._changes and (len(self._changes) > self._most or self._bytes > self._most_bytes):
            self._bytes -= self._changes.popleft().size

    def after(self, revision: int, *, now: int) -> list[FeedChange] | None:
        """The changes after this revision up to `now`, the present one. None if some of them were dropped, or if the
        revision is of another run of the console process."""
        if revision > now:
            return None
        found = [change for change in self._changes if change.revision > revision]
        return found if len(found) == now - revision else None

"""The encoded parts of a snapshot of the live feed, kept until they change, so that many snapshots cost little.

Without it each snapshot encoded every point and state again: sixty clients that subscribed without pause stopped the
console. What changes between two ticks is not in a snapshot; it is in the delta of the next tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from countingroom.console.live.subscription import LiveSubscription, fragment
from countingroom.console.present import partition_words
from countingroom.console.present.device_rows import Row
from countingroom.console.present.latest import Latest

_Rows = Callable[[str, set[str] | None], dict[str, Row]]


class SnapshotParts:
    """Points, states of devices and states of run control, each encoded at most once a tick.

    `rows(device, None)`: `<device>.<point>` -> row of every point of a device.
    """

    def __init__(self, latest: Latest, rows: _Rows) -> None:
        self._latest = latest
        self._rows_of = rows
        self._rows: dict[str, dict[str, Row]] = {}
        self._points: dict[str, bytes] = {}
        self._states: dict[str, bytes] | None = None
        self._words: dict[str, bytes] | None = None

    def update(self, device: str, rows: Mapping[str, Row], *, whole: bool) -> None:
        """These rows of a device changed; `whole`: they are all it has."""
        self._points.pop(device, None)
        if whole:
            self._rows[device] = dict(rows)
        elif device in self._rows:
            self._rows[device].update(rows)

    def forget(self, *, states: bool, words: bool) -> None:
        """States of devices, or of run control, changed."""
        if states:
            self._states = None
        if words:
            self._words = None

    def points(self, watch: LiveSubscription) -> bytes:
        """The members of `points`."""
        seen = [device for device in self._latest.catalogues if watch.sees(device)]
        if watch.points is None:
            return b",".join(text for device in seen if (text := self._encoded(device)))
        if not watch.points:
            return b""
        return fragment(
            {name: rows[name] for device in seen for rows in [self._of(device)] for name in rows.keys() & watch.points}
        )

    def states(self, watch: LiveSubscription) -> bytes:
        """The members of `states`."""
        if watch.states and self._states is None:
            self._states = _encoded((one.device, key, one) for key, one in self._latest.states.items())
        if self._words is None:
            words = self._latest.words.items()
            self._words = _encoded((partition_words.place_of(key, one), key, one) for key, one in words)
        found = [text for device, text in (self._states or {}).items() if watch.states and watch.sees(device)]
        return b",".join(found + [text for name, text in self._words.items() if watch.sees_words_of(name)])

    def _of(self, device: str) -> Mapping[str, Row]:
        if device not in self._rows:
            self._rows[device] = self._rows_of(device, None)
        return self._rows[device]

    def _encoded(self, device: str) -> bytes:
        if device not in self._points:
            self._points[device] = fragment(self._of(device))
        return self._points[device]


def _encoded(items: Iterable[tuple[str, str, object]]) -> dict[str, bytes]:
    """Device or partition -> its states encoded, of items (device or partition, key, state)."""
    grouped: dict[str, dict[str, object]] = {}
    for group, key, state in items:
        grouped.setdefault(group, {})[key] = state
    return {group: fragment(states) for group, states in grouped.items()}

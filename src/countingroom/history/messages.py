"""From stored samples back to the messages in which they came, in the order in which they were sent. Pure.

Each sample has the time of its message and its place in it. Samples of files from before these were stored have the
time at which they were received; those of one device and one such time are taken for one message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from countingroom.core.messages import Readings
from countingroom.core.values import Scalar
from countingroom.history.columns import CLOCK_TOLERANCE_NS, Columns, Integers, scalars, together
from countingroom.history.port import HistoryStore

BACK_NS = CLOCK_TOLERANCE_NS
"""A sample is stored at the time of its device, which may be so far from that of its message."""
_WINDOW_NS = 600_000_000_000
_SHORTEST_NS = 1_000_000_000
PAGE = 200_000
"""Samples that are read together. They take about 60 MB."""

Page = tuple[Columns, int]
"""Samples in order of time, and the time before which all have been read."""


def sent(columns: Columns) -> Integers:
    """When the message of each sample was sent, as exactly as it is known."""
    own = (columns.time_ns == columns.device_ns) | (columns.time_ns == columns.received_ns)
    return np.where(columns.sent_ns > 0, columns.sent_ns, np.where(own, columns.received_ns, columns.time_ns))


def pages(
    store: HistoryStore, names: tuple[str, ...], start_ns: int, end_ns: int, *, most: int = PAGE
) -> Iterator[Page]:
    """All samples of these points that are stored in [start_ns, end_ns), about `most` at a time."""
    window = _WINDOW_NS
    while start_ns < end_ns:
        stop = min(end_ns, start_ns + window)
        rows = store.samples(names, start_ns, stop, limit=most + 1)
        if len(rows) > most:
            # The last moment may be cut off in the middle: it is read with the next page.
            stop = max(int(rows.time_ns[-1]), int(rows.time_ns[0]) + 1)
            whole = int(np.searchsorted(rows.time_ns, stop))
            rows = store.samples(names, start_ns, stop, limit=2**62) if whole > most else rows.chosen(np.arange(whole))
            window = max(_SHORTEST_NS, window // 2)
        elif len(rows) < most // 4:
            window *= 2
        yield rows, stop
        start_ns = stop


def side_by_side(parts: Sequence[Iterator[Page]]) -> Iterator[Page]:
    """Pages of several sets of points as one, each time of the set that has been read least far."""
    complete = dict.fromkeys(range(len(parts)), 0)
    while complete:
        number = min(complete, key=complete.__getitem__)
        page = next(parts[number], None)
        if page is None:
            del complete[number]
            continue
        rows, complete[number] = page
        yield rows, min(complete.values())


def messages(found: Iterable[Page], start_ns: int, end_ns: int) -> Iterator[Readings]:
    """The messages sent in [start_ns, end_ns), from pages that begin BACK_NS before and end as much after."""
    places: dict[str, int] = {}
    devices: dict[str, int] = {}
    of_point: list[tuple[str, str, int]] = []
    rest: list[Columns] = []
    for page, complete_ns in found:
        for name in dict.fromkeys(page.names):
            if name not in places:
                places[name] = len(of_point)
                device, _, point = name.partition(".")
                of_point.append((device, point, devices.setdefault(device, len(devices))))
        rows = together([*rest, page]) if rest else page
        times = sent(rows)
        is_ready = times < complete_ns - BACK_NS
        ready = np.flatnonzero(is_ready & (times >= start_ns) & (times < end_ns))
        left = np.flatnonzero(~is_ready)
        rest = [rows.chosen(left)] if len(left) else []
        yield from _grouped(rows, times, ready, places, of_point)
    if rest:
        times = sent(rest[0])
        ready = np.flatnonzero((times >= start_ns) & (times < end_ns))
        yield from _grouped(rest[0], times, ready, places, of_point)


def _grouped(
    rows: Columns,
    times: Integers,
    ready: Integers,
    places: dict[str, int],
    of_point: list[tuple[str, str, int]],
) -> Iterator[Readings]:
    """One message for each device and time among these rows."""
    if not len(ready):
        return
    point = np.fromiter(map(places.__getitem__, rows.names), np.int64, len(rows))[ready]
    device = np.array([index for _, _, index in of_point], np.int64)[point]
    times = times[ready]
    order = np.lexsort((rows.place[ready], device, times))
    times, device, point = times[order], device[order], point[order]
    chosen = ready[order]
    begins = np.flatnonzero(np.append(True, (times[1:] != times[:-1]) | (device[1:] != device[:-1])))
    ends = np.append(begins[1:], len(times))
    is_given: NDArray[np.bool_] = np.logical_or.reduceat(rows.alarm[chosen] > 0, begins)
    names: list[str] = [of_point[index][1] for index in point.tolist()]
    every = scalars(rows)
    values: list[Scalar] = [every[row] for row in chosen.tolist()]
    quality = rows.quality[chosen].tolist()
    device_ns = rows.device_ns[chosen].tolist()
    received_ns = rows.received_ns[chosen].tolist()
    alarm = rows.alarm[chosen].tolist()
    whole = (rows.whole[chosen[begins]] > 0).tolist()
    owner: list[str] = [of_point[index][0] for index in point[begins].tolist()]
    of_message = zip(
        begins.tolist(),
        ends.tolist(),
        times[begins].tolist(),
        owner,
        is_given.tolist(),
        whole,
        strict=True,
    )
    begin: int
    end: int
    name: str
    for begin, end, sent_ns, name, given, full in of_message:
        part = slice(begin, end)
        yield Readings(
            device=name,
            boot="",
            sequence=0,
            full=full,
            sent_ns=sent_ns,
            points=names[part],
            values=values[part],
            qualities=quality[part],
            device_ns=device_ns[part],
            received_ns=received_ns[part],
            alarms={names[row]: alarm[row] for row in range(begin, end) if alarm[row]} if given else {},
        )

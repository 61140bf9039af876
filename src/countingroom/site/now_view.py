"""What the page Now shows: freshness of the mirror, partitions, runs, alarms and computers, in that order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from countingroom.mirror.store.values import HostRow, RecordRow, SourceRow
from countingroom.site import bodies
from countingroom.site.clients import ClientPhase, RunRecord

STALE_S = 120.0
"""A source that was not heard for so long is stale."""
STUCK_S = 900.0
_RECORDING = ("recording", "running")
_READY = ("ready", "active", "configured")
_ABNORMAL = ("error", "lost", "failed")
SOURCE_NAMES = {"host": "runs", "cluster": "computers", "feed": "experiment"}
_TROUBLE = {
    "not_reached": "not reached",
    "no_answer": "no answer",
    "refused": "refused",
    "bad_answer": "answers wrongly",
    "store": "not stored",
}


class SourceView(Struct, frozen=True, kw_only=True):
    """A kind of news: how fresh it is."""

    kind: str
    name: str
    heard_s: float | None
    is_stale: bool
    is_stuck: bool
    trouble: str
    sources: int
    connected: int


class Freshness(Struct, frozen=True, kw_only=True):
    """How current the site is."""

    word: str
    level: str
    """`full`: current; `g3`: a part is late; `g1`: nothing comes."""
    news_s: float | None
    heard_s: float | None
    sources: tuple[SourceView, ...]


class PartitionView(Struct, frozen=True, kw_only=True):
    """A partition."""

    name: str
    state: str
    mark: str
    is_recording: bool
    run: int | None
    since_s: float | None
    tag: str
    events: int | None
    rate: float | None


class AlarmView(Struct, frozen=True, kw_only=True):
    """An alarm that is active."""

    level: int
    since_s: float | None
    where: str
    what: str
    is_acknowledged: bool


class ComputerView(Struct, frozen=True, kw_only=True):
    """A computer, by its alias."""

    name: str
    level: str
    """Empty: as it should be; else the class of its mark."""
    word: str
    since_s: float | None
    message: str = ""


class RunRow(Struct, frozen=True, kw_only=True):
    """A run of the run book."""

    number: int
    partition: str
    started_s: float | None
    length_s: float | None
    events: int | None
    ended: str


def freshness(sources: Sequence[SourceRow], news_us: int, now_s: float) -> Freshness:
    """How current the site is at this time."""
    views = tuple(_source(kind, [one for one in sources if one.kind == kind], now_s) for kind in SOURCE_NAMES)
    views = tuple(one for one in views if one.sources)
    heard_s = max((one.heard_s for one in views if one.heard_s), default=None)
    stale = [one for one in views if one.is_stale]
    if not views:
        word, level = ("Not connected yet", "stale")
    elif len(stale) == len(views):
        word, level = ("No news", "g1")
    elif stale or any(one.connected < one.sources for one in views):
        word, level = ("Partly up to date", "g3")
    else:
        word, level = ("Up to date", "full")
    return Freshness(
        word=word,
        level=level,
        news_s=news_us / 1e6 or None,
        heard_s=heard_s,
        sources=views,
    )


def _source(kind: str, rows: Sequence[SourceRow], now_s: float) -> SourceView:
    heard_s = max((one.contact_at for one in rows), default=0) / 1e6
    connected = sum(one.is_connected for one in rows)
    trouble = next((_TROUBLE.get(one.trouble, one.trouble) for one in rows if one.trouble), "")
    return SourceView(
        kind=kind,
        name=SOURCE_NAMES[kind],
        heard_s=heard_s or None,
        is_stuck=now_s - heard_s > STUCK_S,
        is_stale=not connected or now_s - heard_s > STALE_S,
        trouble=trouble,
        sources=len(rows),
        connected=connected,
    )


def partitions(records: Iterable[RecordRow]) -> list[PartitionView]:
    """Those that record first, then by name."""
    found = [_partition(one.key, one.body) for one in records if one.kind == "partition" and one.body is not None]
    return sorted(found, key=lambda one: (not one.is_recording, one.name))


def _partition(key: str, body: bodies.Body) -> PartitionView:
    state = bodies.text(body, "state")
    plain = state.lower()
    mark = "full" if plain in _RECORDING else "half" if plain in _READY else "empty"
    return PartitionView(
        name=bodies.text(body, "partition", "name") or key,
        state=state or "unknown",
        mark="g1" if plain in _ABNORMAL else mark,
        is_recording=plain in _RECORDING,
        run=bodies.whole(body, "run") or None,
        since_s=bodies.time_s(body, "since", "since_ns"),
        tag=bodies.text(body, "tag", "configuration"),
        events=bodies.whole(body, "events"),
        rate=bodies.number(body, "rate"),
    )


def alarms(records: Iterable[RecordRow]) -> list[AlarmView]:
    """Those that are active, the most urgent first."""
    found = [
        _alarm(one.key, one.body)
        for one in records
        if one.kind == "alarm" and one.body is not None and _is_active(one.body)
    ]
    return sorted(found, key=lambda one: (one.level, -(one.since_s or 0)))


def alarms_unknown(sources: Iterable[SourceRow], now_s: float) -> str:
    """Why no alarm is known, as an experiment that is not heard has alarms all the same; empty: they are known."""
    feeds = [one for one in sources if one.kind == "feed"]
    if not feeds:
        return "not published"
    return "not known" if _source("feed", feeds, now_s).is_stale else ""


def _is_active(body: bodies.Body) -> bool:
    return bodies.text(body, "state", "base").lower() not in _NOT_SHOWN


def _alarm(key: str, body: bodies.Body) -> AlarmView:
    state = bodies.text(body, "state", "base").lower()
    where = "/".join(
        one for one in (bodies.text(body, name) for name in ("partition", "system", "device", "node")) if one
    )
    point = bodies.text(body, "point")
    # A policy that publishes no texts of people leaves the names of what it is about.
    what = bodies.text(body, "text", "title") or (f"{point} is abnormal" if point else "") or bodies.text(body, "alarm")
    return AlarmView(
        level=min(4, max(1, bodies.whole(body, "priority") or 3)),
        since_s=bodies.time_s(body, "since", "since_ns"),
        where=where or bodies.text(body, "area"),
        what=(what or key) + _SUFFIX.get(state, ""),
        is_acknowledged=state in ("acknowledged", "latched"),
    )


_NOT_SHOWN = ("", "normal", "shelved", "suppressed", "out_of_service")
_SUFFIX = {
    "acknowledged": " (acknowledged)",
    "returned": " (returned)",
    "latched": " (latched)",
    "latched_unacknowledged": " (latched)",
}


def computers(records: Iterable[RecordRow], hosts: Iterable[HostRow]) -> list[ComputerView]:
    """Nodes of the experiment and computers of the cluster, those that are not as they should be first."""
    found = [_node(one.key, one.body) for one in records if one.kind == "node" and one.body is not None]
    for host in hosts:
        word = "up" if host.is_up else "down"
        level = "" if host.is_up else "g1"
        since_s = host.at / 1e6
        found.append(ComputerView(name=host.host, level=level, word=word, since_s=since_s, message=host.message))
    return sorted(found, key=lambda one: (not one.level, one.name))


def _node(key: str, body: bodies.Body) -> ComputerView:
    reached, cordon = bodies.flag(body, "reachable", "is_reachable"), bodies.flag(body, "set_aside", "cordon")
    level, word = ("", "reached") if reached else ("stale", "not reached")
    if cordon:
        level, word = "off", "set aside"
    name = bodies.text(body, "node", "host", "name") or key
    return ComputerView(name=name, level=level, word=word, since_s=bodies.time_s(body, "since", "since_ns"))


def run_rows(records: Iterable[RecordRow], now_s: float) -> list[RunRow]:
    """Runs of the run book, the newest first."""
    found = [_run(one.key, one.body, now_s) for one in records if one.kind == "run" and one.body is not None]
    return sorted((one for one in found if one.number), key=lambda one: -one.number)


def _run(key: str, body: bodies.Body, now_s: float) -> RunRow:
    started_s = bodies.time_s(body, "started", "started_ns")
    ended_s = bodies.time_s(body, "ended", "ended_ns")
    length_s = bodies.number(body, "seconds", "duration_s")
    if length_s is None and started_s is not None:
        length_s = (ended_s or now_s) - started_s
    end = bodies.text(body, "end", "state")
    return RunRow(
        number=bodies.whole(body, "run", "number") or (int(key) if key.isdecimal() and len(key) < 12 else 0),
        partition=bodies.text(body, "partition"),
        started_s=started_s,
        length_s=length_s,
        events=bodies.whole(body, "events"),
        ended=end or ("" if ended_s is None else "ended") or "running",
    )


class RunLine(Struct, frozen=True, kw_only=True):
    """A run in a list: of the run book, of the data quality monitoring, or of both."""

    number: int
    kind: str
    at_s: float | None
    section: int | None
    events: int | None
    clients: str
    mark: str
    word: str


def run_lines(book: Iterable[RunRow], monitored: Iterable[RunRecord], now_s: float) -> list[RunLine]:
    """Runs by number, the newest first."""
    found: dict[int, RunLine] = {}
    for one in book:
        mark = "full" if one.ended == "running" else "empty"
        found[one.number] = RunLine(
            number=one.number,
            kind=one.partition,
            at_s=one.started_s,
            section=None,
            events=one.events,
            clients="",
            mark=mark,
            word=one.ended,
        )
    for record in monitored:
        found[record.number] = _monitored(record, found.get(record.number), now_s)
    return sorted(found.values(), key=lambda one: -one.number)


def _monitored(record: RunRecord, book: RunLine | None, now_s: float) -> RunLine:
    counts = record.counts(now_s)
    bad = [(f"{counts[phase]} {phase}", level) for phase, level in _BAD if counts[phase]]
    is_on = record.is_going_on(now_s)
    word = ", ".join(text for text, _ in bad) or (book.word if book else "running" if is_on else "finished")
    return RunLine(
        number=record.number,
        kind=book.kind if book else record.set,
        at_s=book.at_s if book else record.heard_s,
        section=record.section,
        events=book.events if book and book.events is not None else record.events,
        clients=str(len(record.clients)),
        mark=bad[0][1] if bad else "full" if is_on else "empty",
        word=word,
    )


_BAD = ((ClientPhase.CRASHED, "g1"), (ClientPhase.STUCK, "g2"))

"""Clients of a run and the figures of its streams, as pages show them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from countingroom.mirror.store.values import DocumentRow
from countingroom.site import bodies

STUCK_S = 900.0
"""A client that was silent for so long is stuck."""
SECTION_S = 23.310893056
"""Length of a lumi section: 2^18 orbits."""
_LIVE = "_dqm_sourceclient-live"


class ClientPhase(StrEnum):
    """How a client is."""

    CRASHED = "crashed"
    STUCK = "stuck"
    RUNNING = "running"
    FINISHED = "finished"


class ClientState(Struct, frozen=True, kw_only=True):
    """One process of a run."""

    id: str
    run: int
    name: str
    host: str
    at_s: float
    """When it was heard last."""
    exit_code: int | None = None
    is_ended: bool = False
    """It has ended, perhaps with a code that is not published."""
    events: int | None = None
    rate: float | None = None
    section: int | None = None
    memory_mb: float | None = None
    inner: str = ""
    """Its own word for its state."""
    release: str = ""
    key: str = ""

    def phase(self, now_s: float) -> ClientPhase:
        """How it is at this time."""
        if self.is_ended:
            return ClientPhase.CRASHED if self.exit_code else ClientPhase.FINISHED
        return ClientPhase.STUCK if now_s - self.at_s > STUCK_S else ClientPhase.RUNNING


class StreamFigures(Struct, frozen=True, kw_only=True):
    """One stream of a run: by section."""

    name: str
    sections: tuple[int, ...]
    delays_s: tuple[float | None, ...]
    """From the end of a section to its file."""
    accepted: tuple[float | None, ...]


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run and its clients."""

    number: int
    set: str
    clients: tuple[ClientState, ...]

    @property
    def heard_s(self) -> float | None:
        """When anything of it was heard last."""
        return max((one.at_s for one in self.clients), default=None)

    @property
    def release(self) -> str:
        """Of its clients."""
        return next((one.release for one in self.clients if one.release), "")

    @property
    def key(self) -> str:
        """Of its clients."""
        return next((one.key for one in self.clients if one.key), "")

    @property
    def section(self) -> int | None:
        """The last one that a client has reached."""
        return max((one.section for one in self.clients if one.section is not None), default=None)

    @property
    def events(self) -> int | None:
        """Of the client with most."""
        return max((one.events for one in self.clients if one.events is not None), default=None)

    def counts(self, now_s: float) -> dict[ClientPhase, int]:
        """Clients in each phase."""
        found = dict.fromkeys(ClientPhase, 0)
        for one in self.clients:
            found[one.phase(now_s)] += 1
        return found

    def is_going_on(self, now_s: float) -> bool:
        """Whether a client of it runs."""
        return any(one.phase(now_s) is ClientPhase.RUNNING for one in self.clients)


def client_state(row: DocumentRow) -> ClientState:
    """A client of its document."""
    body = row.body
    name = row.client or bodies.text(body, "client")
    memory = bodies.number(body, "memory_bytes")
    exit_code = bodies.whole(body, "exit_code")
    return ClientState(
        id=row.document_id,
        run=row.run or 0,
        name=name.removesuffix(_LIVE) or "client",
        host=bodies.text(body, "host") or row.source,
        at_s=row.at / 1e6,
        exit_code=exit_code,
        is_ended=exit_code is not None or bodies.flag(body, "ended"),
        events=bodies.whole(body, "events"),
        rate=bodies.number(body, "rate"),
        section=bodies.whole(body, "lumi"),
        memory_mb=None if memory is None else memory / 2**20,
        inner=bodies.text(body, "state"),
        release=bodies.text(body, "release").removeprefix("CMSSW_").replace("_", "."),
        key=bodies.text(body, "run_key"),
    )


def stream_figures(rows: Iterable[DocumentRow]) -> tuple[tuple[StreamFigures, ...], float | None]:
    """The streams of a run, and when its first section began. Several builders each have a part of the files."""
    begun_s: float | None = None
    found: dict[str, StreamFigures] = {}
    for row in rows:
        body = row.body
        begin = bodies.time_s(body, "begun")
        begun_s = begin if begun_s is None or (begin is not None and begin < begun_s) else begun_s
        for name, stream in bodies.tables(body, "streams"):
            one = _figures(name, stream, begin)
            found[name] = _joined(found[name], one) if name in found else one
    return tuple(found[name] for name in sorted(found)), begun_s


def _figures(name: str, stream: bodies.Body, begin_s: float | None) -> StreamFigures:
    sections = [int(one) for one in bodies.numbers(stream, "lumis") if one is not None]
    times = _padded(bodies.numbers(stream, "mtimes"), len(sections))
    accepted = _padded(bodies.numbers(stream, "evt_accepted"), len(sections))
    delays = [
        None if at is None or begin_s is None else at - begin_s - section * SECTION_S
        for section, at in zip(sections, times, strict=True)
    ]
    order = sorted(range(len(sections)), key=sections.__getitem__)
    return StreamFigures(
        name=name,
        sections=tuple(sections[one] for one in order),
        delays_s=tuple(delays[one] for one in order),
        accepted=tuple(accepted[one] for one in order),
    )


def _joined(first: StreamFigures, second: StreamFigures) -> StreamFigures:
    """The same stream of two builders: events add up, the later file counts."""
    sections = sorted({*first.sections, *second.sections})
    delays: dict[int, float] = {}
    accepted: dict[int, float] = {}
    for one in (first, second):
        for section, delay, events in zip(one.sections, one.delays_s, one.accepted, strict=True):
            if delay is not None:
                delays[section] = max(delay, delays.get(section, delay))
            if events is not None:
                accepted[section] = accepted.get(section, 0) + events
    return StreamFigures(
        name=first.name,
        sections=tuple(sections),
        delays_s=tuple(delays.get(one) for one in sections),
        accepted=tuple(accepted.get(one) for one in sections),
    )


def _padded(given: Sequence[float | None], length: int) -> list[float | None]:
    return [*given[:length], *([None] * (length - len(given)))]

"""The report over a range of runs: what is counted, run by run. Pure.

A run is *bad* where a client of it crashed or is stuck, else *without a section* where no client reached one, else
*good*. Of a client that is there several times in one run, the worst one counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from msgspec import Struct

from countingroom.site.clients import ClientPhase, ClientState, RunRecord

_WORST = tuple(ClientPhase)
UNKNOWN = "not published"
_POINTS = 120
"""Points of a client, or of a key, in a chart."""


class ReportedRuns(Struct, frozen=True, kw_only=True):
    """How the runs were."""

    good: int = 0
    bad: int = 0
    """A client crashed or is stuck."""
    no_section: int = 0
    no_client: int = 0
    """Only figures of streams are published of it."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.good + self.bad + self.no_section + self.no_client


class ReportedClient(Struct, frozen=True, kw_only=True):
    """In how many runs a client was so."""

    name: str
    crashed: int = 0
    stuck: int = 0
    good: int = 0
    """It ended without an error."""
    running: int = 0

    @property
    def bad(self) -> int:
        """Runs in which it was not as it should be."""
        return self.crashed + self.stuck

    @property
    def total(self) -> int:
        """Runs with it."""
        return self.bad + self.good + self.running


class ReportedKey(Struct, frozen=True, kw_only=True):
    """Runs with this key."""

    key: str
    runs: int


class ReportedRelease(Struct, frozen=True, kw_only=True):
    """Runs with this release: by key."""

    release: str
    keys: dict[str, int]

    @property
    def runs(self) -> int:
        """All of them."""
        return sum(self.keys.values())


class ReportedExit(Struct, frozen=True, kw_only=True):
    """An exit code, how often a client had it, and in how many runs."""

    code: int
    clients: int
    runs: int


class ReportedRate(Struct, frozen=True, kw_only=True):
    """Events per second of a client at its end, in runs of a key in which it ended without an error."""

    client: str
    key: str
    runs: int
    mean: float
    deviation: float
    points: tuple[tuple[int, float], ...]
    """Run and rate, so many of them at most."""


class RatePoints(Struct, frozen=True, kw_only=True):
    """Of a key: last section and rate of clients."""

    key: str
    points: tuple[tuple[int, float], ...]


class RunsReport(Struct, frozen=True, kw_only=True):
    """All of it."""

    set: str
    first: int
    """The range that was asked for."""
    last: int
    from_s: float | None
    """When a client of these runs was heard, the first and the last time."""
    to_s: float | None
    runs: ReportedRuns
    clients: tuple[ReportedClient, ...]
    """The worst first."""
    keys: tuple[ReportedKey, ...]
    releases: tuple[ReportedRelease, ...]
    exits: tuple[ReportedExit, ...]
    rates: tuple[ReportedRate, ...]
    rates_by_section: tuple[RatePoints, ...]
    lines: int = 0
    """Of logs, that came to the site so far, and those of them and of records that were withheld."""
    lines_withheld: int = 0
    records_withheld: int = 0


class _Rates:
    """Rates of one client with one key."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []

    def made(self, client: str, key: str) -> ReportedRate:
        values = [rate for _, rate in self.points]
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / len(values))
        points = tuple(thinned(self.points))
        return ReportedRate(client=client, key=key, runs=len(values), mean=mean, deviation=deviation, points=points)


class ReportCount:
    """Takes the runs one after the other, so that none needs to be kept."""

    def __init__(self, set_name: str, first: int, last: int, now_s: float) -> None:
        self._range = set_name, first, last
        self._now_s = now_s
        self._good = self._bad = self._no_section = self._records = 0
        self._from_s: float | None = None
        self._to_s: float | None = None
        self._clients: dict[str, Counter[ClientPhase]] = defaultdict(Counter)
        self._keys: Counter[str] = Counter()
        self._releases: dict[str, Counter[str]] = defaultdict(Counter)
        self._exits: Counter[int] = Counter()
        self._exit_runs: Counter[int] = Counter()
        self._rates: dict[tuple[str, str], _Rates] = defaultdict(_Rates)
        self._by_section: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def add(self, run: RunRecord) -> None:
        """Count one run."""
        self._records += 1
        worst: dict[str, ClientPhase] = {}
        for one in run.clients:
            phase = one.phase(self._now_s)
            before = worst.get(one.name, phase)
            worst[one.name] = min(before, phase, key=_WORST.index)
            self._time(one.at_s)
            if one.exit_code is not None:
                self._exits[one.exit_code] += 1
        for name, phase in worst.items():
            self._clients[name][phase] += 1
        if ClientPhase.CRASHED in worst.values() or ClientPhase.STUCK in worst.values():
            self._bad += 1
        elif not run.section:
            self._no_section += 1
        else:
            self._good += 1
        key = run.key or UNKNOWN
        self._keys[key] += 1
        self._releases[run.release or UNKNOWN][key] += 1
        self._exit_runs.update({one.exit_code for one in run.clients if one.exit_code is not None})
        self._rate(run, key)

    def _time(self, at_s: float) -> None:
        self._from_s = at_s if self._from_s is None else min(self._from_s, at_s)
        self._to_s = at_s if self._to_s is None else max(self._to_s, at_s)

    def _rate(self, run: RunRecord, key: str) -> None:
        for one in run.clients:
            if _has_rate(one) and one.rate:
                self._rates[one.name, key].points.append((run.number, one.rate))
                self._by_section[key].append((one.section or 0, one.rate))

    def report(self, numbers: int, withheld: tuple[int, int, int]) -> RunsReport:
        """What was counted. `numbers`: runs of which anything is published; `withheld`: lines, those withheld, and
        records withheld."""
        set_name, first, last = self._range
        clients = [
            ReportedClient(
                name=name,
                crashed=of[ClientPhase.CRASHED],
                stuck=of[ClientPhase.STUCK],
                good=of[ClientPhase.FINISHED],
                running=of[ClientPhase.RUNNING],
            )
            for name, of in self._clients.items()
        ]
        releases = [ReportedRelease(release=one, keys=dict(sorted(of.items()))) for one, of in self._releases.items()]
        runs = ReportedRuns(
            good=self._good,
            bad=self._bad,
            no_section=self._no_section,
            no_client=max(0, numbers - self._records),
        )
        return RunsReport(
            set=set_name,
            first=first,
            last=last,
            from_s=self._from_s,
            to_s=self._to_s,
            runs=runs,
            clients=tuple(sorted(clients, key=lambda one: (-one.bad, -one.total, one.name))),
            keys=tuple(ReportedKey(key=key, runs=of) for key, of in _most(self._keys)),
            releases=tuple(sorted(releases, key=lambda one: _natural(one.release))),
            exits=tuple(
                ReportedExit(code=code, clients=of, runs=self._exit_runs[code])
                for code, of in sorted(self._exits.items())
            ),
            rates=tuple(self._rates[one].made(*one) for one in sorted(self._rates)),
            rates_by_section=tuple(
                RatePoints(key=key, points=tuple(thinned(points))) for key, points in sorted(self._by_section.items())
            ),
            lines=withheld[0],
            lines_withheld=withheld[1],
            records_withheld=withheld[2],
        )


def thinned(points: list[tuple[int, float]]) -> Iterable[tuple[int, float]]:
    """So many of them that a chart can hold: each one of a part of equal size, taken evenly."""
    ordered = sorted(points)
    step = max(1, math.ceil(len(ordered) / _POINTS))
    return ordered[::step]


def _has_rate(client: ClientState) -> bool:
    return client.exit_code == 0 and bool(client.section)


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Numbers in a release count as numbers: 14.0.9 is before 14.0.10."""
    parts = text.split(".")
    return [(0, int(one), "") if one.isdecimal() and len(one) < 9 else (1, 0, one) for one in parts]

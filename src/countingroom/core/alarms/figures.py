"""The figures of EEMUA 191 and IEC 62682 beside their target values, each with a verdict. Pure.

Where the standards give one target only, the bound between manageable and over-demanding is ours: see
docs/reference/alarm-figures.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from countingroom.core.alarms.floods import SECOND_NS, WINDOW_S
from countingroom.core.alarms.states import AlarmState
from countingroom.core.alarms.statistics import HOUR_NS, STALE_NS, AlarmStatistics

LEAST_ANNOUNCED = 100
"""Shares are not judged below so many announcements: of few, ten alarms always make up most."""
RECOMMENDED = (0.05, 0.15, 0.80)
"""Shares of priority 1, 2 and 3 that EEMUA 191 recommends."""
MOST_STALE = 50


class FigureVerdict(StrEnum):
    """The verdict on a figure, compared with its target."""

    ACCEPTABLE = "acceptable"
    MANAGEABLE = "manageable"
    OVER_DEMANDING = "over-demanding"
    NOT_JUDGED = "not judged"
    """The standards give no target, or there are too few alarms."""


class Figure(Struct, frozen=True, kw_only=True):
    """One figure with its target."""

    key: str
    title: str
    value: float | None
    """None: there is nothing to compute it from."""
    unit: str = ""
    """`%`, `s`, or empty for a number."""
    target: str = ""
    """In words; empty: there is none."""
    verdict: FigureVerdict = FigureVerdict.NOT_JUDGED


class StaleAlarm(Struct, frozen=True, kw_only=True):
    """An alarm that has been active for more than 24 h."""

    id: str
    title: str
    area: str
    priority: int
    since_ns: int


class PresentFigures(Struct, frozen=True, kw_only=True):
    """How alarms are now, from their published states."""

    standing: int = 0
    """Active, announced, without a flag."""
    stale_count: int = 0
    """Of these, active for more than 24 h."""
    stale: tuple[StaleAlarm, ...] = ()
    """The oldest of them."""
    unacknowledged: int = 0
    shelved: int = 0
    suppressed: int = 0
    out_of_service: int = 0


def present(alarms: Iterable[AlarmState], now_ns: int, area: str = "") -> PresentFigures:
    """The figures of now. `area`: only of this area and those below it."""
    chosen = [one for one in alarms if not area or f"{one.area}/".startswith(f"{area.strip('/')}/")]
    announced = [one for one in chosen if not one.has_flag and one.announced_ns is not None]
    standing = [one for one in announced if one.base.is_active]
    stale = sorted((one.since_ns, one.id, one) for one in standing if now_ns - one.since_ns > STALE_NS)
    return PresentFigures(
        standing=len(standing),
        stale_count=len(stale),
        stale=tuple(
            StaleAlarm(id=one.id, title=one.title, area=one.area, priority=one.priority, since_ns=one.since_ns)
            for _, _, one in stale[:MOST_STALE]
        ),
        unacknowledged=sum(one.base.needs_acknowledgement for one in announced),
        shelved=sum(one.shelf is not None for one in chosen),
        suppressed=sum(bool(one.suppressed) for one in chosen),
        out_of_service=sum(one.service is not None for one in chosen),
    )


def figures(counted: AlarmStatistics, now: PresentFigures, operators: int = 1) -> tuple[Figure, ...]:
    """Every figure. `operators`: persons who share the alarms; rates are for each of them."""
    per_hour = counted.per_hour / operators
    per_window = per_hour * WINDOW_S * SECOND_NS / HOUR_NS
    many = counted.announced >= LEAST_ANNOUNCED
    shares = priority_shares(counted)
    taken = counted.acknowledged
    return (
        _judged("per_hour", "Alarms per operator hour", per_hour, "", "at most 6, manageable to 12", 6, 12),
        _judged("per_10min", "Alarms per 10 minutes, average", per_window, "", "at most 1, manageable to 2", 1, 2),
        _judged("peak_10min", "Alarms in 10 minutes, peak", counted.peak / operators, "", "at most 10", 10, 20),
        _judged("busy", "10-minute periods with more than 10", 100 * counted.busy_share, "%", "below 1 %", 1, 5),
        _judged("flood_time", "Time in floods", 100 * counted.flood_share, "%", "below 1 %", 1, 5),
        Figure(key="floods", title="Floods", value=counted.flood_count),
        _judged(
            "actors", "Ten worst actors, of all alarms", 100 * counted.actors_share, "%", "at most 5 %", 5, 20, many
        ),
        _judged("chattering", "Chattering alarms", counted.chattering_count, "", "none", 0, 5),
        _judged("fleeting", "Fleeting alarms", counted.fleeting_count, "", "none", 0, 5),
        _judged("standing", "Standing alarms now", now.standing, "", "below 10", 9, 20),
        _judged("stale", "Stale alarms now (over 24 h)", now.stale_count, "", "below 5", 4, 10),
        _judged("high", "Share of priority 1", _percent(shares, 0), "%", "about 5 %", 5, 10, many),
        _judged("medium", "Share of priority 2", _percent(shares, 1), "%", "about 15 %", 15, 30, many),
        Figure(key="low", title="Share of priority 3", value=_percent(shares, 2), unit="%", target="about 80 %"),
        Figure(key="median", title="Time to acknowledge, median", value=taken.median_s, unit="s"),
        Figure(key="within", title="Time to acknowledge, 90 %", value=taken.within_s, unit="s"),
        Figure(key="unacknowledged", title="Not acknowledged at the end", value=taken.waiting),
        Figure(key="shelved", title="Shelved now", value=now.shelved),
        Figure(key="suppressed", title="Suppressed by design now", value=now.suppressed),
        Figure(key="out_of_service", title="Out of service now", value=now.out_of_service),
    )


def priority_shares(counted: AlarmStatistics) -> tuple[float, float, float] | None:
    """Shares of priority 1, 2 and 3 of their sum, 0 to 1; None without any. Priority 4 is for information."""
    high, medium, low, _ = counted.priorities
    total = high + medium + low
    return (high / total, medium / total, low / total) if total else None


def _percent(shares: tuple[float, float, float] | None, which: int) -> float | None:
    return None if shares is None else 100 * shares[which]


def _judged(
    key: str,
    title: str,
    value: float | None,
    unit: str,
    target: str,
    acceptable: float,
    manageable: float,
    can: bool = True,
) -> Figure:
    """A figure of which less is better. `can`: there is enough to judge it by."""
    verdict = FigureVerdict.NOT_JUDGED
    if can and value is not None:
        if value <= acceptable:
            verdict = FigureVerdict.ACCEPTABLE
        else:
            verdict = FigureVerdict.MANAGEABLE if value <= manageable else FigureVerdict.OVER_DEMANDING
    return Figure(key=key, title=title, value=value, unit=unit, target=target, verdict=verdict)

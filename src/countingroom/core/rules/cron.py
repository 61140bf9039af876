"""Times in the five fields of cron, in a time zone. Pure.

Fields and summer time are those of Debian's cron, by the library cronsim: a job at a fixed time that the clock skips is
due when the clock has skipped it, and one in the hour that comes twice is due once, at the first time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from countingroom.core.errors import ConfigurationError
from countingroom.core.rules.specs import NEVER, CronTrigger

FIELDS = 5
"""Minute, hour, day of month, month, day of week."""
_SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2200
_TRIES = 200
"""Times that lie before the wanted one and are skipped: those of the hour that comes twice."""


def check(trigger: CronTrigger) -> None:
    """ConfigurationError if the expression or the time zone is wrong."""
    zone = _zone(trigger.zone)
    _parse(trigger.expression, datetime(2026, 1, 1, tzinfo=zone))


def next_ns(trigger: CronTrigger, after_ns: int) -> int:
    """The first of its times after this one; NEVER where there is none in the next 50 years."""
    zone = _zone(trigger.zone)
    after = _EPOCH + timedelta(microseconds=after_ns // 1000)
    if after.year >= _LAST_YEAR:
        return NEVER
    times = _parse(trigger.expression, after.astimezone(zone))
    for _ in range(_TRIES):
        try:
            found = next(times).astimezone(UTC)
        except StopIteration:
            return NEVER
        found_ns = round((found - _EPOCH).total_seconds()) * _SECOND_NS
        # In the second pass of the hour that comes twice the library tells times of the first pass.
        if found_ns > after_ns:
            return found_ns
    return NEVER


def count_between(trigger: CronTrigger, after_ns: int, until_ns: int, *, most: int) -> tuple[int, int]:
    """How many of its times lie after `after_ns` and up to `until_ns`, counted up to `most`, and the last one counted
    (0: none)."""
    count = last_ns = 0
    due_ns = next_ns(trigger, after_ns)
    while due_ns <= until_ns and count < most:
        count += 1
        last_ns = due_ns
        due_ns = next_ns(trigger, due_ns)
    return count, last_ns


def _parse(expression: str, start: datetime) -> CronSim:
    if len(expression.split()) != FIELDS:
        raise ConfigurationError(
            f"{expression!r} has not five fields: minute, hour, day of month, month, day of week",
            suggestion='write "0 22 * * *" for 22:00 of each day',
        )
    try:
        return CronSim(expression, start)
    except CronSimError as error:
        raise ConfigurationError(
            f"{expression!r} is no time of cron: {str(error)[:1].lower()}{str(error)[1:]}",
            suggestion='write "0 22 * * *" for 22:00 of each day',
        ) from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r}", suggestion="write Europe/Berlin, UTC or another name of the IANA list"
        ) from error

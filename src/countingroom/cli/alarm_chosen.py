"""Which alarms a command line names, and for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator

from countingroom.cli.client import Client
from countingroom.core.commands.alarms import MOST_ALARMS, Seen
from countingroom.core.errors import NotFound, RequestError
from countingroom.core.times import parse_time


def chosen(api: Client, names: list[str] | None, *, area: str, every: bool, state: str) -> dict[str, Seen]:
    """Identity -> present occurrence and priority, of the alarms that are named, else of all in this state and area.

    RequestError where neither alarms nor a state or area are named, NotFound where a named alarm is normal or none is
    in this state.
    """
    if bool(names) + bool(area) + every != 1:
        raise RequestError(
            "give the identities of alarms, one area, or --all",
            code="missing_argument",
            suggestion="list them: countingroom alarm list",
        )
    found = api.get("/api/v1/alarms", state="all" if names else state, area=area, limit=100_000)["alarms"]
    present: dict[str, Seen] = {one["id"]: (one["occurrence"], one["priority"]) for one in found}
    if not names:
        if not present:
            raise NotFound(f"no alarm is {state}", suggestion="look at all: countingroom alarm list --state all")
        return present
    for name in names:
        if name not in present:
            raise NotFound(
                f"{name} is no present alarm: it is normal, or there is none of this identity",
                suggestion="list them: countingroom alarm list --state all",
            )
    return {name: present[name] for name in names}


def parts(alarms: dict[str, Seen]) -> Iterator[dict[str, Seen]]:
    """The same alarms, as many at a time as one command takes."""
    names = list(alarms)
    for first in range(0, len(names), MOST_ALARMS // 2):
        yield {name: alarms[name] for name in names[first : first + MOST_ALARMS // 2]}


def seconds_of(last: str, until: str) -> float:
    """The duration that `--for` or `--until` gives, in seconds; RequestError unless one of them does."""
    if bool(last) == bool(until):
        raise RequestError(
            "give --for or --until", code="missing_argument", suggestion="write --for 30min, or --until +2h"
        )
    now_ns = time.time_ns()
    if until:
        seconds = (parse_time(until, now_ns=now_ns) - now_ns) / 1e9
        if seconds <= 0:
            raise RequestError(f"{until} is in the past", code="wrong_time", suggestion="give a later time")
        return seconds
    try:
        seconds = (parse_time(f"+{last.strip().removeprefix('+')}", now_ns=now_ns) - now_ns) / 1e9
    except RequestError:
        seconds = 0.0
    if seconds <= 0:
        raise RequestError(
            f"--for {last!r} is not a duration above 0", code="wrong_time", suggestion="write --for 30min, 8h or 7d"
        )
    return seconds

"""Admission: the checks of every command before its department sees it. Pure.

Each check has one code: `malformed`, `repeated`, `too_late`, `too_old`, `clock_ahead`, `state_changed`, `busy`.
`too_late` is a command that is refused because its deadline passed; an accepted action that did not reach its state
within its time is another thing and has the code `not_in_time`.
"""

from __future__ import annotations

from collections.abc import Container

from msgspec import structs

from countingroom.core.errors import Cause, Conflict
from countingroom.core.messages import Command

SEEN_FOR_NS = 2_000_000_000
"""The longest time between the moment at which the sender saw the state (`issued_ns`) and the command, both ways."""

REMEMBERED = 8192
"""Ids of commands that a receiver remembers; the oldest are forgotten first."""

JUDGE = "judge_set"
"""The query to a device host which values it would refuse now; its arguments are points and their values."""
WOULD_REFUSE = "would_refuse"
"""Code of its answer if it would refuse some. Each is one of the causes, with the point as evidence."""
NOTHING_TO_DO = "nothing_to_do"
"""Code of the cause if the wanted state is already reached. The command is then accepted, without effect."""


class SeenIds:
    """The ids of the last commands, up to a bound."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._ids: dict[str, None] = {}
        self._limit = limit

    def __contains__(self, command_id: object) -> bool:
        return command_id in self._ids

    def add(self, command_id: str) -> None:
        """Remember an id."""
        self._ids[command_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]


def malformed(what: str, error: Exception, source: str, *, suggestion: str = "") -> Cause:
    """A message that cannot be decoded. `what`: what it should be, such as `a command`."""
    return Cause(
        code="malformed",
        message=f"this is not {what}: {error}",
        source=source,
        suggestion=suggestion or "see whether both sides are of the same version",
    )


def check_new(command: Command, seen: Container[str]) -> None:
    """Conflict (`repeated`) for an id that was seen before: a repeated message acts once."""
    if command.id in seen:
        raise Conflict(
            f"command {command.id} was given before",
            code="repeated",
            suggestion="its outcome is in the events; give a new command a new id",
        )


def received(command: Command, now_ns: int) -> Command:
    """The command with its times by the clock of the receiver, `now_ns` at its receipt. A command without `within_s`
    is of an earlier version and stays unchanged."""
    if not command.within_s:
        return command
    # Durations instead of times: a sender whose clock is ten minutes wrong must not be refused.
    return structs.replace(
        command,
        issued_ns=now_ns - round(command.age_s * 1e9),
        deadline_ns=now_ns + round(command.within_s * 1e9),
    )


def check_under_way(command: Command, late_s: float) -> None:
    """Conflict (`too_late`) for a command whose transport took longer than `within_s`."""
    if command.within_s and late_s > command.within_s:
        raise Conflict(
            f"{command.action} came {late_s:.1f} s after it was sent",
            code="too_late",
            evidence={"late_s": late_s},
            suggestion="give it again if it is still wanted; the receiver did not run, or the sender's clock was set",
        )


def check_deadline(command: Command, now_ns: int) -> None:
    """Conflict (`too_late`) after the deadline of the command."""
    if now_ns > command.deadline_ns:
        raise Conflict(
            f"{command.action} came after its deadline",
            code="too_late",
            evidence={"late_s": (now_ns - command.deadline_ns) / 1e9},
            suggestion="give it again if it is still wanted; compare the clocks of the computers if this repeats",
        )


def check_seen_state(command: Command, state: str, now_ns: int) -> None:
    """Conflict if the sender decided too long ago (`too_old`), in the future (`clock_ahead`) or in another state
    (`state_changed`)."""
    if command.seen_state is None:
        return
    age_ns = now_ns - command.issued_ns
    if age_ns > SEEN_FOR_NS:
        raise Conflict(
            f"{command.action} was decided {age_ns / 1e9:.1f} s ago",
            code="too_old",
            suggestion="look at the present state and decide again",
        )
    if age_ns < -SEEN_FOR_NS:
        raise Conflict(
            f"{command.action} was decided {-age_ns / 1e9:.1f} s from now",
            code="clock_ahead",
            suggestion="compare the clocks of the computers: the age of the decision is not known",
        )
    if command.seen_state != state:
        raise Conflict(
            f"{command.action} was decided in {command.seen_state}, but it is {state} now",
            code="state_changed",
            evidence={"seen": command.seen_state, "state": state},
            suggestion="look at the present state and decide again",
        )


def check_room(under_way: int, limit: int) -> None:
    """Conflict (`busy`) if the limit of running commands is reached."""
    if under_way >= limit:
        raise Conflict(f"{limit} commands are under way", code="busy", suggestion="wait until they have ended")

"""Decides which commands the state of an alarm allows, and why others are refused. For the chart and for buttons."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from countingroom.core.alarms.events import Acknowledge, Reset, Shelve, TakeOutOfService
from countingroom.core.alarms.states import BaseState, OutOfService, Shelf
from countingroom.core.errors import Cause
from countingroom.core.times import duration


class AlarmCommand(StrEnum):
    """The commands of people to an alarm."""

    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    COMMENT = "comment"


class HasAlarmState(Protocol):
    """The fields that decide; a record of the chart and a published AlarmState have them."""

    @property
    def base(self) -> BaseState: ...
    @property
    def occurrence(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def acknowledged_by(self) -> str: ...
    @property
    def shelf(self) -> Shelf | None: ...
    @property
    def service(self) -> OutOfService | None: ...


REFUSED: dict[BaseState, dict[AlarmCommand, str]] = {
    BaseState.NORMAL: {AlarmCommand.ACKNOWLEDGE: "nothing_to_acknowledge", AlarmCommand.RESET: "nothing_to_reset"},
    BaseState.UNACKNOWLEDGED: {AlarmCommand.RESET: "still_active"},
    BaseState.ACKNOWLEDGED: {AlarmCommand.ACKNOWLEDGE: "already_acknowledged", AlarmCommand.RESET: "still_active"},
    BaseState.RETURNED: {AlarmCommand.RESET: "nothing_to_reset"},
    BaseState.LATCHED_UNACKNOWLEDGED: {AlarmCommand.RESET: "acknowledge_first"},
    BaseState.LATCHED: {AlarmCommand.ACKNOWLEDGE: "already_acknowledged"},
}
"""Base state -> command that it refuses -> code of the cause."""

REFUSED_OUT_OF_SERVICE = frozenset({AlarmCommand.ACKNOWLEDGE, AlarmCommand.RESET, AlarmCommand.SHELVE})
"""What is refused while an alarm is out of service."""

ALREADY_SO = frozenset(
    {"already_acknowledged", "nothing_to_acknowledge", "nothing_to_reset", "not_shelved", "not_out_of_service"}
)
"""Codes of refusals which mean that the wanted state is already reached. For the sender the command is done: if two
people acknowledge the same alarm, both succeed."""

_TEXTS = {
    "nothing_to_acknowledge": ("there is nothing to acknowledge: the alarm is normal", "look at its present state"),
    "already_acknowledged": ("the alarm is acknowledged already", "nothing more is needed until it happens again"),
    "nothing_to_reset": ("there is nothing to reset: the alarm is not latched", "look at its present state"),
    "still_active": ("the alarm cannot be reset: its condition is still true", "remove the condition, then reset it"),
    "acknowledge_first": ("the alarm cannot be reset before it is acknowledged", "acknowledge it, then reset it"),
    "out_of_service": ("the alarm is out of service", "put it in service first"),
    "not_shelved": ("the alarm is not shelved", "look at its present state"),
    "not_out_of_service": ("the alarm is not out of service", "look at its present state"),
    "reason_missing": ("a reason is needed", "say in one sentence why"),
    "owner_missing": ("an owner is needed", "name the person who repairs it"),
}


def refusal(state: HasAlarmState, command: AlarmCommand) -> Cause | None:
    """Why the state of the alarm refuses this command; None: it is allowed.

    It does not look at the details of a request, as the length of a shelf.
    """
    if state.service is not None and command in REFUSED_OUT_OF_SERVICE:
        return _cause("out_of_service")
    if command is AlarmCommand.UNSHELVE and state.shelf is None:
        return _cause("not_shelved")
    if command is AlarmCommand.IN_SERVICE and state.service is None:
        return _cause("not_out_of_service")
    code = REFUSED[state.base].get(command)
    if code is None:
        return None
    if code == "already_acknowledged" and state.acknowledged_by:
        return _cause(code, f"the alarm is acknowledged already, by {state.acknowledged_by}")
    return _cause(code)


def refusal_of_request(
    state: HasAlarmState,
    request: Acknowledge | Reset | Shelve | TakeOutOfService,
    *,
    now_ns: int,
    longest_shelf_ns: int,
) -> Cause | None:
    """Why this request is refused, by the state or by what it asks for; None: it is allowed."""
    match request:
        case Acknowledge():
            return (
                refusal(state, AlarmCommand.ACKNOWLEDGE)
                or _of_occurrence(state, request.occurrence)
                or _of_priority(state, request.priority)
            )
        case Reset():
            return refusal(state, AlarmCommand.RESET) or _of_occurrence(state, request.occurrence)
        case Shelve():
            if cause := refusal(state, AlarmCommand.SHELVE):
                return cause
            if not request.reason.strip():
                return _cause("reason_missing")
            return _of_end(request.until_ns, now_ns) or _of_length(request.until_ns - now_ns, longest_shelf_ns)
        case TakeOutOfService():
            if cause := refusal(state, AlarmCommand.OUT_OF_SERVICE):
                return cause
            if not request.reason.strip():
                return _cause("reason_missing")
            if not request.owner.strip():
                return _cause("owner_missing")
            return _of_end(request.due_ns, now_ns)


def _of_occurrence(state: HasAlarmState, seen: int | None) -> Cause | None:
    if seen is None or seen == state.occurrence:
        return None
    return Cause(
        code="happened_again",
        message=f"the alarm happened again: occurrence {seen} was seen, now it is occurrence {state.occurrence}",
        evidence={"seen": seen, "occurrence": state.occurrence},
        suggestion="look at the present occurrence, then act on that one",
    )


def _of_priority(state: HasAlarmState, seen: int | None) -> Cause | None:
    if seen is None or state.priority >= seen:
        return None
    return Cause(
        code="more_urgent",
        message=f"the alarm is more urgent now: priority {seen} was seen, now it has priority {state.priority}",
        evidence={"seen": seen, "priority": state.priority},
        suggestion="look at it again, then acknowledge it",
    )


def _of_end(end_ns: int, now_ns: int) -> Cause | None:
    if end_ns > now_ns:
        return None
    return Cause(
        code="time_over",
        message="the end lies in the past",
        evidence={"end_ns": end_ns, "now_ns": now_ns},
        suggestion="give a time in the future",
    )


def _of_length(length_ns: int, longest_ns: int) -> Cause | None:
    if length_ns <= longest_ns:
        return None
    longest = duration(longest_ns / 1e9)
    return Cause(
        code="shelf_too_long",
        message=f"alarms of this priority may be shelved for at most {longest}; got {duration(length_ns / 1e9)}",
        evidence={"longest_min": longest_ns / 60e9, "asked_min": length_ns / 60e9},
        suggestion=f"shelve it for at most {longest}",
    )


def _cause(code: str, message: str = "") -> Cause:
    text, suggestion = _TEXTS[code]
    return Cause(code=code, message=message or text, suggestion=suggestion)

"""Decides whether a command to an interlock is refused, and why. The engine, buttons and the command line use it."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.errors import Cause
from countingroom.core.interlocks.events import BypassCause, EndBypass, RecordProofTest, ResetInterlock
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import CauseState, InterlockState
from countingroom.core.policy import Role
from countingroom.core.times import duration

ALREADY_SO = frozenset({"not_tripped", "not_bypassed"})
"""Codes of refusals which mean that the wanted state is already reached."""

PersonEvent = ResetInterlock | BypassCause | EndBypass | RecordProofTest


def refusal(spec: InterlockSpec, state: InterlockState, event: PersonEvent, now_ns: int) -> Cause | None:
    """Why this command is refused at this state; None: it is allowed."""
    cause = _refusal(spec, state, event, now_ns)
    return cause and replace(cause, source=f"interlock.{spec.name}")


def _refusal(spec: InterlockSpec, state: InterlockState, event: PersonEvent, now_ns: int) -> Cause | None:
    match event:
        case ResetInterlock():
            return _of_role(spec, event.role, spec.reset_role, "reset it") or refusal_of_reset(spec, state)
        case BypassCause():
            return (
                _of_role(spec, event.role, spec.bypass.role, "bypass its causes")
                or _of_cause(spec, event.cause)
                or _of_reason(event.reason)
                or _of_length(spec, event.until_ns, now_ns)
            )
        case EndBypass():
            return (
                _of_role(spec, event.role, spec.bypass.role, "end a bypass")
                or _of_cause(spec, event.cause)
                or _of_bypass(state, event.cause)
            )
        case RecordProofTest():
            return _of_role(spec, event.role, spec.bypass.role, "record a proof test") or (
                _of_cause(spec, event.cause) if event.cause else None
            )


def refusal_of_reset(spec: InterlockSpec, state: InterlockState) -> Cause | None:
    """Why the interlock cannot be reset now by any person; None: it can be."""
    if not state.is_tripped:
        return Cause(
            code="not_tripped",
            message=f"the interlock {spec.shown} is not tripped",
            suggestion="look at its present state",
        )
    present = [one for one in state.causes if one.is_present and one.bypass is None]
    if not present:
        return None
    return Cause(
        code="cause_present",
        message=f"the interlock {spec.shown} cannot be reset: {' and '.join(told(one) for one in present)}",
        since_ns=min(one.present_since_ns or 0 for one in present),
        evidence={"causes": ", ".join(one.name for one in present)},
        suggestion="remove the cause, or let an expert bypass it, then reset",
    )


def told(cause: CauseState) -> str:
    """That a cause is present, and why where its inputs cannot be evaluated."""
    shown = cause.title or cause.name
    if not cause.is_unknown:
        return f"{shown} is still there"
    lost = sorted({one.truth.value for one in cause.inputs if not one.truth.is_known})
    return f"{shown} cannot be evaluated" + (f" (its inputs are {', '.join(lost)})" if lost else "")


def _of_role(spec: InterlockSpec, has: Role, needs: Role, what: str) -> Cause | None:
    if has >= needs:
        return None
    return Cause(
        code="denied",
        message=f"to {what} at the interlock {spec.shown} the role {needs.name.lower()} is needed, "
        f"yours is {has.name.lower()}",
        suggestion=f"ask a user with the role {needs.name.lower()}",
    )


def _of_cause(spec: InterlockSpec, name: str) -> Cause | None:
    if spec.cause(name) is not None:
        return None
    known = ", ".join(one.name for one in spec.causes)
    return Cause(
        code="not_found",
        message=f"the interlock {spec.shown} has no cause {name!r}",
        suggestion=f"name one of: {known}",
    )


def _of_reason(reason: str) -> Cause | None:
    if reason.strip():
        return None
    return Cause(code="reason_missing", message="a reason is needed", suggestion="say in one sentence why")


def _of_length(spec: InterlockSpec, until_ns: int, now_ns: int) -> Cause | None:
    longest_ns = spec.bypass.longest_ns
    if now_ns < until_ns <= now_ns + longest_ns:
        return None
    longest, asked = duration(longest_ns / 1e9), duration((until_ns - now_ns) / 1e9)
    if until_ns <= now_ns:
        return Cause(code="time_over", message="the end lies in the past", suggestion="give a time in the future")
    return Cause(
        code="bypass_too_long",
        message=f"a cause of {spec.shown} may be bypassed for at most {longest}; got {asked}",
        evidence={"longest_min": longest_ns / 60e9, "asked_min": (until_ns - now_ns) / 60e9},
        suggestion=f"bypass it for at most {longest}",
    )


def _of_bypass(state: InterlockState, name: str) -> Cause | None:
    cause = state.cause(name)
    if cause is not None and cause.bypass is not None:
        return None
    return Cause(code="not_bypassed", message=f"{name} is not bypassed", suggestion="look at its present state")

"""Decides whether an interlock forbids the start of a run, from its published state. Pure.

A start can wait, so it is refused in case of doubt: while the effect acts, while its delay runs, while one of its
causes is present and waits for its delay, and while the state is unknown. Delays exist so that a short disturbance does
not end a run; they are no reason to start one. A bypassed cause does not forbid a start.
"""

from __future__ import annotations

from countingroom.core.errors import Cause
from countingroom.core.interlocks.legality import told
from countingroom.core.interlocks.specs import InterlockEffect, Permissive
from countingroom.core.interlocks.states import CauseState, InterlockState
from countingroom.core.times import duration

UNKNOWN = "interlock_unknown"
"""Code of the cause where the state of the interlock is not known."""


def start_forbidden(one: Permissive, state: InterlockState | None, silent_s: float) -> Cause | None:
    """Why no run may be started now; None if it may. `state`: the published state; None: there is none. `silent_s`: the
    time since the last heartbeat of an alarm engine; infinite if there was none since this process began."""
    found = state and (_acting(one, state) or _present(one, state))
    return found or _unknown(one, state, silent_s)


def _acting(one: Permissive, state: InterlockState) -> Cause | None:
    """The cause if the effect acts, or will act when the delay of its matrix cell is over."""
    effect = state.effect(one.effect)
    begins_ns = None if effect is None else effect.due_ns if effect.acting_ns is None else effect.acting_ns
    if effect is None or begins_ns is None:
        return None
    cause = state.cause(effect.cause)
    title = cause.title if cause and cause.title else effect.cause
    return Cause(
        code="interlocked",
        message=f"the interlock {state.title or state.name} has tripped: {title}",
        source=f"interlock.{state.name}",
        since_ns=effect.acting_ns or state.tripped_ns,
        evidence={"interlock": state.name, "cause": effect.cause, "effect": one.effect},
        suggestion=f"remove the cause, then reset the interlock: countingroom interlock reset {state.name}",
    )


def _present(one: Permissive, state: InterlockState) -> Cause | None:
    """The cause if a cause of the effect is present and only its delay has not ended yet."""
    leading = {cell.cause for cell in state.matrix if cell.effect == one.effect}
    present = [cause for cause in state.causes if cause.name in leading and cause.is_present and cause.bypass is None]
    if not present:
        return None
    first = min(present, key=_since_ns)
    return Cause(
        code="cause_present",
        message=f"a cause of the interlock {state.title or state.name} is present: {told(first)}",
        source=f"interlock.{state.name}",
        since_ns=first.present_since_ns,
        evidence={"interlock": state.name, "cause": first.name, "effect": one.effect},
        suggestion="remove the cause, or let an expert bypass it, then start",
    )


def _unknown(one: Permissive, state: InterlockState | None, silent_s: float) -> Cause | None:
    effect = state and state.effect(one.effect)
    if state is None:
        why = "no alarm engine has published it"
    elif silent_s == float("inf"):
        why = "no alarm engine has been heard yet by this process of run control"
    elif silent_s > one.silent_s:
        why = f"no alarm engine was heard for {duration(one.silent_s)}"
    elif effect is None or effect.kind != InterlockEffect.FORBID:
        why = f"the alarm engine has another description, in which {one.effect} forbids no start"
    elif state.unread:
        why = "the alarm engine has not read from the database whether it is tripped"
    elif not all(cause.inputs for cause in state.causes):
        why = "the alarm engine has not read its inputs yet"
    else:
        return None
    return Cause(
        code=UNKNOWN,
        message=f"the state of the interlock {one.title} is not known: {why}",
        source=f"interlock.{one.interlock}",
        evidence={"interlock": one.interlock, "effect": one.effect},
        suggestion="see whether the alarm department runs and its database answers, then start again",
    )


def _since_ns(cause: CauseState) -> int:
    return cause.present_since_ns or 0

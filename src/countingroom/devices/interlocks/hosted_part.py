"""The local part of one interlock with its state, and what it takes over from the alarm engine. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from countingroom.core.interlocks.chart import fitted, initial, next_due_ns, step
from countingroom.core.interlocks.events import (
    AdoptTrip,
    BypassCause,
    EndBypass,
    Inputs,
    InterlockAction,
    InterlockEvent,
    InterlockTime,
    ResetInterlock,
)
from countingroom.core.interlocks.local_part import LocalPart
from countingroom.core.interlocks.states import Bypass, InterlockState
from countingroom.core.policy import Role
from countingroom.core.start_up import START_UP_S


class HostedPart:
    """The part of one interlock that a host evaluates."""

    def __init__(self, part: LocalPart, saved: InterlockState | None) -> None:
        self.part = part
        self.spec = part.spec
        self.name = part.spec.name
        self.state = fitted(part.spec, saved) if saved else initial(part.spec)
        self._begins_ns: int | None = None
        """When it is evaluated though not all inputs are known; None: it is evaluated, or not served."""
        self.is_evaluated = False
        self.published: InterlockState | None = None
        """As the engine published it last."""
        self._seen_reset_ns: int | None = None
        """The reset that the engine had published at the last step."""
        self._followed: dict[str, Bypass] = {}
        """Cause -> the bypass of the engine that was taken over last. It ends by the clock of the host, and does not
        begin again when that clock is set back while the engine is dead."""
        self._old_reset_ns: int | None = None
        """The reset that the engine had published when the present trip began: it is not of this trip, also where the
        clock was set back in between."""

    def serve(self, now_ns: int) -> None:
        """The host serves all devices of it from now on. One that is not reached yet has not failed."""
        self._begins_ns = now_ns + round(START_UP_S * 1e9)

    def leave(self) -> None:
        """The host does not serve them any more."""
        self._begins_ns = None
        self.is_evaluated = False

    @property
    def is_served(self) -> bool:
        """Whether the host serves all devices of it."""
        return self.is_evaluated or self._begins_ns is not None

    def next_due_ns(self) -> int | None:
        """When `take` is to be called though nothing came; None: nothing waits."""
        return next_due_ns(self.state) if self.is_evaluated else self._begins_ns

    def take(self, event: InterlockEvent, inputs: Inputs, now_ns: int) -> tuple[InterlockAction, ...]:
        """Step with this event, then with what the engine published. Nothing before the first values are known."""
        if not self._begins(inputs, now_ns):
            return ()
        was_tripped = self.state.is_tripped
        self.state, actions = step(self.spec, self.state, inputs, now_ns, event)
        if self.state.is_tripped and not was_tripped:
            self._old_reset_ns = self._seen_reset_ns
        self._seen_reset_ns = self.published.reset_ns if self.published else None
        for asked in self._asked(now_ns):
            self.state, more = step(self.spec, self.state, inputs, now_ns, asked)
            actions += tuple(one for one in more if one.refusal is None)
        return actions

    def _begins(self, inputs: Inputs, now_ns: int) -> bool:
        if not self.is_evaluated and self._begins_ns is not None:
            is_known = all(one.truth.is_known for one in inputs.values())
            self.is_evaluated = is_known or now_ns >= self._begins_ns
            if self.is_evaluated:
                self._begins_ns = None
        return self.is_evaluated

    def _asked(self, now_ns: int) -> Iterator[InterlockEvent]:
        """What follows from the state that the engine published: bypasses, a reset, a trip."""
        published = self.published
        if published is None:
            return
        for one in self.spec.causes:
            theirs, ours = published.cause(one.name), self.state.cause(one.name)
            bypass, own = theirs.bypass if theirs else None, ours.bypass if ours else None
            if bypass is not None and bypass.until_ns > now_ns:
                until_ns = min(bypass.until_ns, now_ns + self.spec.bypass.longest_ns)
                is_taken = own is not None and (own.by, own.until_ns) == (bypass.by, until_ns)  # by an earlier host
                is_new, self._followed[one.name] = self._followed.get(one.name) != bypass, bypass
                if is_new and not is_taken:
                    yield BypassCause(
                        cause=one.name,
                        by=bypass.by,
                        role=Role.ADMINISTRATOR,
                        reason=bypass.reason or "-",
                        until_ns=until_ns,
                    )
            elif own is not None and bypass is None:
                yield EndBypass(cause=one.name, by="the alarm department", role=Role.ADMINISTRATOR)
        reset_ns = published.reset_ns or 0
        tripped = [one.tripped_ns for one in self.state.causes if one.tripped_ns is not None]
        if tripped and reset_ns > max(tripped) and reset_ns != self._old_reset_ns:
            by, reason = published.reset_by or "the alarm department", published.reset_reason
            yield ResetInterlock(by=by, role=Role.ADMINISTRATOR, reason=reason)
        if published.is_tripped and self.spec.latch:
            for theirs in published.causes:
                if theirs.tripped_ns is not None and self.spec.cause(theirs.name):
                    yield AdoptTrip(cause=theirs.name, tripped_ns=theirs.tripped_ns)


TIME_PASSED = InterlockTime()


def kept(state: InterlockState) -> InterlockState:
    """The state without what follows from the description, to save it."""
    causes = tuple(replace(one, inputs=(), title="") for one in state.causes)
    return replace(state, causes=causes, matrix=())

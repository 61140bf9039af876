"""The pure step of an interlock: from its state, its inputs, the time and an event to the next state and actions.

A cause is present while enough of its inputs count as true. An input that cannot be evaluated counts as true. When a
cause has been present for its delay it trips, unless it is bypassed. The matrix leads from tripped causes to effects.
With a latch a cause stays tripped until the reset.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from countingroom.core.errors import Cause
from countingroom.core.interlocks.events import (
    ActionKind,
    AdoptTrip,
    BypassCause,
    EndBypass,
    InputReading,
    Inputs,
    InterlockAction,
    InterlockEvent,
    InterlockTime,
    RecordProofTest,
    ReportEffect,
    ResetInterlock,
)
from countingroom.core.interlocks.legality import refusal
from countingroom.core.interlocks.specs import CauseSpec, InterlockEffect, InterlockSpec
from countingroom.core.interlocks.states import (
    Bypass,
    CauseState,
    EffectState,
    InputState,
    InterlockState,
    ProofTest,
    Truth,
)

TIME_PASSED = InterlockTime()
_MISSING = InputReading(Truth.MISSING)
SET_BACK_NS = 10_000_000_000
"""A reset time further in the future shows that the clock was set back. Less is normal: a step may have waited."""


def initial(spec: InterlockSpec) -> InterlockState:
    """The state before the first step: not tripped, with unknown inputs."""
    return fitted(spec, InterlockState(name=spec.name))


def fitted(spec: InterlockSpec, state: InterlockState) -> InterlockState:
    """A saved state, adapted to the present description; the state with which an engine begins.

    What is tripped, bypassed and acting stays. The delays of causes that were present go on where they still are at
    the first step; none of them ends while no process evaluates.
    """
    causes = [
        replace(
            state.cause(one.name) or CauseState(name=one.name),
            title=one.shown,
            vote=one.vote,
            due_ns=None,
            inputs=(),
            test=one.test,
        )
        for one in spec.causes
    ]
    effects = [
        replace(
            state.effect(one.name) or EffectState(name=one.name),
            title=one.shown,
            kind=one.kind.value,
            does=one.does,
            partition=one.partition,
        )
        for one in spec.effects
    ]
    return replace(
        state,
        title=spec.shown,
        causes=tuple(causes),
        effects=tuple(effects),
        matrix=spec.matrix,
        latch=spec.latch,
        reset_role=spec.reset_role.name.lower(),
        bypass_role=spec.bypass.role.name.lower(),
        longest_bypass_ns=spec.bypass.longest_ns,
        proof_due_ns=_proof_due_ns(spec, state.proof, state.seen_ns),
    )


def step(
    spec: InterlockSpec, state: InterlockState, inputs: Inputs, now_ns: int, event: InterlockEvent = TIME_PASSED
) -> tuple[InterlockState, tuple[InterlockAction, ...]]:
    """The next state, and the actions to record and carry out. The same state object if it did not change.

    `state` comes from `initial`, `fitted` or an earlier step of the same spec. An input that is not in `inputs` is
    missing.
    """
    taken = _Step(spec, state, now_ns)
    taken.pass_time()
    taken.read(inputs)
    taken.take(event)
    taken.settle()
    return taken.result(state)


def next_due_ns(state: InterlockState) -> int | None:
    """When `step` must be called even without a new input; None if the interlock waits for no time."""
    due = [one.due_ns for one in (*state.causes, *state.effects) if one.due_ns is not None]
    due += [one.bypass.until_ns for one in state.causes if one.bypass is not None]
    return min(due, default=None)


class _Step:
    """One step in progress. `step` calls the methods in their order."""

    def __init__(self, spec: InterlockSpec, state: InterlockState, now_ns: int) -> None:
        self.spec = spec
        self.now_ns = now_ns
        self.state = state
        self.causes = {one.name: one for one in state.causes}
        self.effects = {one.name: one for one in state.effects}
        self.actions: list[InterlockAction] = []

    def result(self, before: InterlockState) -> tuple[InterlockState, tuple[InterlockAction, ...]]:
        """The next state with the actions."""
        after = replace(self.state, causes=tuple(self.causes.values()), effects=tuple(self.effects.values()))
        if after == before:
            return before, tuple(self.actions)
        return replace(after, changed_ns=self.now_ns), tuple(self.actions)

    def pass_time(self) -> None:
        """Handle first what became due before now, with the earlier inputs."""
        self._set_back()
        for name, cause in self.causes.items():
            if (bypass := cause.bypass) is not None and bypass.until_ns <= self.now_ns:
                self._end_bypass(name, bypass.until_ns)
        self.settle()

    def _set_back(self) -> None:
        """If the clock was set back, replace future times by the present one: a delay begins again, and a bypass ends
        at the latest after its requested length. Otherwise both would last longer by the step of the clock."""
        now_ns = self.now_ns
        for name, cause in self.causes.items():
            if (bypass := cause.bypass) is not None and bypass.since_ns > now_ns:
                until_ns = now_ns + bypass.until_ns - bypass.since_ns
                bypass = replace(bypass, since_ns=now_ns, until_ns=until_ns)
            self.causes[name] = replace(
                cause,
                true_since_ns=_not_after(now_ns, cause.true_since_ns),
                present_since_ns=_not_after(now_ns, cause.present_since_ns),
                tripped_ns=_not_after(now_ns, cause.tripped_ns),
                bypass=bypass,
            )
        reset_ns = self.state.reset_ns
        if reset_ns is not None and reset_ns > now_ns + SET_BACK_NS:
            reset_ns = None  # otherwise it would look later than a new trip, and `_adopt` would ignore that trip
        self.state = replace(self.state, tripped_ns=_not_after(now_ns, self.state.tripped_ns), reset_ns=reset_ns)

    def read(self, inputs: Inputs) -> None:
        """Take in the inputs: which causes are present, and when their delays end."""
        for one in self.spec.causes:
            self.causes[one.name] = self._read(one, self.causes[one.name], inputs)

    def take(self, event: InterlockEvent) -> None:
        """Take in the command of a person, or the result of an attempt to carry out an effect."""
        match event:
            case InterlockTime():
                pass
            case ReportEffect():
                self._report(event)
            case AdoptTrip():
                self._adopt(event)
            case _:
                if (cause := refusal(self.spec, self.state_now(), event, self.now_ns)) is not None:
                    self._act(ActionKind.REFUSED, by=event.by, text=cause.message, refusal=cause)
                else:
                    self._obey(event)

    def state_now(self) -> InterlockState:
        """The state as this step has changed it so far."""
        return replace(self.state, causes=tuple(self.causes.values()))

    def settle(self) -> None:
        """Trip causes that are due, release causes that are gone, and derive the effects from the tripped causes."""
        self._trip()
        if not self.spec.latch:
            self._release_causes()
        for name, cause in self.causes.items():
            would_trip = cause.over and cause.bypass is not None and cause.tripped_ns is None
            if would_trip is not cause.would_trip:
                self.causes[name] = replace(cause, would_trip=would_trip)
        self._derive_effects()

    def _read(self, one: CauseSpec, before: CauseState, inputs: Inputs) -> CauseState:
        found: list[InputState] = []
        for place, condition in enumerate(one.inputs):
            reading = inputs.get((one.name, place), _MISSING)
            known = before.inputs[place] if place < len(before.inputs) else None
            if known is None or known.truth is not reading.truth:
                known = InputState(
                    text=condition.text,
                    points=condition.inputs,
                    truth=reading.truth,
                    value=reading.value,
                    since_ns=self.now_ns,
                )
            found.append(known)
        is_true = sum(state.truth is Truth.TRUE for state in found) >= one.vote
        is_present = sum(state.truth.counts for state in found) >= one.vote
        cause = replace(
            before,
            inputs=tuple(found),
            true_since_ns=_since(before.true_since_ns, self.now_ns) if is_true else None,
            present_since_ns=_since(before.present_since_ns, self.now_ns) if is_present else None,
        )
        over = cause.over and is_present
        # Not before now: the inputs changed at this step, also if a saved begin lies further back.
        due_ns = max(_trips_ns(one, cause), self.now_ns) if is_present and not over else None
        return replace(cause, over=over, due_ns=due_ns)

    def _trip(self) -> None:
        due = [one for one in self.causes.values() if one.due_ns is not None and one.due_ns <= self.now_ns]
        for cause in sorted(due, key=_due_ns):  # stable: among equal times the order of the description counts
            name, due_ns = cause.name, _due_ns(cause)
            cause = self.causes[name] = replace(cause, over=True, due_ns=None)  # noqa: PLW2901
            if cause.tripped_ns is not None:
                continue
            if cause.bypass is not None:
                self._act(ActionKind.WOULD_TRIP, name, text=f"{cause.title}: bypassed, or it would have tripped")
                continue
            self._trip_cause(cause, due_ns, _why(cause))

    def _trip_cause(self, cause: CauseState, tripped_ns: int, why: str) -> None:
        self.causes[cause.name] = replace(cause, tripped_ns=tripped_ns)
        kind = ActionKind.CAUSE
        if not self.state.is_tripped:
            kind = ActionKind.TRIP
            self.state = replace(self.state, trip=self.state.trip + 1, tripped_ns=tripped_ns, first_out=cause.name)
        self._act(kind, cause.name, text=f"{cause.title}: {why}")

    def _adopt(self, event: AdoptTrip) -> None:
        cause = self.causes.get(event.cause)
        if cause is None or cause.tripped_ns is not None or cause.bypass is not None or not self.spec.latch:
            return
        # A device host publishes its trip until it has received the reset; that old trip must not trip again.
        if event.tripped_ns > (self.state.reset_ns or 0):
            self._trip_cause(cause, event.tripped_ns, f"as found by the {event.place}" if event.place else "adopted")

    def _release_causes(self) -> None:
        """Without a latch a cause is tripped while it is present and not bypassed."""
        for name, cause in self.causes.items():
            if cause.tripped_ns is not None and (not cause.is_present or cause.bypass is not None):
                self.causes[name] = replace(cause, tripped_ns=None)
        if self.state.is_tripped and all(one.tripped_ns is None for one in self.causes.values()):
            self._end_trip()

    def _end_trip(self, by: str = "", reason: str = "") -> None:
        self.state = replace(self.state, tripped_ns=None, reset_ns=self.now_ns, reset_by=by, reset_reason=reason)
        self._act(ActionKind.RESET, by=by, text=self.state.told_reset)

    def _derive_effects(self) -> None:
        for one in self.spec.effects:
            before = self.effects[one.name]
            due_ns, cause = min(self._due(one.name), default=(None, ""))
            if self.spec.latch and self.state.is_tripped:
                due_ns, cause = _kept(before, due_ns, cause)
            after = self._derived(before, due_ns, cause)
            if after is before:
                continue
            if before.acting_ns is None and after.acting_ns is not None:
                if one.kind is InterlockEffect.FORBID:
                    after = replace(after, reached_ns=after.acting_ns)  # run control reads the published state
                self.effects[one.name] = after
                self._act(ActionKind.ACT, one.name, text=one.shown)
                continue
            self.effects[one.name] = after
            if before.acting_ns is not None and after.acting_ns is None:
                self._act(ActionKind.RELEASE, one.name, text=one.shown)

    def _due(self, effect: str) -> Iterator[tuple[int, str]]:
        """(time, cause) for each tripped cause that leads to this effect."""
        for cell in self.spec.cells(effect):
            tripped_ns = self.causes[cell.cause].tripped_ns
            if tripped_ns is not None:
                yield tripped_ns + cell.delay_ns, cell.cause

    def _derived(self, before: EffectState, due_ns: int | None, cause: str) -> EffectState:
        if due_ns is None or due_ns > self.now_ns:
            if (before.due_ns, before.acting_ns, before.cause) == (due_ns, None, cause):
                return before
            return replace(_at_rest(before), due_ns=due_ns, cause=cause)
        if before.acting_ns is not None:
            return before
        return replace(_at_rest(before), acting_ns=due_ns, cause=cause)

    def _obey(self, event: ResetInterlock | BypassCause | EndBypass | RecordProofTest) -> None:
        match event:
            case ResetInterlock():
                for name, cause in self.causes.items():
                    self.causes[name] = replace(cause, tripped_ns=None)
                self._end_trip(event.by, event.reason.strip())
            case BypassCause():
                bypass = Bypass(by=event.by, reason=event.reason, since_ns=self.now_ns, until_ns=event.until_ns)
                self.causes[event.cause] = replace(self.causes[event.cause], bypass=bypass)
                self._act(ActionKind.BYPASS, event.cause, by=event.by, text=event.reason)
            case EndBypass():
                self._end_bypass(event.cause, self.now_ns, by=event.by)
            case RecordProofTest():
                proof = ProofTest(
                    time_ns=self.now_ns, by=event.by, passed=event.passed, comment=event.comment, cause=event.cause
                )
                self.state = replace(
                    self.state, proof=proof, proof_due_ns=_proof_due_ns(self.spec, proof, self.state.seen_ns)
                )
                text = f"proof test {'passed' if event.passed else 'failed'}"
                text += f": {event.comment}" if event.comment else ""
                self._act(ActionKind.PROOF_TEST, event.cause, by=event.by, text=text)

    def _end_bypass(self, name: str, at_ns: int, *, by: str = "") -> None:
        cause = self.causes[name]
        # A cause that would have tripped during the bypass trips at its end.
        waits = cause.over and cause.tripped_ns is None
        self.causes[name] = replace(
            cause, bypass=None, over=cause.over and not waits, due_ns=at_ns if waits else cause.due_ns
        )
        self._act(ActionKind.END_BYPASS, name, by=by, text=f"ended by {by}" if by else "its time is over")

    def _report(self, event: ReportEffect) -> None:
        before = self.effects.get(event.effect)
        if before is None or before.acting_ns is None or event.trip != self.state.trip:
            return  # the report of an attempt for an earlier trip says nothing about the present one
        after = replace(before, attempts=before.attempts + 1, trouble=event.trouble)
        if not event.trouble and before.reached_ns is None:
            after = replace(after, reached_ns=self.now_ns)
            self._act(ActionKind.REACHED, event.effect, text=before.title)
        elif event.trouble:
            after = replace(after, reached_ns=None)
            if event.trouble != before.trouble:
                self._act(ActionKind.NOT_REACHED, event.effect, text=event.trouble)
        self.effects[event.effect] = after

    def _act(
        self, kind: ActionKind, name: str = "", *, by: str = "", text: str = "", refusal: Cause | None = None
    ) -> None:
        self.actions.append(
            InterlockAction(kind=kind, name=name, trip=self.state.trip, by=by, text=text, refusal=refusal)
        )


def _trips_ns(one: CauseSpec, cause: CauseState) -> int:
    """When the delay of a present cause ends. Inputs that are lost for a short time do not restart it."""
    present_ns, true_ns = cause.present_since_ns or 0, cause.true_since_ns
    if true_ns is None:
        return present_ns + one.unknown_delay_ns
    return min(true_ns + one.on_delay_ns, present_ns + max(one.on_delay_ns, one.unknown_delay_ns))


def _kept(effect: EffectState, due_ns: int | None, cause: str) -> tuple[int | None, str]:
    """When an effect of a trip that is not reset begins. Only the reset ends it; a changed description does not (the
    cause was renamed, its matrix cell was removed or got a delay)."""
    began_ns = effect.due_ns if effect.acting_ns is None else effect.acting_ns
    if began_ns is not None and (due_ns is None or began_ns < due_ns):
        return began_ns, effect.cause
    return due_ns, cause


def _at_rest(effect: EffectState) -> EffectState:
    return EffectState(
        name=effect.name, title=effect.title, kind=effect.kind, does=effect.does, partition=effect.partition
    )


def _not_after(now_ns: int, time_ns: int | None) -> int | None:
    return time_ns if time_ns is None else min(time_ns, now_ns)


def _since(before_ns: int | None, now_ns: int) -> int:
    return now_ns if before_ns is None else before_ns


def _due_ns(cause: CauseState) -> int:
    return cause.due_ns or 0


def _why(cause: CauseState) -> str:
    """The inputs that made a cause present."""
    said = [f"{one.text} ({one.truth.value})" for one in cause.inputs if one.truth.counts]
    return "; ".join(said) or "present"


def _proof_due_ns(spec: InterlockSpec, proof: ProofTest | None, seen_ns: int | None) -> int | None:
    """When the next proof test is due; at once if the last one failed."""
    if spec.proof_test_ns is None:
        return None
    if proof is None:
        return None if seen_ns is None else seen_ns + spec.proof_test_ns
    return proof.time_ns + spec.proof_test_ns if proof.passed else proof.time_ns

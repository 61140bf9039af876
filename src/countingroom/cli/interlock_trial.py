"""A proof test of one cause of an interlock by simulation: from the fault that provokes it to the reset.

It looks at the state of the interlock that the live feed pushes, and tells each step with its time. However it ends,
the fault is ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from msgspec import Struct, convert
from msgspec.structs import replace

from countingroom.cli.values import clock as time_of_day
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError, RequestError
from countingroom.core.interlocks.specs import CauseTest, SimulatorFault
from countingroom.core.interlocks.states import CauseState, InterlockState
from countingroom.core.times import duration

Said = Callable[[int, str], None]
"""Reports a step of the trial: its time (ns) and its text."""


class TrialPlant(Protocol):
    """The plant on which a trial acts."""

    def provoke(self, fault: SimulatorFault) -> None:
        """Give this fault to the simulator. CountingRoomError if it is refused."""
        ...

    def reset(self) -> None:
        """Reset the interlock. CountingRoomError if it is refused."""
        ...


class TrialFinding(Struct, frozen=True, kw_only=True):
    """The result of a trial."""

    cause: str
    missing: tuple[str, ...] = ()
    """What did not happen; empty: the test has passed."""
    tripped_s: float | None = None
    """From the fault to the trip."""
    reached_s: dict[str, float] = {}
    """Effect -> from the trip to its readback."""

    @property
    def passed(self) -> bool:
        """Whether everything happened."""
        return not self.missing

    @property
    def comment(self) -> str:
        """The result as text for the record."""
        if self.missing:
            return f"by simulation: {'; '.join(self.missing)}"
        reached = ", ".join(
            f"{name} reached after {duration(round(seconds, 1))}" for name, seconds in self.reached_s.items()
        )
        tripped = duration(round(self.tripped_s or 0.0, 1))
        return f"by simulation: tripped {tripped} after the fault; {reached or 'no effects'}"


def hindrance(state: InterlockState, cause: CauseState) -> RequestError | None:
    """Why this cause cannot be tested now; None if it can."""
    if state.is_tripped:
        return _hindered(f"it is tripped by {state.first_out}", "remove the cause, and reset it")
    if cause.bypass is not None:
        return _hindered(
            f"its cause {cause.name} is bypassed", f"end that: countingroom interlock unbypass {state.name}"
        )
    if present := _present(state):
        return _hindered(f"{' and '.join(present)} present already", "remove what is present first")
    return None


class Trial:
    """The test of one cause."""

    def __init__(
        self,
        plant: TrialPlant,
        states: Iterator[InterlockState],
        clock: Clock,
        tell: Said,
        cause: str,
        test: CauseTest,
        stale_s: float,
    ) -> None:
        """`states`: the present state first, then at each change and at least every few seconds. `stale_s`: after so
        long the points of the cause are stale."""
        self._plant = plant
        self._states = states
        self._clock = clock
        self._tell = tell
        self._cause = cause
        self._test = test
        self._stale_s = stale_s
        self._said: set[str] = set()
        self.state: InterlockState | None = None
        """The last one that was seen."""

    def run(self) -> TrialFinding:
        """Run the trial. If it is interrupted, also by Ctrl-C, the fault is ended and the interlock is not reset.
        RequestError (`cannot_test`) if the interlock is not at rest; then no fault was given."""
        self.state = next(self._states, None)  # the feed is connected before there is a fault
        if self.state is None:
            raise _ended()
        if (why := hindrance(self.state, self._of(self.state))) is not None:
            raise why
        began_ns = self._clock.now_ns()
        try:
            # Inside: a request that got no answer, or Ctrl-C while it waits for one, may have begun the fault.
            self._plant.provoke(self._test.simulate)
            self._now(f"fault: {self._test.simulate.shown}")
            finding = self._watch(began_ns)
        finally:
            self._end_fault()
        return self._recover(finding)

    def _end_fault(self) -> None:
        restore = self._test.restore
        try:
            self._plant.provoke(restore)
        except BaseException as error:
            why = error.cause.message if isinstance(error, CountingRoomError) else "interrupted"
            self._now(f"the fault may NOT be ended: {why}")
            given = "".join(f" {name}={value}" for name, value in restore.arguments.items())
            self._now(f"end it with: countingroom simulate fault {restore.device} {restore.fault}{given}")
            raise
        self._now(f"fault ended: {restore.shown}")

    def _watch(self, began_ns: int) -> TrialFinding:
        state = self._until(lambda one: self._of(one).tripped_ns is not None, self._stale_s + self._test.trip_ns / 1e9)
        tripped_ns = self._of(state).tripped_ns
        if tripped_ns is None:
            truth = ", ".join(f"{one.text}: {one.truth}" for one in self._of(state).inputs)
            waited_s = (self._clock.now_ns() - began_ns) / 1e9
            return TrialFinding(cause=self._cause, missing=(f"no trip within {duration(round(waited_s))} ({truth})",))
        cells = {one.effect: one.delay_ns for one in state.matrix if one.cause == self._cause}
        longest_s = (max(cells.values(), default=0) + self._test.within_ns) / 1e9

        def reached(one: InterlockState) -> bool:
            return not list(_not_reached(one, cells))

        state = self._until(reached, longest_s)
        done = {one.name: one.reached_ns for one in state.effects if one.name in cells}
        return TrialFinding(
            cause=self._cause,
            missing=tuple(_not_reached(state, cells)),
            tripped_s=max(0.0, (tripped_ns - began_ns) / 1e9),
            reached_s={name: max(0.0, (at - tripped_ns) / 1e9) for name, at in done.items() if at is not None},
        )

    def _recover(self, finding: TrialFinding) -> TrialFinding:
        """Wait until no cause is present, and reset."""
        state = self._until(lambda one: not _present(one), self._stale_s + self._test.within_ns / 1e9)
        if present := _present(state):
            return _with(finding, f"{' and '.join(present)} still present after the fault has ended: not reset")
        if not state.latch:
            state = self._until(lambda one: not one.is_tripped, self._test.within_ns / 1e9)
        elif state.is_tripped:
            try:
                self._plant.reset()
            except CountingRoomError as error:
                return _with(finding, f"the reset is refused: {error.cause.message}")
            state = self._until(lambda one: not one.is_tripped, self._test.within_ns / 1e9)
        return _with(finding, "it is still tripped") if state.is_tripped else finding

    def _until(self, is_so: Callable[[InterlockState], bool], seconds: float) -> InterlockState:
        """The first state that is so, or the last one at the deadline."""
        end = self._clock.monotonic() + seconds
        if self.state is not None and is_so(self.state):
            return self.state
        for state in self._states:
            self.state = state
            self._follow(state)
            if is_so(state) or self._clock.monotonic() >= end:
                return state
        raise _ended()

    def _follow(self, state: InterlockState) -> None:
        """Tell what is new in a state, each thing once."""
        cause = self._of(state)
        for one in state.causes:
            mine = "" if one.name == self._cause else " (beside it)"
            self._once(one.present_since_ns, f"cause {one.name} is present{mine}")
            self._once(one.tripped_ns, f"cause {one.name} has tripped{mine}")
        for one in state.effects:
            self._once(one.acting_ns, f"effect {one.name} begins: {one.does}")
            self._once(one.reached_ns, f"effect {one.name} is reached")
            if one.acting_ns is not None and one.trouble:
                self._once(self._clock.now_ns(), f"effect {one.name} is not reached yet: {one.trouble}", one.trouble)
        if f"cause {self._cause} is present" in self._said and not cause.is_present:
            self._once(self._clock.now_ns(), f"cause {self._cause} is gone")
        if cause.tripped_ns is None and f"cause {self._cause} has tripped" in self._said and not state.is_tripped:
            self._once(state.reset_ns, "reset")

    def _once(self, time_ns: int | None, text: str, key: str = "") -> None:
        if time_ns is not None and (key or text) not in self._said:
            self._said.add(key or text)
            self._tell(time_ns, text)

    def _now(self, text: str) -> None:
        self._tell(self._clock.now_ns(), text)

    def _of(self, state: InterlockState) -> CauseState:
        """The cause that is tested."""
        return state.cause(self._cause) or CauseState(name=self._cause)


def in_words(state: InterlockState) -> str:
    """The state at the end as text, for a person who continues by hand."""
    words = [f"{state.name} is tripped by {state.first_out}" if state.is_tripped else f"{state.name} is not tripped"]
    words += [f"cause {name} is present" for name in _present(state)]
    words += [f"effect {one.name} acts" for one in state.effects if one.acting_ns is not None]
    return ", ".join(words)


def line(time_ns: int, text: str) -> str:
    """One step for the terminal."""
    return f"{time_of_day(time_ns)}  {text}"


def states_of(name: str, messages: Iterator[Any]) -> Iterator[InterlockState]:
    """The state of one interlock, taken from the live feed: one at each message, also if it did not change."""
    state: InterlockState | None = None
    for said in messages:
        if found := said.get("states", {}).get(f"interlock.{name}"):
            state = convert(found, InterlockState)
        if state is not None:
            yield state


def _present(state: InterlockState) -> list[str]:
    """Causes that keep it from being reset."""
    return [one.name for one in state.causes if one.is_present and one.bypass is None]


def _not_reached(state: InterlockState, cells: dict[str, int]) -> Iterator[str]:
    for one in state.effects:
        if one.name not in cells:
            continue
        if one.acting_ns is None:
            yield f"effect {one.name} has not begun"
        elif one.trouble or one.reached_ns is None:
            yield f"effect {one.name} is not reached: {one.trouble or 'no readback shows it'}"


def _with(finding: TrialFinding, missing: str) -> TrialFinding:
    return replace(finding, missing=(*finding.missing, missing))


def _hindered(why: str, suggestion: str) -> RequestError:
    return RequestError(f"the test cannot begin: {why}", source="cli", code="cannot_test", suggestion=suggestion)


def _ended() -> LinkError:
    return LinkError("the live feed tells no states of the interlock", source="cli", suggestion="try again")

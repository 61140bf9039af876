"""The interlock chart against a slow, plain model that goes through the time tick by tick and looks back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.interlocks.chart import fitted, initial, next_due_ns, step
from countingroom.core.interlocks.events import (
    BypassCause,
    EndBypass,
    InputReading,
    InterlockEvent,
    InterlockTime,
    ResetInterlock,
)
from countingroom.core.interlocks.specs import CauseSpec, InterlockSpec
from countingroom.core.interlocks.states import InterlockState, Truth
from countingroom.core.policy import Role
from tests.examples import examples
from tests.unit.interlock_specs import cause, interlock

Inputs = dict[tuple[str, int], Truth]


class Model:
    """Keeps the inputs of every tick, and asks them anew each time."""

    def __init__(self, spec: InterlockSpec) -> None:
        self.spec = spec
        self.past: list[Inputs] = []
        self.until: dict[str, int] = {}
        self.tripped: dict[str, int] = {}
        self.trips = 0
        self.first = ""

    def count(self, one: CauseSpec, tick: int, *, known: bool) -> bool:
        truths = [self.past[tick][one.name, place] for place in range(len(one.inputs))]
        return sum(truth is Truth.TRUE if known else truth is not Truth.FALSE for truth in truths) >= one.vote

    def since(self, one: CauseSpec, tick: int, *, known: bool) -> int | None:
        """The tick from which on it holds without a gap up to this one."""
        if not self.count(one, tick, known=known):
            return None
        while tick and self.count(one, tick - 1, known=known):
            tick -= 1
        return tick

    def over(self, one: CauseSpec, seen: int, now: int) -> bool:
        """Whether its delay ended by now, as the inputs up to the tick `seen` say; then it is over until it is gone."""
        present = self.since(one, seen, known=False)
        if present is None:
            return False
        for tick in range(present, seen + 1):
            end = present + one.unknown_delay_ns
            if (true := self.since(one, tick, known=True)) is not None:
                end = min(true + one.on_delay_ns, present + max(one.on_delay_ns, one.unknown_delay_ns))
            if end <= (now if tick == seen else tick + 1):
                return True
        return False

    def trip(self, seen: int, now: int) -> None:
        found = [
            one.name
            for one in self.spec.causes
            if one.name not in self.until and one.name not in self.tripped and self.over(one, seen, now)
        ]
        for name in found:
            if not self.tripped:
                self.trips += 1
                self.first = name
            self.tripped[name] = now

    def release(self, seen: int) -> None:
        if not self.spec.latch:
            for one in self.spec.causes:
                if one.name in self.tripped and (one.name in self.until or not self.count(one, seen, known=False)):
                    del self.tripped[one.name]

    def tick(self, now: int, inputs: Inputs, event: InterlockEvent) -> None:
        self.until = {name: until for name, until in self.until.items() if until > now}
        if now:
            self.trip(now - 1, now)
            self.release(now - 1)
        self.past.append(inputs)
        match event:
            case ResetInterlock():
                present = [one.name for one in self.spec.causes if self.count(one, now, known=False)]
                if all(name in self.until for name in present):
                    self.tripped = {}
            case BypassCause():
                self.until[event.cause] = event.until_ns
            case EndBypass():
                self.until.pop(event.cause, None)
            case _:
                pass
        self.trip(now, now)
        self.release(now)

    def acting(self, now: int) -> set[str]:
        return {
            cell.effect
            for cell in self.spec.matrix
            if cell.cause in self.tripped and self.tripped[cell.cause] + cell.delay_ns <= now
        }


def _of(state: InterlockState) -> tuple[set[str], int, str, set[str], set[str]]:
    return (
        {one.name for one in state.causes if one.tripped_ns is not None},
        state.trip,
        state.first_out,
        set(state.bypassed),
        {one.name for one in state.effects if one.acting_ns is not None},
    )


delays = st.integers(0, 4)
NAMES = (("a", 0), ("a", 1), ("a", 2), ("b", 0))
ORDERS = ("", "", "", "", "reset", "bypass a", "bypass b", "end a", "end b")
cells = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from(["off", "stop", "no_start"])), delays)


def _spec(
    vote: int, delays_ns: tuple[int, int, int, int], cells: dict[tuple[str, str], int], *, latch: bool
) -> InterlockSpec:
    on_a, lost_a, on_b, lost_b = delays_ns
    return interlock(
        cause("a", 3, vote=vote, on_ns=on_a, unknown_ns=lost_a),
        cause("b", on_ns=on_b, unknown_ns=lost_b),
        cells=cells,
        latch=latch,
    )


specs = st.builds(_spec, st.integers(1, 3), st.tuples(delays, delays, delays, delays), cells, latch=st.booleans())
ticks = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(list(Truth)), max_size=2),
    st.sampled_from(ORDERS),
    st.integers(1, 8),
    st.booleans(),
)


def event_of(order: str, until_ns: int) -> InterlockEvent:
    word, _, name = order.partition(" ")
    match word:
        case "reset":
            return ResetInterlock(by="ben", role=Role.SHIFTER)
        case "bypass":
            return BypassCause(cause=name, by="eva", role=Role.EXPERT, reason="repair", until_ns=until_ns)
        case "end":
            return EndBypass(cause=name, by="eva", role=Role.EXPERT)
        case _:
            return InterlockTime()


@settings(max_examples=examples(150, part=3))
@given(specs, st.lists(ticks, max_size=30))
def test_the_chart_does_what_the_model_says(spec: InterlockSpec, history: list[tuple[Inputs, str, int, bool]]) -> None:
    model, state = Model(spec), initial(spec)
    inputs: Inputs = dict.fromkeys(NAMES, Truth.FALSE)
    before: Inputs | None = None
    for now, (changes, order, length, is_restarted) in enumerate(history):
        inputs = inputs | changes
        event = event_of(order, now + length)
        model.tick(now, inputs, event)
        due_ns = next_due_ns(state)
        # The chart is asked only when something happens, as in the engine; a restart in between changes nothing.
        if inputs != before or order or (due_ns is not None and due_ns <= now):
            readings = {place: InputReading(truth) for place, truth in inputs.items()}
            state, _ = step(spec, state, readings, now, event)
            if is_restarted:
                state, _ = step(spec, fitted(spec, state), readings, now)
        before = inputs
        acting = model.acting(now)
        assert _of(state) == (set(model.tripped), model.trips, model.first, set(model.until), acting)

"""Decides when interlocks trip and act, from readings, states, the time and commands of people. Pure.

The engine and a replay use it. Each message of the bus queues a step with the inputs and the time of its arrival; the
engine takes the queued steps when no earlier step is still being saved. Call `steps` while `is_waiting` is true, and at
`next_due_ns` at the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.core.interlocks.chart import initial, next_due_ns, step
from countingroom.core.interlocks.events import InputReading, InterlockAction, InterlockEvent, InterlockTime
from countingroom.core.interlocks.inputs import InterlockInputs
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Readings

Inputs = Mapping[tuple[str, int], InputReading]


class TakenStep(Struct, frozen=True, kw_only=True):
    """One step that an interlock has taken."""

    name: str
    now_ns: int
    is_changed: bool
    """Whether the state of the interlock changed."""
    actions: tuple[InterlockAction, ...]
    inputs: Inputs
    """The inputs that it used."""


class _Waiting(Struct, frozen=True):
    """A queued step."""

    name: str
    inputs: Inputs | None
    """None: use the inputs at the time when the step is taken."""
    at_ns: int
    event: InterlockEvent


_TIME = InterlockTime()


class InterlockEvaluation:
    """Some interlocks with their states."""

    def __init__(self, specs: Iterable[InterlockSpec], now_ns: int) -> None:
        """All interlocks begin untripped. To begin with saved states, put them into `states` before the first input."""
        self.specs = {spec.name: spec for spec in specs}
        self.states: dict[str, InterlockState] = {name: initial(spec) for name, spec in self.specs.items()}
        self._inputs = InterlockInputs(self.specs.values(), now_ns)
        self._ready: set[str] = set()
        """Interlocks that are evaluated: all their inputs were known once, or the time to wait for them is over. A new
        engine has no values for some seconds, and that alone must not trip an interlock."""
        self._queue: list[_Waiting] = []
        self._looked_ns = 0
        """The time of the last check of due times."""
        self._due_ns: int | None = None
        """The earliest due time of all states."""

    @property
    def is_waiting(self) -> bool:
        """Whether queued steps can be taken."""
        return any(one.name in self._ready for one in self._queue)

    def is_ready(self, name: str) -> bool:
        """Whether an interlock is evaluated: its inputs were known once, or the time to wait for them is over."""
        return name in self._ready

    # Inputs from the bus.

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        if names := self._inputs.read(message, now_ns):
            self._touched(names, now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of a device, channel, partition, …; `word` None: unknown."""
        self._touched(self._inputs.state(subject, word, common, now_ns), now_ns)

    def lost(self, device: str, now_ns: int) -> None:
        """Take in that the host of a device is gone: its values are missing."""
        self._touched(self._inputs.lost(device, now_ns), now_ns)

    def complete(self, now_ns: int) -> None:
        """End the wait for first values: inputs without a value count as missing, and all interlocks are evaluated."""
        if len(self._ready) == len(self.specs):
            return
        self._ready = set(self.specs)
        for name in self.specs:
            self._queue.append(_Waiting(name, dict(self._inputs.of(name)), now_ns, _TIME))

    def put(self, name: str, event: InterlockEvent, now_ns: int) -> None:
        """Queue an event that uses the inputs at the time of its step: an effect was reached, a device host tripped."""
        self._queue.append(_Waiting(name, None, now_ns, event))

    # The steps.

    def steps(self, now_ns: int) -> list[TakenStep]:
        """Take all queued steps in the order of their arrival, then those that are due at `now_ns`."""
        self._touched(self._inputs.pass_time(now_ns), now_ns)
        queue = [one for one in self._queue if one.name in self._ready]
        self._queue = [one for one in self._queue if one.name not in self._ready]
        found = [self._step(one.name, one.inputs, one.at_ns, one.event) for one in queue]
        is_set_back = now_ns < self._looked_ns
        self._looked_ns = now_ns
        for name in self.specs:
            if name in self._ready:
                due_ns = next_due_ns(self.states[name])
                if is_set_back or (due_ns is not None and due_ns <= now_ns):
                    found.append(self._step(name, None, now_ns, _TIME))
        if found:
            self._wait()
        return found

    def ask(self, name: str, event: InterlockEvent, now_ns: int) -> TakenStep:
        """Take the step for the command of a person at once. A refusal is one of its actions."""
        taken = self._step(name, None, now_ns, event)
        self._wait()
        return taken

    def restore(self, name: str, state: InterlockState) -> None:
        """Put the state back that an interlock had before a step which could not be saved."""
        self.states[name] = state
        self._wait()

    def next_due_ns(self) -> int | None:
        """When `steps` must be called even without an input; None if no interlock waits for a time."""
        due_ns = self._inputs.next_due_ns()
        if due_ns is None or self._due_ns is None:
            return self._due_ns if due_ns is None else due_ns
        return min(due_ns, self._due_ns)

    def inputs_due_ns(self) -> int | None:
        """The same for the inputs alone. A reading can change this time without a step."""
        return self._inputs.next_due_ns()

    def _touched(self, names: Iterable[str], now_ns: int) -> None:
        for name in sorted(names):
            if name not in self._ready and self._inputs.is_known(name):
                self._ready.add(name)
            if name in self._ready:
                self._queue.append(_Waiting(name, dict(self._inputs.of(name)), now_ns, _TIME))

    def _wait(self) -> None:
        due = (next_due_ns(self.states[name]) for name in self._ready)
        self._due_ns = min((one for one in due if one is not None), default=None)

    def _step(self, name: str, inputs: Inputs | None, now_ns: int, event: InterlockEvent) -> TakenStep:
        given = self._inputs.of(name) if inputs is None else inputs
        before = self.states[name]
        after, actions = step(self.specs[name], before, given, now_ns, event)
        self.states[name] = after
        return TakenStep(name=name, now_ns=now_ns, is_changed=after is not before, actions=actions, inputs=given)

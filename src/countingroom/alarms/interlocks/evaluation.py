"""Decides when interlocks trip and act, from readings, states, the time and what people ask for. Pure.

The engine and a replay use it. What comes from the bus is a step that waits: the engine takes steps while no other is
being saved, each with the inputs and the time at which it came. Call `steps` while `is_waiting`, and by `next_due_ns`
at the latest.
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
    """One step of one interlock."""

    name: str
    now_ns: int
    is_changed: bool
    """Whether its state is another one."""
    actions: tuple[InterlockAction, ...]
    inputs: Inputs
    """On which it decided."""


class _Waiting(Struct, frozen=True):
    """One step to be taken."""

    name: str
    inputs: Inputs | None
    """None: those of the turn in which it is taken."""
    at_ns: int
    event: InterlockEvent


_TIME = InterlockTime()


class InterlockEvaluation:
    """Some interlocks with their states."""

    def __init__(self, specs: Iterable[InterlockSpec], now_ns: int) -> None:
        """Not tripped. Other states to begin with are put into `states` before anything is heard."""
        self.specs = {spec.name: spec for spec in specs}
        self.states: dict[str, InterlockState] = {name: initial(spec) for name, spec in self.specs.items()}
        self._inputs = InterlockInputs(self.specs.values(), now_ns)
        self._ready: set[str] = set()
        """Those whose inputs have been known once, or would have been by now."""
        self._queue: list[_Waiting] = []
        self._looked_ns = 0
        """When due times were looked at last."""
        self._due_ns: int | None = None
        """When the first state is to be looked at."""

    @property
    def is_waiting(self) -> bool:
        """Whether steps wait to be taken."""
        return any(one.name in self._ready for one in self._queue)

    def is_ready(self, name: str) -> bool:
        """Whether an interlock is evaluated: its inputs have been known once, or would have been by now."""
        return name in self._ready

    # What is heard.

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        if names := self._inputs.read(message, now_ns):
            self._touched(names, now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of a device, channel, partition, …; None: it is not known."""
        self._touched(self._inputs.state(subject, word, common, now_ns), now_ns)

    def lost(self, device: str, now_ns: int) -> None:
        """The host of a device is gone."""
        self._touched(self._inputs.lost(device, now_ns), now_ns)

    def complete(self, now_ns: int) -> None:
        """What was not read until now is missing."""
        if len(self._ready) == len(self.specs):
            return
        self._ready = set(self.specs)
        for name in self.specs:
            self._queue.append(_Waiting(name, dict(self._inputs.of(name)), now_ns, _TIME))

    def put(self, name: str, event: InterlockEvent, now_ns: int) -> None:
        """Something to be taken with the inputs of its turn: an effect that was reached, a trip of a device host."""
        self._queue.append(_Waiting(name, None, now_ns, event))

    # The steps.

    def steps(self, now_ns: int) -> list[TakenStep]:
        """Take all steps that wait, in the order in which they came, and those whose time has come."""
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
        """What a person asks for, at once. A refusal is among the actions."""
        taken = self._step(name, None, now_ns, event)
        self._wait()
        return taken

    def restore(self, name: str, state: InterlockState) -> None:
        """Take a step back that could not be saved."""
        self.states[name] = state
        self._wait()

    def next_due_ns(self) -> int | None:
        """When `steps` is to be called though nothing is heard; None: nothing waits for a time."""
        due_ns = self._inputs.next_due_ns()
        if due_ns is None or self._due_ns is None:
            return self._due_ns if due_ns is None else due_ns
        return min(due_ns, self._due_ns)

    def inputs_due_ns(self) -> int | None:
        """The same, of the inputs alone: what a reading changes though it leads to no step."""
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

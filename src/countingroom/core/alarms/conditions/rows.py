"""Many conditions with their states: evaluates those that a message concerns, and returns the ones that changed. Pure.

Rows are numbered from 0 in the order of `add`. For a point whose rows are all at rest, the band of values is kept in
which no row can change; a reading inside it costs one comparison.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from countingroom.core.alarms.conditions.kinds import (
    STALE,
    Evaluate,
    evaluator,
    initial,
    of_update,
    pass_time,
    quiet_band,
)
from countingroom.core.alarms.conditions.settling import set_back
from countingroom.core.alarms.conditions.specs import AT_REST, NEVER, ConditionSpec, ConditionState, UpdateSpec
from countingroom.core.messages import Readings
from countingroom.core.values import Scalar

Change = tuple[int, ConditionState, ConditionState]
"""Row, state before, state after. The level may be the same: then only its memory changed."""
Derive = Callable[[Mapping[str, Scalar]], Scalar]
"""From the values of several points (None: not known) to the value of a condition."""

_NO_BAND = (float("inf"), float("-inf"))


class _Source:
    """One point, or one other source of values, and the rows that depend on it."""

    __slots__ = ("address", "band", "high", "is_awaited", "is_input", "low", "received_ns", "rows")

    def __init__(self, address: str, band: tuple[float, float]) -> None:
        self.address = address
        self.rows: list[int] = []
        self.band = band
        """That of all rows together."""
        self.is_input = False
        """It is one of several inputs of a row, which needs its last value."""
        self.is_awaited = False
        """A row tells that no new value came."""
        self.received_ns = -1
        """When the last usable value was received, by the clock of its device host; kept where it is awaited."""
        self.low, self.high = _NO_BAND


class ConditionRows:
    """Conditions, their states, their due times, and an index from points to them."""

    def __init__(self) -> None:
        self.states: list[ConditionState] = []
        self._specs: list[ConditionSpec] = []
        self._functions: list[Evaluate] = []
        self._derived: dict[int, Derive] = {}
        self._sources: dict[str, dict[str, _Source]] = {}
        self._sources_of: list[tuple[_Source, ...]] = []
        self._values: dict[str, Scalar] = {}
        self._due: list[tuple[int, int]] = []
        self._queued: list[int] = []
        self._now_ns = 0
        """When it was given a time last."""

    def add(
        self,
        spec: ConditionSpec,
        inputs: tuple[str, ...],
        *,
        now_ns: int,
        level: int = 0,
        since_ns: int = 0,
        derive: Derive | None = None,
    ) -> int:
        """The number of its row. `inputs` are addresses `device.point`; `derive` makes one value of them.

        `level` and `since_ns` are those that the alarm had before a restart.
        """
        row = len(self.states)
        self._specs.append(spec)
        self._functions.append(evaluator(spec))
        self.states.append(initial(spec, now_ns, level=level, since_ns=since_ns))
        self._queued.append(NEVER)
        band = (None if derive else quiet_band(spec)) or _NO_BAND
        if derive:
            self._derived[row] = derive
        sources: list[_Source] = []
        for address in inputs if len(inputs) == 1 else dict.fromkeys(inputs):
            device, _, name = address.partition(".")
            of_device = self._sources.get(device)
            if of_device is None:
                of_device = self._sources[device] = {}
            source = of_device.get(name)
            if source is None:
                source = of_device[name] = _Source(address, band)
            else:
                source.band = (max(source.band[0], band[0]), min(source.band[1], band[1]))
            source.rows.append(row)
            source.low, source.high = _NO_BAND  # this row is not at rest before its first reading
            source.is_input |= derive is not None
            source.is_awaited |= isinstance(spec, UpdateSpec)
            sources.append(source)
        self._sources_of.append(tuple(sources))
        if self.states[row].due_ns != NEVER:
            self._wait(row, self.states[row])
        return row

    def take(self, message: Readings, now_ns: int) -> list[Change]:
        """Evaluate what this message concerns. Call `pass_time` first when `next_due_ns` has come."""
        changes: list[Change] = []
        sources = self._sources.get(message.device)
        if sources is None:
            return changes
        self._at(now_ns)
        alarms = message.alarms
        for name, value, quality, received_ns in zip(
            message.points, message.values, message.qualities, message.received_ns, strict=True
        ):
            source = sources.get(name)
            if source is None:
                continue
            if source.is_awaited:
                self._await(source, quality, received_ns, message.sent_ns, now_ns, changes)
            try:
                if source.low <= value <= source.high and quality < STALE and not alarms:  # type: ignore[operator]
                    continue
            except TypeError:
                pass  # a text, or None: it has no place in a band
            self._evaluate(source, value, quality, alarms.get(name, 0) if alarms else 0, now_ns, changes)
        return changes

    def put(self, address: str, value: Scalar, quality: int, now_ns: int, *, given: int = 0) -> list[Change]:
        """Evaluate one value that did not come in a message of readings, as the state of a device."""
        device, _, name = address.partition(".")
        changes: list[Change] = []
        self._at(now_ns)
        if source := self._sources.get(device, {}).get(name):
            self._evaluate(source, value, quality, given, now_ns, changes)
        return changes

    def pass_time(self, now_ns: int) -> list[Change]:
        """Evaluate the rows whose due time has come, without a reading."""
        changes: list[Change] = []
        self._at(now_ns)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, row = heapq.heappop(self._due)
            if self._queued[row] != due_ns:
                continue  # a shorter time took its place
            self._queued[row] = NEVER
            before = self.states[row]
            after = pass_time(self._specs[row], before, now_ns)
            if after is not before:
                self._change(row, before, after, changes)
            else:
                self._wait(row, before)
        return changes

    def next_due_ns(self) -> int:
        """When `pass_time` must be called at the latest; NEVER if no row waits for a time."""
        return self._due[0][0] if self._due else NEVER

    def _at(self, now_ns: int) -> None:
        if now_ns < self._now_ns:
            for row, state in enumerate(self.states):
                self.states[row] = back = set_back(state, now_ns)
                self._wait(row, back)
        self._now_ns = now_ns

    def _evaluate(
        self, source: _Source, value: Scalar, quality: int, given: int, now_ns: int, changes: list[Change]
    ) -> None:
        if source.is_input:
            self._values[source.address] = value if quality < STALE else None
        for row in source.rows:
            if isinstance(self._specs[row], UpdateSpec):
                continue  # it is about when a value was received (`_await`)
            before = self.states[row]
            derive = self._derived.get(row) if source.is_input else None
            if derive is None:
                after = self._functions[row](self._specs[row], before, value, quality, given, now_ns)
            else:
                after = self._functions[row](self._specs[row], before, derive(self._values), 0, 0, now_ns)
            if after is not before:
                self._change(row, before, after, changes)

    def _await(
        self, source: _Source, quality: int, received_ns: int, sent_ns: int, now_ns: int, changes: list[Change]
    ) -> None:
        """Rows that wait for a new value. What a host repeats was received before, and is not new. How old a value is
        follows from the clock of its host alone, which may differ from this one."""
        is_new = quality < STALE and received_ns != source.received_ns
        if is_new:
            source.received_ns = received_ns
        at_ns = now_ns - max(0, sent_ns - received_ns)
        for row in source.rows:
            spec = self._specs[row]
            if not isinstance(spec, UpdateSpec):
                continue
            before = after = self.states[row]
            if is_new:  # it came after the last one; the clock of the host may have been set meanwhile
                after = of_update(spec, before, None, 0, 0, max(at_ns, min(before.anchor_ns, now_ns)))
            after = pass_time(spec, after, now_ns)
            if after is not before:
                self._change(row, before, after, changes)

    def _change(self, row: int, before: ConditionState, after: ConditionState, changes: list[Change]) -> None:
        self.states[row] = after
        changes.append((row, before, after))
        self._wait(row, after)
        if after is AT_REST or before is AT_REST:
            states = self.states
            for source in self._sources_of[row]:
                is_quiet = not source.is_input and all(states[one] is AT_REST for one in source.rows)
                source.low, source.high = source.band if is_quiet else _NO_BAND

    def _wait(self, row: int, state: ConditionState) -> None:
        # One entry for each row: an earlier one stays, and is put back when its time comes too early.
        if state.due_ns < self._queued[row]:
            self._queued[row] = state.due_ns
            heapq.heappush(self._due, (state.due_ns, row))

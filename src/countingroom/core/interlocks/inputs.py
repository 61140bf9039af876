"""Evaluates the inputs of interlocks from readings and states, for `chart.step`. Pure.

The conditions are those of alarms. In addition this module says why an input is unknown: stale, bad or missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from countingroom.core.alarms.conditions.described import state_address, state_value
from countingroom.core.alarms.conditions.rows import Change, ConditionRows
from countingroom.core.alarms.conditions.specs import MISSING, NEVER, LimitSpec
from countingroom.core.interlocks.events import InputReading
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import Readings
from countingroom.core.values import Quality, Scalar

_GOOD, _STALE, _BAD = int(Quality.GOOD), int(Quality.STALE), int(Quality.BAD)
_LOST = {_STALE: Truth.STALE, _BAD: Truth.BAD, MISSING: Truth.MISSING}
_UNREAD = InputReading(Truth.MISSING)


class InterlockInputs:
    """The inputs of some interlocks. Its methods return the names of the interlocks with a changed input."""

    def __init__(self, specs: Iterable[InterlockSpec], now_ns: int) -> None:
        self._rows = ConditionRows()
        self._places: list[tuple[str, tuple[str, int]]] = []
        """Row -> (interlock, (cause, number of the input))."""
        self._addresses: list[tuple[str, ...]] = []
        """Row -> what it depends on."""
        self._rows_of: dict[str, list[int]] = {}
        self._limits: dict[int, str] = {}
        """Row of a limit -> the point that it compares: only a number can be below or above it."""
        self._no_numbers: set[str] = set()
        """Points whose last value is known and is no number."""
        self._found: dict[str, dict[tuple[str, int], InputReading]] = {}
        for spec in specs:
            found = self._found[spec.name] = {}
            for cause in spec.causes:
                for number, one in enumerate(cause.inputs):
                    row = self._rows.add(one.spec, one.inputs, now_ns=now_ns, derive=one.derive)
                    self._places.append((spec.name, (cause.name, number)))
                    self._addresses.append(one.inputs)
                    found[cause.name, number] = _UNREAD
                    if isinstance(one.spec, LimitSpec) and one.derive is None:
                        self._limits[row] = one.inputs[0]
                    for address in one.inputs:
                        self._rows_of.setdefault(address, []).append(row)
        self._devices = {address.partition(".")[0] for address in self._rows_of}
        self._qualities: dict[str, int] = {}
        self._values: dict[str, Scalar] = {}

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses of all points and states that are needed."""
        return frozenset(self._rows_of)

    def of(self, interlock: str) -> Mapping[tuple[str, int], InputReading]:
        """The inputs of one interlock."""
        return self._found[interlock]

    def is_known(self, interlock: str) -> bool:
        """Whether each input of an interlock can be evaluated now. A device host that starts publishes that it has no
        values yet; that is no failure and must not trip."""
        return all(one.truth.is_known for one in self._found[interlock].values())

    def read(self, message: Readings, now_ns: int) -> set[str]:
        """Take in readings. An alarm that a device itself gives to a value is no part of the condition."""
        if message.device not in self._devices:
            return set()
        touched: set[int] = set()
        for name, value, quality in zip(message.points, message.values, message.qualities, strict=True):
            address = f"{message.device}.{name}"
            if address in self._rows_of:
                self._values[address] = value if quality < _STALE else None
                is_changed = self._qualities.get(address) != quality
                self._qualities[address] = quality
                if self._is_no_number(address) is not (address in self._no_numbers):
                    self._no_numbers ^= {address}
                    is_changed = True
                if is_changed:
                    touched.update(self._rows_of[address])
        plain = structs.replace(message, alarms={}) if message.alarms else message
        changed = self._changed(self._rows.take(plain, now_ns), touched)
        return changed | self._vanished(message, now_ns) if message.full else changed

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> set[str]:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, …; `word` None: unknown."""
        value = None if word is None else state_value(word, common)
        return self._put(state_address(subject), value, _STALE if word is None else _GOOD, now_ns)

    def lost(self, device: str, now_ns: int) -> set[str]:
        """Take in that the host of a device is gone: its values and states are unknown."""
        begins = (f"{device}.", f"state of device {device}.", f"state of channel {device}.")
        changed: set[str] = set()
        for address in self._rows_of:
            if address.startswith(begins):
                changed |= self._put(address, None, _STALE, now_ns)
        return changed

    def pass_time(self, now_ns: int) -> set[str]:
        """Inputs that change because time passed, for example the time without a new value."""
        return self._changed(self._rows.pass_time(now_ns), set())

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no input waits for a time."""
        due_ns = self._rows.next_due_ns()
        return None if due_ns == NEVER else due_ns

    def _is_no_number(self, address: str) -> bool:
        value = self._values[address]
        return value is not None and (isinstance(value, bool) or not isinstance(value, int | float))

    def _vanished(self, message: Readings, now_ns: int) -> set[str]:
        """Take in that points vanished: they are not in a message that has all points of their device."""
        begin, carried, changed = f"{message.device}.", set(message.points), set[str]()
        for address, quality in list(self._qualities.items()):
            if quality != MISSING and address.startswith(begin) and address.removeprefix(begin) not in carried:
                changed |= self._put(address, None, MISSING, now_ns)
        return changed

    def _put(self, address: str, value: Scalar, quality: int, now_ns: int) -> set[str]:
        if address not in self._rows_of:
            return set()
        self._values[address] = value
        self._qualities[address] = quality
        self._no_numbers.discard(address)
        return self._changed(self._rows.put(address, value, quality, now_ns), set(self._rows_of[address]))

    def _changed(self, changes: Iterable[Change], touched: set[int]) -> set[str]:
        touched.update(row for row, _, _ in changes)
        names: set[str] = set()
        for row in touched:
            interlock, place = self._places[row]
            before = self._found[interlock][place]
            truth = self._truth(row)
            if truth is not before.truth:
                value = self._values.get(self._addresses[row][0]) if self._addresses[row] else None
                self._found[interlock][place] = InputReading(truth, value)
                names.add(interlock)
        return names

    def _truth(self, row: int) -> Truth:
        state = self._rows.states[row]
        if self._limits.get(row) in self._no_numbers:
            return Truth.BAD
        if not state.unknown:
            return Truth.TRUE if state.level else Truth.FALSE
        worst = max((self._qualities.get(address, MISSING) for address in self._addresses[row]), default=_BAD)
        return _LOST.get(worst, Truth.BAD)

"""The truth values of many conditions over points and states: true, false, or unknown. Pure.

A condition here has no delay: the rule decides how long it must hold. The same code evaluates the conditions of alarms.
"""

from __future__ import annotations

from collections.abc import Iterable

from countingroom.alarms.engine.described_conditions import condition_of
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.core.alarms.conditions.described import state_address, state_value
from countingroom.core.alarms.conditions.rows import Change, ConditionRows
from countingroom.core.messages import Readings
from countingroom.core.values import Quality, Scalar

_STALE = int(Quality.STALE)

Truth = tuple[str, bool | None]
"""Key of a condition, and its truth value; None: unknown."""


class Truths:
    """Conditions by key. Each method returns those whose truth value changed, in the order in which they changed."""

    def __init__(self) -> None:
        self._rows = ConditionRows()
        self._keys: dict[int, str] = {}
        self._last: dict[str, bool | None] = {}
        self._inputs: dict[str, tuple[str, ...]] = {}
        self._values: dict[str, Scalar] = {}
        self._addresses: set[str] = set()
        self._names: dict[str, dict[str, str]] = {}
        """Device -> name of a point -> its address."""
        self.texts: dict[str, str] = {}
        """Key -> the condition in words, `chiller.bath is above 35`."""

    def add(self, key: str, keys: ConditionKeys, now_ns: int) -> None:
        """Add a condition under a key. ValueError or ConfigurationError if it cannot be evaluated."""
        condition = condition_of(keys)
        row = self._rows.add(condition.spec, condition.inputs, now_ns=now_ns, derive=condition.derive)
        self._keys[row] = key
        self._last[key] = None
        self._inputs[key] = condition.inputs
        self.texts[key] = condition.text
        self._addresses.update(condition.inputs)
        for address in condition.inputs:
            device, _, name = address.partition(".")
            self._names.setdefault(device, {})[name] = address

    def value(self, key: str) -> bool | None:
        """The present truth value of a condition."""
        return self._last.get(key)

    def evidence(self, key: str) -> dict[str, Scalar]:
        """Address -> last value of each input of a condition; None: unknown. A state has the address
        `state of device caen`."""
        return {
            address.removesuffix(".word"): _word(address, self._values.get(address))
            for address in self._inputs.get(key, ())
        }

    def read(self, message: Readings, now_ns: int) -> list[Truth]:
        """Take in readings."""
        names = self._names.get(message.device)
        if names is None or names.keys().isdisjoint(message.points):
            return []
        for name, value, quality in zip(message.points, message.values, message.qualities, strict=True):
            if (address := names.get(name)) is not None:
                self._values[address] = value if quality < _STALE else None
        return self._changed(self._rows.take(message, now_ns))

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> list[Truth]:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, …; `word` None: unknown."""
        address = state_address(subject)
        if address not in self._addresses:
            return []
        value = None if word is None else state_value(word, common)
        self._values[address] = value
        quality = _STALE if word is None else int(Quality.GOOD)
        return self._changed(self._rows.put(address, value, quality, now_ns))

    def lost(self, device: str, now_ns: int) -> list[Truth]:
        """Take in that the host of a device is gone: its values and states are unknown."""
        found: list[Truth] = []
        states = (f"state of device {device}.", f"state of channel {device}.")
        for address in sorted(self._addresses):
            if address.startswith((f"{device}.", *states)):
                self._values[address] = None
                found += self._changed(self._rows.put(address, None, _STALE, now_ns))
        return found

    def pass_time(self, now_ns: int) -> list[Truth]:
        """Conditions that changed because time passed: a rate, or a value that stopped arriving."""
        return self._changed(self._rows.pass_time(now_ns))

    def next_due_ns(self) -> int:
        """When `pass_time` must be called next; NEVER if no condition waits for a time."""
        return self._rows.next_due_ns()

    def _changed(self, changes: Iterable[Change]) -> list[Truth]:
        found: list[Truth] = []
        for row, _, after in changes:
            key = self._keys[row]
            value = None if after.unknown else bool(after.level)
            if value is not self._last[key]:
                self._last[key] = value
                found.append((key, value))
        return found


def _word(address: str, value: Scalar) -> Scalar:
    """The state's own word without the common state, which `state_value` puts behind it for the evaluation."""
    return str(value).partition("\n")[0] if value is not None and address.endswith(".word") else value

"""The truth values of many conditions over points and states: true, false, or not known. Pure.

A condition here has no delay: how long it must hold is decided by the rule. Conditions are evaluated by the same code
as those of alarms.
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
"""Key of a condition, and its truth value; None: not known."""


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
        """Evaluate this condition under a key. ValueError or ConfigurationError where it cannot be."""
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
        """Address -> last value, of what a condition depends on; None: not known. The word of a state has the address
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
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, …; None: it is not known."""
        address = state_address(subject)
        if address not in self._addresses:
            return []
        value = None if word is None else state_value(word, common)
        self._values[address] = value
        quality = _STALE if word is None else int(Quality.GOOD)
        return self._changed(self._rows.put(address, value, quality, now_ns))

    def lost(self, device: str, now_ns: int) -> list[Truth]:
        """The host of a device is gone: nothing is known of its points and states."""
        found: list[Truth] = []
        states = (f"state of device {device}.", f"state of channel {device}.")
        for address in sorted(self._addresses):
            if address.startswith((f"{device}.", *states)):
                self._values[address] = None
                found += self._changed(self._rows.put(address, None, _STALE, now_ns))
        return found

    def pass_time(self, now_ns: int) -> list[Truth]:
        """What became true because a time is over: a rate, or a value that does not come."""
        return self._changed(self._rows.pass_time(now_ns))

    def next_due_ns(self) -> int:
        """When `pass_time` is to be called; NEVER: nothing waits."""
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
    """The own word of a state; it is evaluated together with the common one."""
    return str(value).partition("\n")[0] if value is not None and address.endswith(".word") else value

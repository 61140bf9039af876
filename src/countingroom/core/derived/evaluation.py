"""Computes the derived points of one device from readings of other points. Pure.

A value is as good as the worst of its inputs and as new as the newest. One that cannot be computed, as a division by
zero, is BAD with the reason. Each batch of readings computes each value that depends on it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.core.alarms.expression_failure import failure
from countingroom.core.alarms.expressions import Expression
from countingroom.core.derived.filters import Filter, FilterSpec
from countingroom.core.derived.order import in_order
from countingroom.core.points import Type
from countingroom.core.values import Quality, Reading, Scalar

_WORDS = {Quality.UNCERTAIN: "uncertain", Quality.STALE: "stale", Quality.BAD: "bad"}
_MOST_NAMED = 3
"""Inputs that one reason names."""


class DerivedSpec(Struct, frozen=True, kw_only=True):
    """One derived point."""

    address: str
    """`climate.dew_point`."""
    expression: Expression
    type: Type = Type.FLOAT
    filter: FilterSpec | None = None


class Derived:
    """The derived points of one device."""

    def __init__(self, specs: Iterable[DerivedSpec]) -> None:
        """ValueError: they depend on each other in a loop."""
        by_address = {spec.address: spec for spec in specs}
        order = in_order({address: spec.expression.references for address, spec in by_address.items()})
        self._specs = [by_address[address] for address in order]
        self._filters = {spec.address: Filter(spec.filter) for spec in self._specs if spec.filter}
        self._own = frozenset(by_address)
        self._depending: dict[str, list[int]] = {}
        for number, spec in enumerate(self._specs):
            for address in spec.expression.references:
                self._depending.setdefault(address, []).append(number)
        self.inputs = frozenset(self._depending) - self._own
        """Addresses of the points of other devices that are needed."""
        self._readings: dict[str, Reading] = {}
        self._values: dict[str, Scalar] = {}
        """Of inputs that have a present value."""

    @property
    def missing(self) -> int:
        """How many inputs have no present value: STALE, BAD, or never read."""
        return sum(1 for address in self.inputs if address not in self._values)

    def take(self, readings: Mapping[str, Reading]) -> list[tuple[str, Reading]]:
        """Take in a batch of readings, by address. The (address, reading) of all points that depend on it."""
        due: set[int] = set()
        for address, reading in readings.items():
            if address in self.inputs:
                self._put(address, reading, due)
        return self._computed(due)

    @property
    def readings(self) -> list[tuple[str, Reading]]:
        """The (address, reading) of every derived point. One with an input that was never read has none."""
        return [(one.address, self._readings[one.address]) for one in self._specs if one.address in self._readings]

    def _put(self, address: str, reading: Reading, due: set[int]) -> None:
        self._readings[address] = reading
        if reading.quality <= Quality.UNCERTAIN:
            self._values[address] = reading.value
        else:
            self._values.pop(address, None)
        due.update(self._depending.get(address, ()))

    def _computed(self, due: set[int]) -> list[tuple[str, Reading]]:
        found: list[tuple[str, Reading]] = []
        for number, spec in enumerate(self._specs):  # in the order of their dependence: one pass is enough
            if number not in due:
                continue
            # Before all inputs were read for the first time, as at the start, nothing is wrong with it.
            if all(address in self._readings for address in spec.expression.references):
                reading = self._reading(spec)
                self._put(spec.address, reading, due)
                found.append((spec.address, reading))
        return found

    def _reading(self, spec: DerivedSpec) -> Reading:
        quality, device_ns, received_ns = Quality.GOOD, 0, 0
        for address in spec.expression.references:  # one loop: this is done for every reading of an input
            one = self._readings[address]
            quality = max(quality, one.quality)
            device_ns = max(device_ns, one.device_ns)
            received_ns = max(received_ns, one.received_ns)
        reason = "" if quality is Quality.GOOD else self._reason(spec, quality)
        value: Scalar = None
        if quality <= Quality.UNCERTAIN:
            value, quality, reason = self._evaluated(spec, quality, reason, received_ns)
        elif spec.address in self._filters:
            self._filters[spec.address].reset()
        return Reading(value=value, quality=quality, device_ns=device_ns, received_ns=received_ns, reason=reason)

    def _reason(self, spec: DerivedSpec, worst: Quality) -> str:
        """`room.t is stale: no value for more than 30 s`, of the inputs with the worst quality."""
        inputs = [(address, self._readings[address]) for address in spec.expression.references]
        found = [
            f"{address} is {_WORDS[worst]}{f': {one.reason}' if one.reason else ''}"
            for address, one in inputs
            if one.quality is worst
        ]
        more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        return "; ".join(found[:_MOST_NAMED]) + more

    def _evaluated(self, spec: DerivedSpec, quality: Quality, reason: str, time_ns: int) -> tuple[Scalar, Quality, str]:
        value = spec.expression.condition(self._values) if spec.type is Type.BOOL else None
        if spec.type is not Type.BOOL:
            value = spec.expression.evaluate(self._values)
        smoother = self._filters.get(spec.address)
        if value is None:
            if smoother:
                smoother.reset()
            return None, Quality.BAD, failure(spec.expression, self._values)
        if smoother and isinstance(value, (int, float)):
            value, filtered = smoother.take(float(value), quality, time_ns)
            reason = reason or ("a value in the window of its filter is uncertain" if filtered > quality else "")
            quality = filtered
        return value, quality, reason

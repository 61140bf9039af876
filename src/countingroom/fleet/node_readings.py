"""Publishes the values of one node as readings: what has changed at each measurement, and all of them every minute."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.usage import MeasuredNode, device_of
from countingroom.core.messages import Readings, encode
from countingroom.core.points import Point
from countingroom.core.retry import edge_log
from countingroom.core.values import Quality, Scalar

_log = logging.getLogger(__name__)
FULL_S = 60.0
"""A message with all values comes at least so often, as from every device."""
_EARLY_S = 0.5


class NodeReadings:
    """The readings of one node. A message that the bus does not take is not sent again; the next one has all values."""

    def __init__(self, bus: Bus, clock: Clock, node: str, boot: str) -> None:
        self._bus = bus
        self._clock = clock
        self._device = device_of(node)
        self._boot = boot
        self._sequence = 0
        self._points: Mapping[str, Point] = {}
        self._told: dict[str, tuple[Scalar, Quality]] = {}
        self._reasons: Mapping[str, str] = {}
        self._full_s: float | None = None
        self._report = edge_log(_log, f"fleet: values of {node} are lost", f"fleet: values of {node} are stored again")

    async def publish(self, found: MeasuredNode) -> None:
        """Publish a measurement."""
        self._points = {point.name: point for point in found.points}
        values = {
            name: (value, Quality.STALE if value is None else Quality.GOOD) for name, value in found.values.items()
        }
        self._reasons = found.reasons
        await self._send(values)

    async def lose(self, why: str) -> None:
        """The values are not known any more; they keep their last ones."""
        if not self._told:
            return
        self._reasons = dict.fromkeys(self._told, why)
        await self._send({name: (value, Quality.STALE) for name, (value, _) in self._told.items()})

    async def _send(self, values: Mapping[str, tuple[Scalar, Quality]]) -> None:
        now_s = self._clock.monotonic()
        full = self._full_s is None or now_s - self._full_s >= FULL_S - _EARLY_S or values.keys() != self._told.keys()
        names = list(values) if full else list(self._changed(values))
        if not names:
            return
        self._sequence += 1
        now_ns = self._clock.now_ns()
        message = Readings(
            device=self._device,
            boot=self._boot,
            sequence=self._sequence,
            full=full,
            sent_ns=now_ns,
            points=names,
            values=[values[name][0] for name in names],
            qualities=[int(values[name][1]) for name in names],
            device_ns=[now_ns] * len(names),
            received_ns=[now_ns] * len(names),
            reasons={name: why for name, why in self._reasons.items() if name in values},
        )
        try:
            await self._bus.append(
                subjects.readings(self._device, full=full),
                encode(message),
                message_id=f"{self._device}:{self._boot}:{self._sequence}",
            )
        except CountingRoomError as error:
            self._report.failed(error.cause)
            self._full_s = None
            return
        self._report.worked()
        self._told = {**({} if full else self._told), **{name: values[name] for name in names}}
        if full:
            self._full_s = now_s

    def _changed(self, values: Mapping[str, tuple[Scalar, Quality]]) -> Iterable[str]:
        for name, (value, quality) in values.items():
            before, known = self._told[name]
            if quality is not known:
                yield name
            elif isinstance(value, float) and isinstance(before, float):
                if abs(value - before) > self._points[name].deadband:
                    yield name
            elif value != before:
                yield name

"""Computes points from the readings of other devices, as the device host delivers them. Nothing is polled.

An input that is STALE or BAD makes the points that need it so, with the reason. The link of this device is that to the
host: it stays while single inputs are away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from countingroom.core.derived.evaluation import Derived, DerivedSpec
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point, Type
from countingroom.core.values import Reading
from countingroom.devices.drivers.derived.description import INPUTS_MISSING, DerivedSection, DerivedValue
from countingroom.devices.input_feed import InputFeed
from countingroom.devices.port import Sample, Sink


class DerivedDriver:
    """The derived points of one device."""

    def __init__(self, device: str, section: DerivedSection, feed: InputFeed) -> None:
        self._begin = f"{device}."
        self._source = f"devices.{device}"
        self._specs = [
            DerivedSpec(
                address=f"{device}.{name}",
                expression=value.expression(),
                type=Type(value.type),
                filter=value.filter.spec if value.filter else None,
            )
            for name, value in section.values.items()
        ]
        self._derived = Derived(self._specs)
        self._feed = feed
        feed.want(self._derived.inputs)
        self._sink: Sink | None = None
        self._missing = -1
        self._is_connected = False
        self.points: tuple[Point, ...] = (
            *(_point(name, value) for name, value in section.values.items()),
            Point(
                name=INPUTS_MISSING,
                column=INPUTS_MISSING,
                label="Inputs missing",
                description="how many points that are needed have no present value",
                inputs=tuple(sorted(self._derived.inputs)),
                type=Type.INT,
                precision=0,
                stale_after_s=0.0,
                main=False,
            ),
        )

    def monitor(self, sink: Sink) -> None:
        """Pass what is computed to the sink."""
        self._sink = sink

    async def connect(self) -> None:
        """Follow the inputs. LinkError: the device host delivers none."""
        self._derived = Derived(self._specs)  # windows of filters begin anew
        present = self._feed.follow(self._derived.inputs, self._take)
        self._derived.take(present)
        self._is_connected = True

    async def read(self) -> Sequence[Sample]:
        """Every point, computed from the present readings."""
        if not self._is_connected or not self._feed.is_open:
            raise LinkError("the device host delivers no readings", source=self._source)
        return [*self._samples(self._derived.readings), *self._count(always=True)]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Nothing can be written."""
        raise DeviceError(f"{point} is computed; it cannot be written", source=self._source, code="read_only")

    async def close(self) -> None:
        """Follow the inputs no more."""
        self._is_connected = False
        self._feed.leave(self._take)

    def _take(self, readings: Mapping[str, Reading]) -> None:
        samples = [*self._samples(self._derived.take(readings)), *self._count()]
        if self._sink and samples:
            self._sink(samples)

    def _samples(self, computed: Iterable[tuple[str, Reading]]) -> Iterable[Sample]:
        for address, reading in computed:
            yield Sample(
                point=address.removeprefix(self._begin),
                value=reading.value,
                quality=reading.quality,
                device_ns=reading.device_ns or None,
                reason=reading.reason,
            )

    def _count(self, *, always: bool = False) -> Iterable[Sample]:
        if always or self._derived.missing != self._missing:
            self._missing = self._derived.missing
            yield Sample(point=INPUTS_MISSING, value=self._missing)


def _point(name: str, value: DerivedValue) -> Point:
    expression = value.expression()
    parts = [value.value.strip(), *([value.filter.spec.text] if value.filter else [])]
    return replace(
        value.as_point(name, Type(value.type), precision=value.precision),
        formula="; ".join(parts),
        inputs=expression.references,
        stale_after_s=0.0,  # they are as old as their inputs, which are declared STALE themselves
    )

"""Law: a driver is small: connect, read or monitor, write, close and a table of points. It holds no loop, no retry,
no log and no clock; the device host does all that, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar


class Sample(Struct, frozen=True, kw_only=True):
    """What a driver learnt about one point. The host stamps it and makes it a Reading.

    quality GOOD, UNCERTAIN, or BAD with value None. STALE means the link behind this point alone is lost (one process
    variable of many): the host keeps the last value. NaN may be given; the host makes it BAD.
    """

    point: str
    value: Scalar
    quality: Quality = Quality.GOOD
    device_ns: int | None = None
    """The device's own time stamp; None where it has none."""


Sink = Callable[[Sequence[Sample]], None]


class Driver(Protocol):
    """The four verbs. The host calls them one at a time, from one task: a driver needs no lock of its own.

    Errors: LinkError when the device is not reached or did not answer in time (the host closes, waits with growing
    pauses, and connects again); DeviceError when it answered and says no or answered nonsense (the link stays).
    Cancellation may come at any await and must leave the driver closable.
    """

    @property
    def points(self) -> tuple[Point, ...]:
        """Everything it can read and write. Known before connecting and never changing."""
        ...

    async def connect(self) -> None:
        """Reach the device. Writes nothing to it."""
        ...

    async def read(self) -> Sequence[Sample]:
        """All points once (polled drivers). A monitoring driver returns what it has."""
        ...

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Send a value already checked against the point's limits. Returns when the device has taken it, which does
        not mean it holds: readback says that."""
        ...

    async def close(self) -> None:
        """Let go. May be called at any time and twice; never raises."""
        ...


@runtime_checkable
class MonitoringDriver(Driver, Protocol):
    """A driver whose device tells of changes by itself. It is not polled."""

    def monitor(self, sink: Sink) -> None:
        """Called once, before connect: give samples to the sink as they come, from the event loop's thread. The sink
        is quick and never raises. Links of single points that come and go are samples of quality STALE and GOOD."""
        ...

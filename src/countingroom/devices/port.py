"""The port of drivers: connect, read (or monitor), write, close and a table of points.

A driver contains no loop, no retry, no log and no clock. The device host does all that once for every driver.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar


class Sample(Struct, frozen=True, kw_only=True):
    """The value of one point, as the driver received it. The host adds the time and makes it a Reading.

    quality GOOD, UNCERTAIN, or BAD with value None. STALE means that the link of this point alone is lost (one process
    variable of many): the host keeps the last value. NaN is allowed; the host makes it BAD.
    """

    point: str
    value: Scalar
    quality: Quality = Quality.GOOD
    device_ns: int | None = None
    """The device's own time stamp; None where it has none."""
    alarm: int = 0
    """Priority of an alarm that the device has given to the value: 1, 2, 3; 0: none."""
    reason: str = ""
    """Why the quality is not GOOD: `the payload is no JSON`. It is shown with the value; while there is no value, an
    event tells it, once for each change."""


Sink = Callable[[Sequence[Sample]], None]


class Driver(Protocol):
    """The four methods. The host calls them one at a time, from one task: a driver needs no lock of its own.

    Errors: LinkError when the device is not reached or did not answer in time (the host closes, waits with growing
    pauses, and connects again); DeviceError when it answered with a refusal or with nonsense (the link stays).
    A task can be cancelled at any await; `close` must work afterwards.
    """

    @property
    def points(self) -> tuple[Point, ...]:
        """Everything it can read and write. Known before connecting and never changing."""
        ...

    async def connect(self) -> None:
        """Open the link to the device, without writing a value to it."""
        ...

    async def read(self) -> Sequence[Sample]:
        """All points once (polled drivers). A monitoring driver returns the last sample of each."""
        ...

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Send a value that was checked against the point's limits. Returns when the device has accepted it. The
        readback proves later that it is in force."""
        ...

    async def close(self) -> None:
        """Close the link. May be called at any time and twice; never raises."""
        ...


@runtime_checkable
class MonitoringDriver(Driver, Protocol):
    """A driver for a device that reports changes by itself. The host does not poll it."""

    def monitor(self, sink: Sink) -> None:
        """Called once, before connect: pass samples to the sink as they arrive, in the event loop's thread. The sink
        is quick and never raises. Links of single points that come and go are samples of quality STALE and GOOD."""
        ...


@runtime_checkable
class ThinningDriver(Protocol):
    """A driver with a client library that drops changes if too many arrive at once."""

    @property
    def thinned(self) -> int:
        """Changes dropped since the start."""
        ...


class LinkReport(Struct, frozen=True, kw_only=True):
    """Something that happened to the link of a device, and that no value tells."""

    code: str
    message: str
    points: tuple[str, ...] = ()
    """The points that it is about."""


@runtime_checkable
class ReportingDriver(Protocol):
    """A driver that notices what no value tells. The host records each report as an event."""

    def reports(self) -> Sequence[LinkReport]:
        """What happened since the last call."""
        ...


@runtime_checkable
class ProvingDriver(MonitoringDriver, Protocol):
    """A monitoring driver of a device that sends changes only: a value that does not change is asked for.

    The host calls `prove` every `poll`. Its `write` is called while others are under way, so that one that takes long
    delays no other; a LinkError of it fails that write, and the link stays.
    """

    @property
    def thinned(self) -> int:
        """Changes that the client library dropped, because a newer one came before they were taken."""
        ...

    async def prove(self) -> Collection[str]:
        """Ask the device. Returns the points that still have the value of their last sample: these do not become stale.

        It may also complete `points` with units, precisions, limits, codes and choices that the device reports.
        """
        ...

"""The port of an engine: what runs the instances of one node. Docker, processes of this computer, and others.

Every method has a deadline inside the adapter and raises LinkError where the engine does not answer, so that its node
counts as lost. NotFound, OutOfRange and DeviceError tell what is wrong with one instance or image; the node stays.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from countingroom.core.fleet.specs import InstanceId, ServiceSpec
from countingroom.core.fleet.usage import HostUse, InstanceUse
from countingroom.core.fleet.usb import UsbDevice

Progress = Callable[[int, int], None]
"""Bytes pulled so far, and in all (0: not known yet)."""


class EngineFacts(Struct, frozen=True, kw_only=True):
    """What an engine tells of itself and its node."""

    engine: str
    """`Docker 20.10.24`, `processes`."""
    boot: str = ""
    """Changes with each start of the computer; empty: not known."""


class EngineInstance(Struct, frozen=True, kw_only=True):
    """One instance as its engine has it."""

    id: InstanceId
    digest: str
    revision: int
    change: str
    is_running: bool
    since_ns: int
    """Since when it runs, or does not."""
    waits: bool = False
    """It does not run yet: it is in the queue of its engine, and `reason` says for what it waits."""
    host: str = ""
    """The computer on which it runs, where the node is more than one."""
    exit_status: int | None = None
    crashes: int = 0
    """Ends in a row, as the engine counts them."""
    reason: str = ""
    """The last line of its output, or why it was ended, where it ended."""
    drift: tuple[str, ...] = ()
    spec: ServiceSpec = ServiceSpec()
    """As it was made; what the engine does not keep has its default."""
    engine_id: str = ""
    devices: Mapping[str, tuple[str, ...]] = {}
    """USB device by its name -> the paths that it had when the instance was made."""


class MakeOrder(Struct, frozen=True, kw_only=True):
    """An instance to make."""

    id: InstanceId
    spec: ServiceSpec
    digest: str
    revision: int
    change: str
    secrets: Mapping[str, str] = {}
    """Variable -> value. It is never written to a file or told to anybody but the instance."""
    devices: Mapping[str, tuple[str, ...]] = {}
    """USB device of the spec by its name -> its paths on the node."""


class LogLine(Struct, frozen=True):
    """One line of output."""

    time_ns: int
    """0: not known."""
    text: str


class EngineUse(Struct, frozen=True, kw_only=True):
    """What an engine can tell by itself."""

    instances: Mapping[InstanceId, InstanceUse] = {}
    host: HostUse | None = None
    """The computer; None: it cannot tell."""
    clock_offset_s: float | None = None


@runtime_checkable
class MeasuringEngine(Protocol):
    """An engine that tells what its instances use."""

    async def use(self) -> EngineUse:
        """One measurement. LinkError where it is not reached."""
        ...


@runtime_checkable
class UsbEngine(Protocol):
    """An engine that can look up the USB devices of its node."""

    async def usb(self) -> Sequence[UsbDevice]:
        """Those that have a serial number. LinkError where it is not reached."""
        ...


@runtime_checkable
class PlatformEngine(Protocol):
    """An engine that knows for what platform its images must be made."""

    async def platform(self) -> str:
        """`linux/amd64`."""
        ...


class Engine(Protocol):
    """The engine of one node."""

    async def connect(self) -> EngineFacts:
        """Reach it."""
        ...

    async def instances(self) -> Sequence[EngineInstance]:
        """Those that countingroom has made for this experiment, running or not."""
        ...

    async def images(self) -> frozenset[str]:
        """The images that are there, as they are named in descriptions."""
        ...

    async def pull(self, image: str, progress: Progress) -> None:
        """Get an image; what runs is not touched."""
        ...

    async def make(self, order: MakeOrder) -> None:
        """Make and start an instance that does not exist."""
        ...

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        """End the present instance and start the new one in its place. Where the new one cannot be made, the present
        one runs on, or again."""
        ...

    async def start(self, id: InstanceId) -> None:
        """Start an instance that ended."""
        ...

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        """End it within a time of grace and remove it; its log is kept where the engine can. What is not there is no
        error."""
        ...

    def logs(self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False) -> AsyncGenerator[LogLine]:
        """The last lines of its output, also of one that ended; with `follow` the next ones too."""
        ...

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """(exit status, output) of a command that runs beside the instance."""
        ...

    def changes(self) -> AsyncGenerator[None]:
        """One item whenever something may have changed. Ends where the engine is lost."""
        ...

    async def close(self) -> None:
        """End the connection. The instances run on."""
        ...

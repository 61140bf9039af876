"""Law: what crosses the bus is one of these values, encoded as MessagePack by `encode` and read by `decode`."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


def encode(message: Struct) -> bytes:
    """A message as MessagePack; OutOfRange (`invalid`) for a number or text that cannot be written so."""
    try:
        return _encoder.encode(message)
    except (OverflowError, UnicodeEncodeError) as error:
        raise OutOfRange(
            f"it holds a number or a text that cannot be sent: {error}",
            code="invalid",
            suggestion="give whole numbers of 64 bits and texts of real characters",
        ) from error


def decode(data: bytes, kind: type[T]) -> T:
    """A message from MessagePack; msgspec.DecodeError (a ValueError) when it is not one."""
    return msgspec.msgpack.decode(data, type=kind)


class Readings(Struct, frozen=True, kw_only=True):
    """Readings of one device, taken in one flush: five columns of equal length, one row a point."""

    device: str
    boot: str
    """Which life of the device host sent it: a random word made at its start."""
    sequence: int
    """1, 2, 3 … within one boot and device, over full and delta messages together: a hole is a loss."""
    full: bool
    sent_ns: int
    points: list[str]
    """Point names within the device."""
    values: list[Scalar]
    qualities: list[int]
    """Quality, as its number."""
    device_ns: list[int]
    received_ns: list[int]

    def rows(self) -> list[tuple[str, Reading]]:
        """The same as (point, Reading) pairs. For a few points; mass data stay columns."""
        return [
            (name, Reading(value=value, quality=Quality(quality), device_ns=device, received_ns=received))
            for name, value, quality, device, received in zip(
                self.points, self.values, self.qualities, self.device_ns, self.received_ns, strict=True
            )
        ]


class Link(StrEnum):
    """Whether the device is reached."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class DeviceState(Struct, frozen=True, kw_only=True):
    """The state of a device, or of one of its channels. Written by the device host alone."""

    device: str
    channel: str = ""
    """Empty for the device itself."""
    state: str
    """A state of its chart: `HV_ON`, `DISCONNECTED`."""
    common: str = ""
    """The common state it maps to (`off`, `on`, `moving`, `error`, `no_link`), for pictures and counts."""
    link: Link
    since_ns: int
    """Since when it is in this state."""
    cause: Cause | None = None
    """Why it is in an abnormal state."""
    refusals: dict[str, Cause | None] = {}
    """Every command of its catalogue that this thing knows: None where it may be given now, else why not."""
    boot: str = ""
    active: bool = True
    """False: monitored but never commanded, and left out of the device's state."""


class Parameter(Struct, frozen=True, kw_only=True):
    """An argument a command takes."""

    name: str
    label: str = ""
    type: Type = Type.FLOAT
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] = ()
    optional: bool = False


class CommandSpec(Struct, frozen=True, kw_only=True):
    """A command a device understands, for buttons, help and checks."""

    name: str
    """The word in API and CLI: `hv_on`, `clear_alarms`, `set_working_temperature`."""
    label: str = ""
    description: str = ""
    event: str = ""
    """The chart's event that makes it legal; empty: legal whenever the device is connected."""
    scope: str = "device"
    """`device`, or `channel`: takes a channel. A command of a channel acts on that channel alone."""
    parameters: tuple[Parameter, ...] = ()
    done_in: tuple[str, ...] = ()
    """It is done when the state is one of these; empty: when every write is confirmed by readback."""
    deadline_s: float = 10.0
    dangerous: bool = False
    """Confirmed in red."""


class Catalogue(Struct, frozen=True, kw_only=True):
    """What a device is: everything a console needs to draw it before the first reading arrives."""

    device: str
    title: str
    driver: str
    group: str
    """Where it stands in the navigation: `Power supplies`, `Cooling`, `Environment`."""
    location: str = ""
    """Where it is reached: `serial:/dev/ttyUSB0`, `modbus://10.0.0.3:502`."""
    simulated: bool = False
    points: tuple[Point, ...]
    channels: tuple[str, ...] = ()
    """Channel names in order."""
    channel_labels: dict[str, str] = {}
    """What a channel supplies (its module)."""
    commands: tuple[CommandSpec, ...] = ()
    chart: Chart | None = None
    channel_chart: Chart | None = None
    boot: str = ""


class Command(Struct, frozen=True, kw_only=True):
    """A wish to act. Who wishes is the user token of the subject."""

    id: str
    """Unique; a second command of the same id is refused, so a repeated message acts once."""
    action: str
    """A command of the catalogue, or `set`, whose arguments are `point` and `value`."""
    channel: str = ""
    arguments: dict[str, Scalar] = {}
    issued_ns: int
    """When the person or rule decided."""
    deadline_ns: int
    """Not to be begun after this."""
    seen_state: str | None = None
    """The state its sender saw; refused when it is no longer so. None: sender did not look (a script)."""
    lease: int | None = None
    """Fencing token of the lease it is given under."""
    origin: str = ""
    """Where it came from, for the record: `console 127.0.0.1`, `cli`."""


class Reply(Struct, frozen=True, kw_only=True):
    """The answer to a Command: accepted (its outcome will be an event), or refused with the reason."""

    id: str
    accepted: bool
    cause: Cause | None = None


class EventKind(StrEnum):
    """What sort of thing happened."""

    COMMAND = "command"
    """A command was accepted."""
    REFUSED = "refused"
    DONE = "done"
    """A command reached what it was for, by readback."""
    FAILED = "failed"
    """A command did not, or not in time."""
    STATE = "state"
    LINK = "link"
    PROCESS = "process"
    """A process of ours came or went."""
    NOTE = "note"


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened. The stream of them is the record from which any past moment is rebuilt."""

    id: str
    kind: EventKind
    time_ns: int
    department: str
    source: str
    """The thing it happened to: `caen`."""
    channel: str = ""
    message: str
    """One sentence for people."""
    severity: int = 0
    """0 normal, 3 low, 2 medium, 1 high priority, as on the pages."""
    principal: str = ""
    """Who caused it; empty where nobody did."""
    command_id: str = ""
    action: str = ""
    before: str = ""
    after: str = ""
    cause: Cause | None = None
    data: dict[str, Scalar] = {}
    positions: dict[str, int] = {}
    """Of the end of a command: the revision of the state bucket (`state`) and the sequence in the stream of readings
    (`readings`) up to which its effect is published. A view that has applied these shows the effect."""


class Presence(Struct, frozen=True, kw_only=True):
    """A heartbeat: the process's main loop went round. Missing three times, it counts as gone."""

    role: str
    instance: str
    boot: str
    host: str
    pid: int
    interval_s: float
    sent_ns: int
    leaving: bool = False
    """The last one of a clean exit."""
    targets: tuple[str, ...] = ()
    """The things this process answers for now: names of devices; `partition.<name>` of partitions, which it owns."""

"""The messages on the bus: readings, device states, commands, replies, events, heartbeats.

All are encoded as MessagePack by `encode` and decoded only by `decode` or a `MessageDecoder`, so that bytes which are
no message always raise `Malformed`.
"""

from __future__ import annotations

from enum import StrEnum
from types import UnionType
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.points import Point, Type
from countingroom.core.values import Int64, Quality, Reading, Scalar

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_Name = Annotated[str, Meta(max_length=256)]
_ROWS = Meta(max_length=1_000_000)
"""More rows than fit into one message of the bus. It bounds the memory that a false length can take."""


def encode(message: Struct) -> bytes:
    """A message as MessagePack; OutOfRange (`invalid`) for a number or text that cannot be written so."""
    try:
        return _encoder.encode(message)
    except (OverflowError, UnicodeEncodeError) as error:
        raise OutOfRange(
            f"a number or a text in it cannot be encoded: {error}",
            code="invalid",
            suggestion="use integers of at most 64 bits and valid Unicode text",
        ) from error


class Malformed(msgspec.DecodeError):
    """The bytes are no message of the wanted type."""


class MessageDecoder(Generic[T]):
    """Decodes MessagePack of one type. Made once, it is faster than `decode` for many messages."""

    def __init__(self, kind: type[T] | UnionType) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)

    def decode(self, data: bytes) -> T:
        """The message; Malformed when the data do not fit the type."""
        # Hostile bytes make msgspec raise more than its own errors: RecursionError for a thousand nested arrays,
        # UnicodeDecodeError for a text, MemoryError for a length. Each of them ended the tasks that follow the bus.
        try:
            return self._decoder.decode(data)
        except Exception as error:
            raise _malformed(error) from error


def decode(data: bytes, kind: type[T] | MessageDecoder[T]) -> T:
    """A message from MessagePack; Malformed when the data do not fit the type."""
    return (kind if isinstance(kind, MessageDecoder) else MessageDecoder(kind)).decode(data)


def decode_json(data: bytes | str, kind: type[T]) -> T:
    """A value from JSON; Malformed when the data do not fit the type."""
    try:
        return msgspec.json.decode(data, type=kind)
    except Exception as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> Malformed:
    return Malformed(f"{type(error).__name__}: {error}")


class Readings(Struct, frozen=True, kw_only=True):
    """Readings of one device, published together: five columns of equal length, one row for each point.

    ValueError, and Malformed when decoded, where the lengths differ.
    """

    device: str
    boot: str
    """Random id that the device host creates at each start."""
    sequence: Int64
    """1, 2, 3 … for each boot and device, over full and delta messages together. A gap means a lost message."""
    full: bool
    """Whether it carries all points of the device, or only those that changed."""
    sent_ns: Int64
    points: Annotated[list[str], _ROWS]
    """Point names within the device."""
    values: Annotated[list[Scalar], _ROWS]
    qualities: Annotated[list[Annotated[int, Meta(ge=0, le=3)]], _ROWS]
    """Quality, as its number."""
    device_ns: Annotated[list[Int64], _ROWS]
    received_ns: Annotated[list[Int64], _ROWS]
    reasons: Annotated[dict[str, str], _ROWS] = {}
    """Point -> why its quality is not GOOD, where it is known."""
    alarms: Annotated[dict[str, Annotated[int, Meta(ge=1, le=3)]], _ROWS] = {}
    """Point -> priority of an alarm that the device itself has given to its value."""

    def __post_init__(self) -> None:
        count = len(self.points)
        # Without a loop: a replay makes a million of them.
        if not (
            len(self.values) == count
            and len(self.qualities) == count
            and len(self.device_ns) == count
            and len(self.received_ns) == count
        ):
            raise ValueError("the columns differ in length")

    def rows(self) -> list[tuple[str, Reading]]:
        """The same as (point, Reading) pairs. For a few points; bulk data are handled as columns, which is faster."""
        return [
            (
                name,
                Reading(
                    value=value,
                    quality=Quality(quality),
                    device_ns=device,
                    received_ns=received,
                    alarm=self.alarms.get(name, 0),
                    reason=self.reasons.get(name, ""),
                ),
            )
            for name, value, quality, device, received in zip(
                self.points, self.values, self.qualities, self.device_ns, self.received_ns, strict=True
            )
        ]

    def as_stale(self, reason: str) -> Readings:
        """The same readings with quality STALE, or worse where it was worse, and without alarms of the device."""
        old = [name for name, quality in zip(self.points, self.qualities, strict=True) if quality < Quality.STALE]
        return msgspec.structs.replace(
            self,
            qualities=[max(quality, int(Quality.STALE)) for quality in self.qualities],
            reasons=self.reasons | dict.fromkeys(old, reason),
            alarms={},
        )


class Link(StrEnum):
    """Whether the device is reached."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


HOST_STOPPED = "host_stopped"
"""The code of the cause in the last state that a device host publishes of a device when it is stopped."""


class DeviceState(Struct, frozen=True, kw_only=True):
    """The state of a device, or of one of its channels. Only the device host writes it."""

    device: str
    channel: str = ""
    """Empty for the device itself."""
    state: str
    """A state of its state machine: `HV_ON`, `DISCONNECTED`."""
    common: str = ""
    """The common state it maps to (`off`, `on`, `moving`, `error`, `no_link`), for pictures and counts."""
    link: Link
    since_ns: int
    """When it entered this state."""
    cause: Cause | None = None
    """Reason for an abnormal state."""
    refusals: dict[str, Cause | None] = {}
    """Command -> None when it is allowed now, otherwise the reason for the refusal."""
    boot: str = ""
    active: bool = True
    """False: monitored, not commanded, and not counted in the state of the device."""


class Parameter(Struct, frozen=True, kw_only=True):
    """An argument of a command."""

    name: str
    label: str = ""
    type: Type = Type.FLOAT
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] = ()
    optional: bool = False


class CommandSpec(Struct, frozen=True, kw_only=True):
    """A command of a device, for buttons, help and checks."""

    name: str
    """The name in API and CLI: `hv_on`, `clear_alarms`, `set_working_temperature`."""
    label: str = ""
    description: str = ""
    event: str = ""
    """The event of the state machine that must be allowed; empty: allowed whenever the device is connected."""
    scope: str = "device"
    """`device`, or `channel`: the command needs a channel and acts on that channel only."""
    parameters: tuple[Parameter, ...] = ()
    done_in: tuple[str, ...] = ()
    """The command is done in one of these states; empty: when readback has confirmed every write."""
    deadline_s: float = 10.0
    """The command fails when it is not done after this time."""
    dangerous: bool = False
    """The console asks for confirmation, in red; needs `Permission.ENDANGER`."""


class Catalogue(Struct, frozen=True, kw_only=True):
    """Description of a device: all that a console needs to draw its page before the first reading arrives."""

    device: str
    title: str
    driver: str
    group: str
    """Its group in the navigation: `Power supplies`, `Cooling`, `Environment`."""
    location: str = ""
    """Its address: `serial:/dev/ttyUSB0`, `modbus://10.0.0.3:502`."""
    simulated: bool = False
    card: bool = True
    """Whether the overview has a card of it."""
    points: tuple[Point, ...]
    channels: tuple[str, ...] = ()
    """Channel names in order."""
    channel_labels: dict[str, str] = {}
    """Channel -> the detector module that it supplies."""
    commands: tuple[CommandSpec, ...] = ()
    chart: Chart | None = None
    channel_chart: Chart | None = None
    boot: str = ""


class Command(Struct, frozen=True, kw_only=True):
    """A command to a device, system, partition or the experiment. The user is the user token of the subject."""

    id: str
    """Unique. A second command with the same id has no effect, so that a repeated message acts once."""
    action: str
    """The name of the command; for a device also `set`, with the arguments `point` and `value`."""
    channel: str = ""
    arguments: dict[str, Scalar] = {}
    issued_ns: int
    """When it was issued, by the sender's clock."""
    deadline_ns: int
    """The command is refused when it has not begun by this time of the receiver's clock. Not compared where `within_s`
    is given, so that the clock of the sender does not matter."""
    within_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """The command is refused when it has not begun so long after it came; 0: `deadline_ns` counts, as of senders of an
    earlier version."""
    age_s: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    """So long before it was sent the sender saw `seen_state`, by the sender's own time."""
    seen_state: str | None = None
    """The state that the sender saw. Refused when the state has changed. None: not checked (a script)."""
    lease: int | None = None
    """Fencing token of the sender's control lease."""
    origin: str = ""
    """The sender's interface and address, for the record: `console 127.0.0.1`, `cli`."""
    trip: int = 0
    """Number of the trip, of a command of an interlock: one of a later trip does not join that of an earlier one."""


class Reply(Struct, frozen=True, kw_only=True):
    """The answer to a Command: accepted (its outcome follows as an event), or refused with the cause."""

    id: str
    accepted: bool
    cause: Cause | None = None


class EventKind(StrEnum):
    """The kind of an event."""

    COMMAND = "command"
    """A command was accepted."""
    REFUSED = "refused"
    DONE = "done"
    """A command was completed, confirmed by readback or state."""
    FAILED = "failed"
    """A command was not completed, or not in time."""
    STATE = "state"
    LINK = "link"
    PROCESS = "process"
    """A process of the experiment started or ended."""
    NOTE = "note"


class Event(Struct, frozen=True, kw_only=True):
    """An entry of the event stream, the permanent record of what happened."""

    id: str
    kind: EventKind
    time_ns: int
    department: str
    source: str
    """The object that the event is about: `caen`, `mCBM`."""
    channel: str = ""
    message: str
    """One sentence for operators."""
    severity: Annotated[int, Meta(ge=0, le=4)] = 0
    """0 normal, 3 low, 2 medium, 1 high priority, as in `core/severity.py`."""
    principal: str = ""
    """The user or rule that caused it; empty when there is none."""
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
    """A heartbeat, published by the main loop of a process. After three missed ones the process counts as gone."""

    role: _Name
    instance: _Name
    boot: _Name
    host: _Name
    pid: int
    interval_s: Annotated[float, Meta(gt=0, le=60)]
    sent_ns: int
    leaving: bool = False
    """The last heartbeat of an orderly exit."""
    targets: tuple[str, ...] = ()
    """The objects that this process serves now: names of devices, `partition.<name>` for the partitions it owns."""
    dead_letters: int = 0
    """Messages that this process received since its start and could not decode."""
    troubles: tuple[str, ...] = ()
    """Why this process is not ready, one sentence each; empty: it is ready."""
    warnings: tuple[str, ...] = ()
    """What may become a trouble, one sentence each."""
    conditions: dict[_Name, str] = {}
    """Alarm about what only this process knows -> what is abnormal, one sentence; empty: nothing is."""
    service: str = ""
    """The instance of a service of the fleet that this process is, `agents-STS@n1#0`; empty: none."""


class AgentBeats(Struct, frozen=True, kw_only=True):
    """A heartbeat of a process for all its agents that serve: ten thousand heartbeats of their own would keep a
    processor busy. The first and the last heartbeat of each agent are its own `Presence`."""

    host: _Name
    pid: int
    interval_s: Annotated[float, Meta(gt=0, le=60)]
    sent_ns: int
    agents: Annotated[dict[_Name, _Name], _ROWS]
    """System -> boot id of its agent."""
    service: str = ""
    """As in `Presence`."""

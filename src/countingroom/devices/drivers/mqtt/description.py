"""The section of devices on an MQTT broker: the broker, the boards, and the topics of each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from countingroom.core.yaml.section import Name, Section
from countingroom.devices.section import (
    Address,
    Deadband,
    DeviceSection,
    Duration,
    Plain,
    Precision,
    Problem,
    Silence,
    Unshared,
    disorder,
)

SENSOR = "{sensor}"
VALUE = "{value}"
_LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = ("localhost", "::1")

Topic = Annotated[str, Field(min_length=1)]
Keys = str | list[str]
"""A path in a JSON document: `temp`, `data.0.value`, or a list of its keys, for keys with dots."""


def _fixed_topic(value: str) -> str:
    if "+" in value or "#" in value:
        raise ValueError(f"+ and # are for subscriptions only; got {value!r}")
    return value


FixedTopic = Annotated[str, AfterValidator(_fixed_topic)]
"""A topic or a part of one without wildcards."""


class SensorValue(Section):
    """One value a board publishes, and with `set_topic` one that it takes."""

    topic: Topic
    """`{sensor}/sensors/#/DS/temp`: `{sensor}` stands for each board in turn, `+` for one level, `#` for any number
    of levels (also in the middle). Without `{sensor}` the value belongs to the device itself."""
    field: Keys = ""
    """Where the value is in a JSON payload: `temp`, `data.0.value`, or a list of keys, for keys with dots:
    `[ENERGY, Total.kWh]`. Empty: the payload is the bare value. A message without it leaves the value as it is."""
    time: Keys = ""
    """Where the time of the value is in the document: `last_seen`. ISO 8601 (UTC where it names no zone) or a number
    since the epoch. A value that is older than `stale_after` is UNCERTAIN, as one that a bridge repeats."""
    type: Literal["float", "int", "bool", "string"] = "float"
    unit: str = ""
    """`degC`, `percent`, `ppm`."""
    label: str = ""
    description: str = ""
    precision: Precision = 2
    deadband: Deadband = 0.0
    words: dict[str, Plain] = {}
    """Text of the payload -> value of this point: `{open: 1, closed: 0}`. Other texts are BAD."""
    codes: dict[str, str] = {}
    """What a value means: `{"3": "over-current"}`. The `words` where empty."""
    no_value: list[int | float] = []
    """Numbers that mean that there is no value: `[85, -127]` of a DS18B20. Such a value is BAD."""
    choices: list[Plain] = []
    """The only values it takes; those of `words` where empty."""
    low: float | None = None
    """A lower value is UNCERTAIN."""
    high: float | None = None
    """A higher value is UNCERTAIN."""
    stale_after: Silence = 60.0
    """Without a message for this long, the value is STALE. 0: never."""
    set_topic: FixedTopic = ""
    """Where a setpoint is published: `{sensor}/set`. Empty: read only."""
    set_payload: str = VALUE
    """What is published: `{"state": "{value}"}`. `{value}` is the word of the value, or the value."""
    qos: Literal[0, 1, 2] = 1
    """Of what is published. From 1 on the broker confirms that it has the setpoint."""
    write_low: float | None = None
    write_high: float | None = None
    readback: str = ""
    """The value of this table that is the readback of this setpoint; empty: the value itself."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    confirm: Duration = 5.0
    """Deadline for the readback."""

    def problems(self) -> Iterable[Problem]:
        """Topics that no broker accepts, limits in the wrong order, and keys that contradict each other."""
        yield from disorder(self)
        yield from _wildcards(self.topic)
        if self.type in ("bool", "string"):
            for key in ("low", "high", "write_low", "write_high", "no_value"):
                if getattr(self, key) not in (None, []):
                    yield (key,), f"{key} is for numbers; this is {self.type}"
        for word, value in self.words.items():
            if not _fits(self.type, value):
                yield ("words", word), f"{value!r} is no {self.type}"
        if self.time and not self.field:
            yield ("time",), "the time is in a JSON document, and the value too: `field` is missing"
        if self.set_topic:
            yield from self._set_problems()
            return
        for key in ("write_low", "write_high", "readback"):
            if getattr(self, key) not in (None, ""):
                yield (key,), f"{key} is for values with `set_topic`"

    def _set_problems(self) -> Iterable[Problem]:
        if VALUE not in self.set_payload:
            yield ("set_payload",), f"{VALUE} is missing; it stands for the setpoint"
        if (SENSOR in self.topic) != (SENSOR in self.set_topic):
            yield ("set_topic",), f"{SENSOR} is in topic and set_topic, or in neither"
        if self.type in ("float", "int") and not (self.words or self.choices):
            for key in ("write_low", "write_high"):
                if getattr(self, key) is None:
                    yield (), f"a number with `set_topic` says its limits: {key} is missing"


class Availability(Section):
    """A topic on which boards, or the broker for them as their last will, say whether they are there."""

    topic: Topic
    """`{sensor}/availability`. Without `{sensor}` it is for all boards, as that of a bridge."""
    field: Keys = ""
    """Where the word is in a JSON payload. A payload that is no JSON is the word itself."""
    online: str = "online"
    """Large and small letters are the same."""
    offline: str = "offline"

    def problems(self) -> Iterable[Problem]:
        """Topics that no broker accepts."""
        yield from _wildcards(self.topic)


class Board(Section):
    """A board with another name in topics than in the description."""

    name: FixedTopic
    """As in its topics. It may have spaces, `/`, `:` and dots: `Hall 3/0x00158d:1`."""
    label: str = ""


class BrokerKeys(Section):
    """The broker of a device, and how it is reached."""

    host: Address = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    user: str = ""
    password_file: str = ""
    """File whose first line is the password."""
    password_env: str = ""
    """Name of the environment variable that holds the password."""
    tls_ca: str = ""
    """File of the authority that signed the broker's certificate; empty: no TLS."""
    client_id: str = ""
    """Empty: the broker gives one."""
    version: Literal["3.1.1", "5"] = "3.1.1"
    """Of MQTT."""
    transport: Literal["tcp", "websockets"] = "tcp"
    path: str = "/mqtt"
    """Of the address of the broker, with websockets."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        return self

    def client_ids(self) -> Iterator[Unshared]:
        """Its client id at the broker, which no other device may have."""
        if self.client_id:
            host = self.host.casefold()
            yield Unshared(
                key="client_id",
                value=self.client_id,
                within=("mqtt", _LOOPBACK if host in _LOOPBACK_NAMES else host, self.port),
                reason="the broker disconnects one when the other connects; give each its own",
                keys=("host", "port"),
            )


class MqttSensorsSection(BrokerKeys, DeviceSection):
    """Boards that publish on an MQTT broker, and take setpoints from it."""

    driver: Literal["mqtt"]
    sensors: dict[Name, str | Board] = {}
    """Board, as in its topics -> its label: `ESP01: cold box`; or `hall: {name: Hall 3/0x00158d, label: hall}`."""
    availability: list[Availability] = []
    """A board that is offline is DISCONNECTED, and its values are STALE."""
    values: dict[Name, SensorValue]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        named = (*self.values.values(), *self.availability)
        if not self.sensors and any(SENSOR in one.topic for one in named):
            raise ValueError("topics with {sensor} need the boards listed under `sensors`")
        return self

    @property
    def boards(self) -> Mapping[str, Board]:
        """Channel -> its board."""
        return {
            channel: board if isinstance(board, Board) else Board(name=channel, label=board)
            for channel, board in self.sensors.items()
        }

    def problems(self) -> Iterable[Problem]:
        """Boards of one name, and readbacks that are not in the table or of another board."""
        owners: dict[str, str] = {}
        for channel, board in self.boards.items():
            owner = owners.setdefault(board.name, channel)
            if owner != channel:
                yield ("sensors", channel), f"{board.name} is the name of {owner} already"
        for name, value in self.values.items():
            other = self.values.get(value.readback)
            if value.readback and (other is None or (SENSOR in other.topic) != (SENSOR in value.topic)):
                yield ("values", name, "readback"), f"there is no value {value.readback} beside this one"

    def unshared(self) -> Iterator[Unshared]:
        """Its client id at the broker."""
        return self.client_ids()


def _wildcards(topic: str) -> Iterable[Problem]:
    for level in topic.split("/"):
        for sign in "+#":
            if sign in level and level != sign:
                yield ("topic",), f"{sign} stands for whole levels, between slashes; got {level!r}"


def _fits(kind: str, value: Plain) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, (int, float)) and not isinstance(value, bool)

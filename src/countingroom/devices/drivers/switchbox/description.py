"""The section of a switchbox: its serial line, or its broker and topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from countingroom.devices.drivers.mqtt.description import BrokerKeys, FixedTopic
from countingroom.devices.section import Address, DeviceSection, Problem, Silence, Unshared
from countingroom.devices.serial.address import socket_problem

Topic = Annotated[FixedTopic, Field(min_length=1)]


class SwitchboxMqtt(BrokerKeys):
    """The broker by which a switchbox is reached, and its topics."""

    command_topic: Topic = "SB/cmd"
    """Where commands are published."""
    status_topic: Topic = "SB/status"
    """Where the box publishes its status."""


class SwitchboxSection(DeviceSection):
    """A switchbox of 48 channels, on a serial line (`port`) or on an MQTT broker (`mqtt`)."""

    driver: Literal["switchbox"] = "switchbox"
    port: Address | None = None
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port` of a serial server."""
    baudrate: Annotated[int, Field(gt=0)] = 115200
    bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    rtscts: bool = False
    read_gap: Silence = 0.02
    """Silence after an answer. A line that comes twice arrives in it."""
    write_gap: Silence = 0.05
    """Silence after a command."""
    mqtt: SwitchboxMqtt | None = None
    """In place of `port`."""
    labels: dict[str, str] = {}
    """Number of a channel -> what is connected to it: `{"7": sensor 3}`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.port is None) == (self.mqtt is None):
            raise ValueError("give port (a serial line) or mqtt (a broker), and not both")
        return self

    def problems(self) -> Iterable[Problem]:
        """A malformed address of a serial server, one topic for both directions, and labels of channels that are not
        there."""
        if self.port is not None and (problem := socket_problem(self.port)):
            yield ("port",), problem
        if self.mqtt is not None and self.mqtt.command_topic == self.mqtt.status_topic:
            yield ("mqtt", "status_topic"), "commands and status have the same topic"
        for number in self.labels:
            if not (number.isascii() and number.isdecimal() and str(int(number)) == number and 1 <= int(number) <= 48):
                yield ("labels", number), f"the channels are 1 to 48; got {number!r}"

    def unshared(self) -> Iterator[Unshared]:
        """Its client id at the broker."""
        if self.mqtt is not None:
            yield from self.mqtt.client_ids()

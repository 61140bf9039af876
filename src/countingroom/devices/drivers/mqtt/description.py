"""The section of sensors on an MQTT broker: the broker, the boards, and the topic of each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from countingroom.core.yaml.section import Name, Section
from countingroom.devices.section import (
    Address,
    Deadband,
    DeviceSection,
    Precision,
    Problem,
    Silence,
    Unshared,
    disorder,
)

SENSOR = "{sensor}"


class SensorValue(Section):
    """One value a board publishes."""

    topic: Annotated[str, Field(min_length=1)]
    """`{sensor}/sensors/#/DS/temp`: `{sensor}` stands for each board in turn, `+` for one level, `#` for any number
    of levels (also in the middle). Without `{sensor}` the value belongs to the device itself."""
    field: str = ""
    """Where the value is in a JSON payload: `temp`, `data.0.value`. Empty: the payload is the bare value."""
    type: Literal["float", "int", "bool", "string"] = "float"
    unit: str = ""
    """`degC`, `percent`, `ppm`."""
    label: str = ""
    description: str = ""
    precision: Precision = 2
    deadband: Deadband = 0.0
    low: float | None = None
    """A lower value is UNCERTAIN."""
    high: float | None = None
    """A higher value is UNCERTAIN."""
    stale_after: Silence = 60.0
    """Without a message for this long, the value is STALE. 0: never."""

    def problems(self) -> Iterable[Problem]:
        """Topics that no broker accepts, and limits in the wrong order."""
        yield from disorder(self)
        if self.type in ("bool", "string"):
            for key in ("low", "high"):
                if getattr(self, key) is not None:
                    yield (key,), f"{key} is for numbers; this is {self.type}"
        for level in self.topic.split("/"):
            for sign in "+#":
                if sign in level and level != sign:
                    yield ("topic",), f"{sign} stands for whole levels, between slashes; got {level!r}"


class MqttSensorsSection(DeviceSection):
    """Sensor boards that publish on an MQTT broker."""

    driver: Literal["mqtt"]
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
    sensors: dict[Name, str] = {}
    """Board, as in its topics -> its label: `ESP01: cold box`."""
    values: dict[Name, SensorValue]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        if not self.sensors and any(SENSOR in value.topic for value in self.values.values()):
            raise ValueError("topics with {sensor} need the boards listed under `sensors`")
        return self

    def unshared(self) -> Iterator[Unshared]:
        """Its client id at the broker."""
        if self.client_id:
            yield Unshared(
                key="client_id",
                value=self.client_id,
                within=("mqtt", self.host, self.port),
                reason="the broker disconnects one when the other connects; give each its own",
            )

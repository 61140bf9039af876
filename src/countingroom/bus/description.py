"""Law: the section `bus` says where the corridor is: the site's own by its URL, or one that we run ourselves.

Secrets are references, a file or the name of an environment variable, never values.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from countingroom.bus.streams import STORE_BYTES
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.section import Name, Section

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_AMOUNT = re.compile(r"\s*([0-9]+)\s*([A-Za-z]*)\s*")
_LEVEL = re.compile(r"[^\s./#+*>]+|\+|\*")


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _AMOUNT.fullmatch(value)
    if match and match[2] in _UNITS:
        return int(match[1]) * _UNITS[match[2]]
    raise ValueError(f"an amount of data is a number with one of MB, GB, MiB, GiB, such as 4 GiB; got {value!r}")


def _topic(value: str) -> str:
    levels = value.split("/")
    if levels[-1] == "#":
        levels = levels[:-1]
    if not all(_LEVEL.fullmatch(level) for level in levels) or value.startswith("$"):
        raise ValueError(
            f"a topic has levels between /, with + for one of any name and a closing # for the rest, and no dots, "
            f"spaces or leading $; got {value!r}"
        )
    return value


Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=int | str), Field(ge=64 << 20)]
"""An amount of data on disk, written as `500 MB` or `4 GiB`."""

Topic = Annotated[str, AfterValidator(_topic)]
"""An MQTT topic filter: `sensors/#`, `boards/+/temperature`."""


class Credentials(Section):
    """A password that is kept elsewhere."""

    password_file: Path | None = None
    """A file whose first line is the password."""
    password_env: str = ""
    """The environment variable that holds it."""

    @model_validator(mode="after")
    def _one_place(self) -> Credentials:
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        return self

    def password(self) -> str:
        """The password itself; ConfigurationError when it is not where it should be."""
        if self.password_file:
            try:
                return self.password_file.read_text().partition("\n")[0]
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"the password cannot be read: {error}", source="bus") from error
        if self.password_env:
            if value := os.environ.get(self.password_env):
                return value
            raise ConfigurationError(
                f"the environment variable {self.password_env} is not set",
                source="bus",
                suggestion=f"export {self.password_env} before the start",
            )
        return ""


class MqttUser(Credentials):
    """Who may come in over MQTT, and what it may do there. Everything not listed is refused."""

    name: Name
    publish: list[Topic] = []
    subscribe: list[Topic] = []

    @model_validator(mode="after")
    def _has_password(self) -> MqttUser:
        if not self.password_file and not self.password_env:
            raise ValueError("an MQTT user needs password_file or password_env")
        return self


class Mqtt(Section):
    """A door for field devices, ESP boards, Node-RED: MQTT 3.1.1."""

    host: str = "127.0.0.1"
    """Where to listen: loopback, unless boards on the network are to come in (`0.0.0.0`)."""
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    """0: any free one, remembered."""
    users: list[MqttUser]

    @model_validator(mode="after")
    def _distinct(self) -> Mqtt:
        names = [user.name for user in self.users]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"users named twice: {', '.join(twice)}")
        return self


class BusSection(Credentials):
    """The corridor that everything meets on."""

    url: str = ""
    """The site's NATS servers (`nats://host:4222`, several with commas); empty: we run one on this machine."""
    user: str = ""
    """For the site's servers."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Of our own server, on loopback. 0: any free one, remembered."""
    max_bytes: Bytes = STORE_BYTES
    """What streams may take on disk altogether; the oldest readings go when it is full."""
    mqtt: Mqtt | None = None
    """Off unless asked for."""

    @model_validator(mode="after")
    def _own_server(self) -> BusSection:
        if self.url and self.mqtt:
            raise ValueError("mqtt is for our own server; with url, let the site's servers listen to MQTT")
        return self

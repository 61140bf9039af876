"""The section `bus` of the description: the URL of the site's NATS servers, or the settings of the embedded server.

Passwords are given as references, a file or the name of an environment variable, never as values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from countingroom.bus.streams import STORE_BYTES
from countingroom.core.errors import ConfigurationError
from countingroom.core.subjects import ROOTS, is_agent_user
from countingroom.core.yaml.section import Name, Section
from countingroom.departments import roles

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
            f"a topic has levels separated by /, + for any one level, # at the end for all further levels, and no "
            f"dots, spaces or leading $; got {value!r}"
        )
    return value


Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=int | str), Field(ge=64 << 20)]
"""An amount of data on disk, written as `500 MB` or `4 GiB`."""

Topic = Annotated[str, AfterValidator(_topic)]
"""An MQTT topic filter: `sensors/#`, `boards/+/temperature`."""


class Credentials(Section):
    """A reference to a password."""

    password_file: Path | None = None
    """A file whose first line is the password."""
    password_env: str = ""
    """The environment variable with the password."""

    @model_validator(mode="after")
    def _one_place(self) -> Credentials:
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        return self

    def password(self) -> str:
        """The password itself, empty when none is configured; ConfigurationError when it cannot be read."""
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


DEFAULT_CONNECTIONS = 16
"""Of an MQTT user."""
DEFAULT_MESSAGES_PER_S = 5000
"""Of an MQTT user. The server and the readers of boards take several times as many from all together."""


class MqttUser(Credentials):
    """An MQTT user with the topics it may publish and subscribe to. All other topics are refused."""

    name: Name
    publish: list[Topic] = []
    subscribe: list[Topic] = []
    max_connections: Annotated[int, Field(ge=1, le=512)] = DEFAULT_CONNECTIONS
    """Clients with this user at a time. It may have twice as many persistent sessions, with eight times as many
    subscriptions of quality of service 1 or 2 in them."""
    max_messages_per_s: Annotated[int, Field(ge=1)] = DEFAULT_MESSAGES_PER_S
    """Messages that all clients of this user together may publish in a second. Beyond it they are disconnected and kept
    out for 10 s, and longer when it happens again."""

    @model_validator(mode="after")
    def _has_password(self) -> MqttUser:
        if not self.password_file and not self.password_env:
            raise ValueError("an MQTT user needs password_file or password_env")
        return self

    @model_validator(mode="after")
    def _names_what_is_of_the_experiment(self) -> MqttUser:
        for topics in (self.publish, self.subscribe):
            first = {topic.partition("/")[0] for topic in topics}
            if "server" in first:
                raise ValueError("topics below server/ are for the server alone")
            if (own := sorted(first & ROOTS)) and first & {"#", "+", "*"}:
                raise ValueError(
                    f"# and + at the first level do not reach {own[0]}/, which is of the experiment: give the topics "
                    f"below {own[0]}/ to another user"
                )
        return self


class Mqtt(Section):
    """An MQTT 3.1.1 listener for field devices, ESP boards, Node-RED."""

    host: str = "127.0.0.1"
    """Address to listen on: loopback, or `0.0.0.0` for boards on the network."""
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    """0: any free port, which is kept over restarts."""
    users: list[MqttUser]

    @model_validator(mode="after")
    def _distinct(self) -> Mqtt:
        names = [user.name for user in self.users]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"duplicate users: {', '.join(twice)}")
        own = [name for name in names if name in roles() or name == "supervisor" or is_agent_user(name)]
        if own:  # the server has these users already, and does not start with two of one name
            raise ValueError(f"{own[0]} is the name of a process of the experiment on its bus: choose another name")
        return self


class Listen(Section):
    """Where the embedded server takes connections from other computers, for services of the fleet."""

    address: Annotated[str, Field(min_length=1)]
    """The name or address of this computer as the others reach it. The certificate is for this name."""
    host: str = "0.0.0.0"
    """Address to listen on; loopback stays among them, so it is that of all interfaces."""
    certificate: Path | None = None
    """A file with the certificate of the server (PEM), relative to the description."""
    key: Path | None = None
    """The file with its private key."""
    ca: Path | None = None
    """A file with the authority that signed the certificate. Services are given it."""
    insecure: bool = False
    """Without TLS: passwords and data go over the network as they are."""

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """A connection that would not be encrypted, or not checked."""
        named = {"certificate": self.certificate, "key": self.key, "ca": self.ca}
        missing = [name for name, file in named.items() if not file]
        if self.insecure and len(missing) < len(named):
            yield ("insecure",), "it has a certificate: leave insecure out"
        elif missing and not self.insecure:
            yield (missing[0],), "give certificate, key and ca; insecure: true accepts that passwords are not encrypted"

    def warnings(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is allowed and dangerous."""
        if self.insecure:
            yield ("insecure",), "passwords and data of services go over the network as they are: use a certificate"

    def below(self, directory: Path) -> Listen:
        """The same with absolute paths, where they are relative to this directory."""
        files = {"certificate": self.certificate, "key": self.key, "ca": self.ca}
        return self.model_copy(update={name: (directory / file).absolute() for name, file in files.items() if file})


class BusSection(Credentials):
    """The message bus of the experiment."""

    url: str = ""
    """The site's NATS servers (`nats://host:4222`, several separated by commas); empty: the embedded server."""
    user: str = ""
    """User name for the site's servers, the same for all roles."""
    users_file: Path | None = None
    """A file with a user and a password for each role on the site's servers, as `countingroom init` writes it."""
    creds_file: Path | None = None
    """A credentials file (JWT and key) for the site's servers; needs the Python package nkeys."""
    nkey_file: Path | None = None
    """A file with the seed of an nkey for the site's servers; needs the Python package nkeys."""
    tls_ca: Path | None = None
    """A file with the certificates that sign those of the site's servers (PEM); the link is then encrypted."""
    tls_certificate: Path | None = None
    """A file with the certificate of this client (PEM), for servers that ask for one."""
    tls_key: Path | None = None
    """The file with its private key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the embedded server, on loopback. 0: any free port, which is kept over restarts."""
    max_bytes: Bytes = STORE_BYTES
    """Disk space for all streams together; when it is full, the oldest readings are deleted."""
    mqtt: Mqtt | None = None
    """The MQTT listener of the embedded server; off when missing."""
    listen: Listen | None = None
    """Other computers may connect to the embedded server; loopback alone when missing."""

    @model_validator(mode="after")
    def _own_server(self) -> BusSection:
        if self.url and self.mqtt:
            raise ValueError("mqtt works only with the embedded server; with url, use the MQTT of the site's servers")
        if self.url and self.listen:
            raise ValueError("listen is for the embedded server: services reach the servers of the site by url")
        return self

    @model_validator(mode="after")
    def _one_login(self) -> BusSection:
        ways = {
            "user": self.user,
            "users_file": self.users_file,
            "creds_file": self.creds_file,
            "nkey_file": self.nkey_file,
        }
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        own = [name for name in (*given, *(["tls_ca"] if self.tls_ca else [])) if name != "user"]
        if own and not self.url:
            raise ValueError(f"{own[0]} is for the servers of the site: give url, or leave it out")
        return self

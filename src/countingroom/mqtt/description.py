"""Parts of the description that departments at a broker share: the broker, and the roles of its commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from countingroom.core.policy import Principal, Role
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Section

Problem = tuple[tuple[str | int, ...], str]

_ADDRESS = re.compile(r"(mqtts?)://(\[[0-9A-Fa-f:.]+\]|[^/\s:@]+)(?::([0-9]{1,5}))?/?")
_PORTS = {"mqtt": 1883, "mqtts": 8883}

TargetPattern = Annotated[str, Field(pattern=r"^(\*|device\.[A-Za-z0-9_\-*?.]+)$")]
"""A device, or a pattern of devices: `device.caen`, `device.*`."""
RoleWord = Literal["viewer", "shifter", "expert", "administrator"]


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if not match or not 1 <= int(match[3] or 1) <= 65535:
        raise ValueError(f"a broker is written mqtt://HOST:1883, or mqtts://HOST:8883 with TLS; got {value!r}")
    return value


class MqttBroker(Section):
    """A broker of the site."""

    address: Annotated[str, AfterValidator(_address)]
    """`mqtts://broker.example.org:8883` with TLS, `mqtt://…` without."""
    user: str = ""
    password: SecretReference | None = None
    """Where its password is: `{ file: … }` or `{ env: … }`."""
    ca: str = ""
    """File of the authority that signed the broker's certificate; those of the machine where empty."""

    @property
    def place(self) -> tuple[str, int, bool]:
        """Host, port, and whether with TLS."""
        match = _ADDRESS.fullmatch(self.address)
        if match is None:
            raise LookupError(self.address)  # it is validated
        return match[2].strip("[]"), int(match[3] or _PORTS[match[1]]), match[1] == "mqtts"

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        if self.password and not self.user:
            yield ("password",), "a password belongs to a user, which is not given"
        if self.ca and not self.address.startswith("mqtts:"):
            yield ("ca",), "ca is for an address with mqtts://"


def principals_of(name: str, roles: Mapping[str, RoleWord]) -> dict[str, Principal]:
    """The principal of this name with these roles, a viewer elsewhere, by its name."""
    known = {target: Role[word.upper()] for target, word in roles.items()}
    return {name: Principal(name=name, role=Role.VIEWER, roles=known)}

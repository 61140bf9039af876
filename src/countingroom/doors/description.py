"""The section `doors`: where the fleet answers in the actor protocol, and with which rights."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, RootModel

from countingroom.core.policy import Principal, Role
from countingroom.core.subjects import EXPERIMENT
from countingroom.core.yaml.section import Name, Seconds, Section

Problem = tuple[tuple[str | int, ...], str]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        host = ""
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"an address is written 127.0.0.1:19996 or [::1]:19996; got {value!r}")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"a host is an address or a network such as 10.1.0.0/24; got {value!r}") from None
    return value


class DoorSection(Section):
    """An address at which the fleet answers as an actor."""

    listen: Annotated[str, AfterValidator(_address)]
    """Address and port: `127.0.0.1:19996`; `0.0.0.0:19996` for all addresses of this computer."""
    protocol: Literal["legacy", "json"] = "legacy"
    """`legacy`: the lines of tron and its actors, which fliswarm speaks. `json`: one JSON object for each reply."""
    hosts: list[Annotated[str, AfterValidator(_network)]] = []
    """Addresses or networks from which it takes connections. Empty: this computer only."""
    role: Literal["viewer", "shifter", "expert", "administrator"] = "viewer"
    """The role of the principal `doors.<door>`, as which its commands are given. The protocol has no login: every
    program that may connect has it."""
    nodes: list[str] = ["*"]
    """Names or patterns of the nodes that it shows and commands."""
    services: list[str] = ["*"]
    """Names or patterns of the services that it shows and commands: those of the cameras."""
    reason: str = ""
    """Told with a node that is disabled here; empty: that it was disabled at this door."""
    images: Path | None = None
    """The folder below which `simulate` finds its files. Without it there is no `simulate`."""
    deadline: Annotated[Seconds, Field(gt=0, le=86_400)] = 600.0
    """A command that has not ended after this time fails."""
    status_every: Annotated[Seconds, Field(ge=1, le=86_400)] | None = None
    """So often `status` is told to all connections without being asked, as fliswarm does every 300 s."""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def networks(self) -> list[Network]:
        """Where its clients may be."""
        return [ipaddress.ip_network(one) for one in self.hosts or ("127.0.0.0/8", "::1/128")]

    @property
    def is_local(self) -> bool:
        """Whether this computer alone reaches it."""
        return ipaddress.ip_address(self.place[0]).is_loopback


class DoorsSection(RootModel[dict[Name, DoorSection]]):
    """Name of the actor -> where and how the fleet answers under it."""

    root: dict[Name, DoorSection] = {}

    file_names: ClassVar[tuple[tuple[str, ...], ...]] = (("*", "images"),)

    @property
    def in_use(self) -> bool:
        """Whether there is any."""
        return bool(self.root)

    @property
    def principals(self) -> Mapping[str, Principal]:
        """Door -> the principal of its commands."""
        return {
            name: Principal(name=f"doors.{name}", role=Role.VIEWER, roles={EXPERIMENT: Role[door.role.upper()]})
            for name, door in self.root.items()
        }

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        seen: dict[int, str] = {}
        for name, door in self.root.items():
            port = door.place[1]
            if port and (other := seen.setdefault(port, name)) != name:
                yield (name, "listen"), f"{other} listens on port {port} already"
            if not door.is_local and not door.hosts:
                yield (
                    (name, "hosts"),
                    "the protocol has no login: say which hosts may connect, 0.0.0.0/0 for every one",
                )

    def warnings(self) -> Iterator[Problem]:
        """What is allowed and dangerous."""
        for name, door in self.root.items():
            if door.role != "viewer" and any(one.num_addresses > 1 and not one.is_loopback for one in door.networks):
                yield (
                    (name, "hosts"),
                    f"every program of {', '.join(door.hosts)} may act as {door.role}: name single hosts",
                )

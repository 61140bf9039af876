"""The section `pvs` of the description: which points are served as process variables, under which names, and where."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from countingroom.core.policy import Principal, Role
from countingroom.core.yaml.section import Name, Section
from countingroom.pvs.access import ANY_HOST, WriteRule

Problem = tuple[tuple[str | int, ...], str]
_FIELDS = ("experiment", "device", "point")
_FIELD = re.compile(r"\{([^{}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_\-:.\[\]<>;]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?")
_USER = re.compile(r"[^\s\"\\(){},#]{1,60}")
Port = Annotated[int, Field(ge=1, le=65535)]
Pattern = Annotated[str, Field(min_length=1)]
Word = Literal["viewer", "shifter", "expert", "administrator"]
Target = Annotated[str, Field(pattern=r"^(\*|device\.[A-Za-z0-9_\-*?.]+)$")]


def _host(value: str) -> str:
    if value != ANY_HOST and not _HOST.fullmatch(value):
        raise ValueError(f"a host is an IPv4 address, a name, or {ANY_HOST}; got {value!r}")
    return value


def _user(value: str) -> str:
    if not value.isprintable() or not _USER.fullmatch(value):
        raise ValueError(f"a user name has no spaces, quotes, commas or brackets; got {value!r}")
    return value


class PvWriteRule(Section):
    """Clients of EPICS that may write points, and with which rights."""

    points: Annotated[list[Pattern], Field(min_length=1)]
    """Patterns of the points: `"psu.*.hv_setV"`. Those of them that can be written are writable for these clients."""
    hosts: Annotated[list[Annotated[str, AfterValidator(_host)]], Field(min_length=1)]
    """IPv4 addresses or names of the hosts of these clients; `"*"`: every host that reaches the address."""
    users: list[Annotated[str, AfterValidator(_user)]] = []
    """User names that these clients give. EPICS does not prove them. Empty: every one."""
    roles: Annotated[dict[Target, Word], Field(min_length=1)]
    """Device or pattern of devices (`device.psu`, `device.*`) -> the role of the principal `pvs.<rule>` there. What can
    harm needs `expert`, all else `shifter`."""


class PvsSection(Section):
    """Points as process variables of EPICS. They can be read, and written where a rule says so."""

    points: list[Pattern] = []
    """Patterns of the points to serve: `"*"` for all, `"caen.*.hv_vMon"`. Empty: none are served."""
    write: dict[Name, PvWriteRule] = {}
    """Who may write which of them. The first rule that has a point counts; without one it is read only."""
    names: str = "{experiment}:{device}:{point}"
    """The name of a process variable; the dot in the name of a point becomes a colon."""
    interface: str = "127.0.0.1"
    """The IPv4 address at which they are served; `0.0.0.0`: all of this machine, for every client."""
    port: Port = 5064
    """Of Channel Access, UDP and TCP."""
    pva_port: Port = 5075
    """Of PVAccess, TCP."""
    pva_search_port: Port = 5076
    """Of PVAccess, for searches by UDP."""

    @property
    def in_use(self) -> bool:
        """Whether any point is to be served."""
        return bool(self.points)

    @property
    def rules(self) -> dict[str, WriteRule]:
        """Name -> rule, with the principal as which its puts act."""
        return {
            name: WriteRule(
                points=tuple(rule.points),
                hosts=tuple(rule.hosts),
                users=tuple(rule.users),
                principal=Principal(
                    name=f"pvs.{name}",
                    role=Role.VIEWER,
                    roles={target: Role[word.upper()] for target, word in rule.roles.items()},
                ),
            )
            for name, rule in self.write.items()
        }

    @property
    def principals(self) -> list[str]:
        """Names of the principals as which commands are sent."""
        return [rule.principal.name for rule in self.rules.values()]

    def problems(self) -> Iterator[Problem]:
        """A template without the parts that tell points apart, or with letters that no name has."""
        found = _FIELD.findall(self.names)
        for field in found:
            if field not in _FIELDS:
                known = ", ".join(f"{{{name}}}" for name in _FIELDS)
                yield ("names",), f"{{{field}}} is not known; a name is made of {known} and letters"
        for field in ("device", "point"):
            if field not in found:
                yield ("names",), f"without {{{field}}} several points have one name"
        if not _PLAIN.fullmatch(_FIELD.sub("", self.names)):
            yield ("names",), "a name has letters, digits and _ - : . [ ] < > ; only"
        try:
            ipaddress.IPv4Address(self.interface)
        except ValueError:  # the servers would take every address in place of one that they cannot read
            yield ("interface",), f"{self.interface!r} is no IPv4 address; give one of this machine, or 0.0.0.0 for all"
        if self.pva_search_port == self.port:
            yield ("pva_search_port",), f"{self.port} is the port of Channel Access already"
        if self.pva_port == self.port:
            yield ("pva_port",), f"{self.pva_port} is the port of Channel Access already"

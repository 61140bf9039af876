"""The section `pvs` of the description: which points are served as process variables, under which names, and where."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from countingroom.core.yaml.section import Section

Problem = tuple[tuple[str | int, ...], str]
_FIELDS = ("experiment", "device", "point")
_FIELD = re.compile(r"\{([^{}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_\-:.\[\]<>;]*")
Port = Annotated[int, Field(ge=1, le=65535)]


class PvsSection(Section):
    """Points as process variables of EPICS. They can be read only: a value is set with the rights of a user, here or in
    the console."""

    points: list[Annotated[str, Field(min_length=1)]] = []
    """Patterns of the points to serve: `"*"` for all, `"caen.*.hv_vMon"`. Empty: none are served."""
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

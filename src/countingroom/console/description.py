"""Law: what a person may say about the console in the description; the console has no login yet, so it stays at home.

The page and the API listen on a loopback address only. Anything else is refused here, not warned about.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from countingroom.core.description import Seconds, Section


def is_loopback(host: str) -> bool:
    """Whether the name or address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _at_home(host: str) -> str:
    if not is_loopback(host):
        raise ValueError(
            f"the console listens on a loopback address only (127.0.0.1, ::1, localhost) until it has a login; "
            f"got {host!r}; to look from another machine, forward the port with ssh -L"
        )
    return host


class ConsoleSection(Section):
    """The console: API, live feed and pages."""

    host: Annotated[str, AfterValidator(_at_home)] = "127.0.0.1"
    """Where it listens; a loopback address."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free port, printed at start."""
    tick: Annotated[Seconds, Field(ge=0.05, le=2.0)] = 0.2
    """Between two messages of the live feed: 200 ms is five a second."""

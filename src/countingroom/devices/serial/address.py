"""The address of a serial line: a port of this machine, a pseudo terminal, or that of a serial server. Pure."""

from __future__ import annotations

import re

_SOCKET = re.compile(r"socket://[^/\s]+:\d{1,5}")


def socket_problem(address: str) -> str:
    """What is wrong with the address of a serial server; empty: nothing, and for every other kind of address."""
    if address.startswith("socket://") and not _SOCKET.fullmatch(address):
        return f"a serial server is written socket://HOST:PORT; got {address!r}"
    return ""

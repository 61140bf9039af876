"""The login of a client on the bus: its user, and how it proves to be that user."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class BusLogin(Struct, frozen=True, kw_only=True):
    """A user of the server with its password; both empty: no login."""

    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"BusLogin({self.user})"  # a password must not get into a log by a traceback


FindBusLogin = Callable[[], BusLogin]
"""Gives the login for the next connection. It is called again for each reconnection, because the passwords of the
embedded server change with each start of the bus."""

"""The login of a client on the bus: its user, and how it proves to be that user."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

URL_VARIABLE = "COUNTINGROOM_BUS_URL"
USER_VARIABLE = "COUNTINGROOM_BUS_USER"
PASSWORD_VARIABLE = "COUNTINGROOM_BUS_PASSWORD"  # noqa: S105 - its name
"""Variables of the environment by which the fleet tells a service how it reaches the bus."""


class TlsFiles(Struct, frozen=True, kw_only=True):
    """Paths of PEM files; the empty ones are not used."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


class BusLogin(Struct, frozen=True, kw_only=True):
    """A user of the server and its password or file; all empty: no login."""

    user: str = ""
    password: str = ""
    creds_file: str = ""
    """Path of a file with JWT and key, in place of a password."""
    nkey_file: str = ""
    """Path of a file with the seed of an nkey, in place of a password."""
    tls: TlsFiles | None = None
    """None: not encrypted, unless the URL begins with `tls://`."""

    def __repr__(self) -> str:
        return f"BusLogin({self.user})"  # a password must not get into a log by a traceback


FindBusLogin = Callable[[], BusLogin]
"""Gives the login for the next connection. It is called again for each reconnection, because the passwords of the
embedded server change with each start of the bus."""

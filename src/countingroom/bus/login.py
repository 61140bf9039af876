"""The login of a client on the bus: its user, and how it proves to be that user."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

URL_VARIABLE = "COUNTINGROOM_BUS_URL"
USER_VARIABLE = "COUNTINGROOM_BUS_USER"
CA_VARIABLE = "COUNTINGROOM_BUS_CA"
PASSWORD_VARIABLE = "COUNTINGROOM_BUS_PASSWORD"  # noqa: S105 - its name
"""Variables of the environment by which the fleet tells a service how it reaches the bus."""


class TlsFiles(Struct, frozen=True, kw_only=True):
    """Paths of PEM files; the empty ones are not used."""

    ca: str = ""
    authority: str = ""
    """The certificates themselves, in place of the file `ca`."""
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


def login_of_environment(environment: Mapping[str, str]) -> BusLogin:
    """The login of a service of the fleet."""
    authority = environment.get(CA_VARIABLE, "")
    return BusLogin(
        user=environment.get(USER_VARIABLE, ""),
        password=environment.get(PASSWORD_VARIABLE, ""),
        tls=TlsFiles(authority=authority) if authority else None,
    )


FindBusLogin = Callable[[], BusLogin]
"""Gives the login for the next connection. It is called again for each reconnection, because the passwords of the
embedded server change with each start of the bus."""

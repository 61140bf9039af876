"""The section `console` of the description.

Without a login the console listens on a loopback address only, and with a login on another one only with TLS, behind a
proxy that speaks TLS, or with `insecure: true`; anything else is a mistake in the description.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.yaml.section import Seconds, Section


def is_loopback(host: str) -> bool:
    """Whether the name or address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ConsoleSection(Section):
    """The console: API, live feed and pages."""

    login: Literal["none", "local"] = "none"
    """`local`: by accounts in the database. `none`: every user of this machine may do everything, and no other machine
    has access."""
    host: str = "127.0.0.1"
    """The address it listens on; without a login a loopback address."""
    names: tuple[str, ...] = ()
    """Names under which browsers reach it besides `host` and the loopback names: `control.example.org`. Requests
    for any other name are refused."""
    behind_proxy: tuple[str, ...] = ()
    """Addresses or networks of trusted proxies: `127.0.0.1`, `10.1.0.0/24`. Address and scheme of a client are taken
    from their headers `X-Forwarded-For` and `X-Forwarded-Proto`; requests that do not pass them are refused, except
    from this machine."""
    tls_certificate: Path | None = None
    """A file with the certificate and its chain (PEM); with `tls_key` the console serves HTTPS."""
    tls_key: Path | None = None
    """The file with its private key, readable only by the user of the console."""
    insecure: bool = False
    """Serve other machines without TLS: passwords and cookies can be read on the network. Every page says so."""
    idle: Annotated[Seconds, Field(ge=60)] = 8 * 3600.0
    """A session that is not used ends after this long. An open page that only shows values does not count as use."""
    session: Annotated[Seconds, Field(ge=60)] = 3 * 86_400.0
    """A session ends after this long in any case."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free port, printed at start."""
    tick: Annotated[Seconds, Field(ge=0.05, le=2.0)] = 0.2
    """Between two messages of the live feed: 200 ms is five a second."""

    def problems(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """Combinations of values that are not allowed."""
        if self.login == "none" and not is_loopback(self.host):
            yield (
                ("host",),
                f"the console listens on a loopback address only (127.0.0.1, ::1, localhost) while it has no login; "
                f"got {self.host!r}; write login: local, or forward the port with ssh -L to look from another machine",
            )
        if self.login == "none" and self.names:
            yield ("names",), "other names than this machine's need a login; write login: local"
        if self.login == "local" and self.host in _ANY and not self.names:
            yield ("names",), f"on {self.host} say by which names browsers reach the console: [control.example]"
        if self.is_exposed and not self.insecure:
            yield (
                ("host",),
                f"with host {self.host!r} passwords are sent to the console without encryption; give tls_certificate "
                f"and tls_key, or put it behind a TLS proxy with behind_proxy; insecure: true accepts the risk, and "
                f"every page says so",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            yield ("tls_certificate" if self.tls_key else "tls_key",), "certificate and key belong together"

        for address in self.behind_proxy:
            if not _is_network(address):
                yield ("behind_proxy",), f"{address!r} is no address and no network; write 127.0.0.1 or 10.1.0.0/24"
        if self.login == "none" and self.behind_proxy:
            yield ("behind_proxy",), "a proxy gives others access, which needs a login; write login: local"

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach it without TLS."""
        return self.login == "local" and not (is_loopback(self.host) or self.tls_certificate or self.behind_proxy)

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key; None: plain HTTP."""
        return (self.tls_certificate, self.tls_key) if self.tls_certificate and self.tls_key else None

    def address(self, port: int) -> str:
        """The URL for a browser."""
        if self.behind_proxy and self.names:
            return f"https://{_in_url(self.names[0])}"
        host = self.names[0] if self.host in _ANY and self.names else self.host
        return f"{'https' if self.tls else 'http'}://{_in_url(host)}:{port}"

    @property
    def answers_for(self) -> frozenset[str]:
        """The host names it answers for, as in the header Host."""
        own = {self.host} if self.host not in _ANY else set[str]()
        return frozenset({"localhost", "127.0.0.1", "[::1]"} | {_in_url(name.lower()) for name in (*self.names, *own)})


_ANY = frozenset({"0.0.0.0", "::", ""})


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name

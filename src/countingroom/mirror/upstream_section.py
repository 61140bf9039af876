"""The parts `store` and `upstreams` of the section `mirror`: where what leaves is kept, and what is read of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from countingroom.core.commands.upstreams import READS, UPSTREAMS
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.storage.description import DatabaseAddress

_Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$")]
_LOCAL = ("localhost", "127.0.0.1", "::1")
FILE = "mirror/public.sqlite"


class PublicStoreSection(Section):
    """The public store: a database of its own, which holds nothing but what may leave."""

    url: DatabaseAddress = ""
    """`sqlite:////path/of/file` or `postgresql://user@host/database`; empty: a SQLite file in the data folder. The
    password of PostgreSQL is read from `~/.pgpass` or from the file that `PGPASSFILE` names."""
    secret: SecretReference | None = None
    """In place of `url`: where the whole URL stands, with its password."""
    keep: Annotated[Seconds, Field(ge=3600)] = 2 * 31_557_600.0
    """What is older is removed. Present states stay."""
    documents: Annotated[int, Field(ge=1)] = 500_000
    """So many of the newest documents of each set and kind are kept."""
    records: Annotated[int, Field(ge=1)] = 1_000_000
    """So many of the newest states of each kind of record are kept."""

    def address(self, data: Path) -> str:
        """The URL of the public store of an experiment with this data folder. ConfigurationError where its secret
        cannot be read."""
        if self.secret is not None:
            return self.secret.read("mirror.store")
        return self.url or f"sqlite:///{data.absolute() / FILE}"

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit together, with its place."""
        if self.url and self.secret is not None:
            yield ("secret",), "give url or secret, one of both"


class UpstreamTlsSection(Section):
    """Certificates for an upstream, as PEM files. Its own certificate is always verified."""

    ca: Path | None = None
    """The authority of its certificate; without it those of the system count."""
    certificate: Path | None = None
    """Our certificate, where it asks for one."""
    key: Path | None = None
    """The key of our certificate, where it is a file of its own."""


class ControlSection(Section):
    """What people with the role for it may do at an upstream, from the page Control room."""

    allow: Annotated[list[str], Field(json_schema_extra={"items": {"enum": [READS, *UPSTREAMS]}})] = []
    """Actions that may be sent: `get_hltd_logs`. The word `reads` stands for all that only read. What is not listed is
    refused."""
    hosts: list[_Host] = []
    """Computers that an action may name; without it `hosts` of the upstream count."""
    per_minute: Annotated[int, Field(ge=1, le=600)] = 12
    """Actions that are sent to the upstream within a minute, of all users together; more are refused."""
    timeout: Annotated[Seconds, Field(ge=0.5, le=300)] = 30.0
    """For the whole answer to an action."""

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Words that are no actions, with their places."""
        for number, one in enumerate(self.allow):
            if one != READS and one not in UPSTREAMS:
                yield ("allow", number), f"there is no action {one!r}; there are {READS}, {', '.join(UPSTREAMS)}"


class UpstreamSection(Section):
    """An upstream of the DQM^2 kind. The name of an upstream is shown outside."""

    url: str
    """Its address: `https://dqm.example.org/dqm`."""
    set: Literal["production", "playback"]
    """What its documents belong to."""
    over: Literal["http", "websocket"] = "http"
    """How it is asked."""
    hosts: list[_Host] = []
    """Computers that are read by way of it; none: itself."""
    port: Annotated[int, Field(ge=1, le=65535)] = 9215
    """Of these computers."""
    every: Annotated[Seconds, Field(ge=0.2, le=3600)] = 5.0
    """Between two questions to a computer."""
    clusters: list[Name] = []
    """Clusters whose computers are shown with their status: `production`."""
    clusters_every: Annotated[Seconds, Field(ge=1, le=3600)] = 30.0
    """Between two questions for the status of a cluster."""
    timeout: Annotated[Seconds, Field(ge=0.5, le=600)] = 30.0
    """For one answer."""
    secret: SecretReference | None = None
    """The secret that it asks for, sent as a cookie."""
    tls: UpstreamTlsSection = UpstreamTlsSection()
    """Certificates."""
    control: ControlSection = ControlSection()
    """Actions that may be sent to it; none without `allow`."""

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit together, with its place."""
        try:
            parts = urlsplit(self.url)
            host, is_whole = parts.hostname, parts.port != 0 and not (parts.query or parts.fragment or parts.username)
        except ValueError:
            parts, host, is_whole = urlsplit(""), None, False
        if parts.scheme not in ("https", "http") or not host or not is_whole:
            yield ("url",), "it is the address of an upstream: https://HOST:PORT/PATH"
        elif self.secret is not None and parts.scheme == "http" and host not in _LOCAL:
            yield ("secret",), "a secret is sent encrypted only: write https in url"
        if self.over == "websocket" and self.hosts:
            yield ("hosts",), "over a WebSocket an upstream is asked for itself alone: give no hosts, or over: http"
        if len(set(self.hosts)) < len(self.hosts):
            yield ("hosts",), "a host stands here twice: it would be read twice"
        if self.tls.key and not self.tls.certificate:
            yield ("tls", "key"), "the key belongs to a certificate: give certificate too"
        for path, text in self.control.problems():
            yield ("control", *path), text
        if not (self.hosts or self.control.hosts):
            for number, one in enumerate(self.control.allow):
                if one in UPSTREAMS and "host" in UPSTREAMS[one].takes:
                    yield (
                        ("control", "allow", number),
                        f"{one} names a computer, and none is listed: give control.hosts",
                    )

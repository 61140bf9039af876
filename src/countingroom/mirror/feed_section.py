"""The part `feed` of the section `mirror`: where what leaves goes, and how much may wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from countingroom.bus.description import Bytes
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Seconds, Section

Problem = tuple[tuple[str | int, ...], str]
Pattern = Annotated[str, Field(min_length=1)]
_LOCAL = ("localhost", "127.0.0.1", "::1")


class FeedSection(Section):
    """The feed of what is published on the bus."""

    to: str = ""
    """The receiver outside (`countingroom mirror receive`): `https://mirror.example.org:8443`. Empty: the public store
    is written by this computer itself."""
    token: SecretReference | None = None
    """The token that the receiver knows."""
    tls_ca: Path | None = None
    """File of the authority of its certificate; without it those of the system count."""
    points: list[Pattern] = []
    """Patterns of the points whose values leave: `"chiller.*"`; `"*"` for all. Empty: none."""
    every: Annotated[Seconds, Field(ge=1, le=86400)] = 60.0
    """Between two values of a point."""
    outbox: Bytes = 1 << 30
    """What is kept on disk: records that wait, and those that left, for audits. Beyond it the oldest are dropped, never
    a present state."""

    def problems(self) -> Iterator[Problem]:
        """What does not fit together, with its place."""
        if not self.to:
            for name in ("token", "tls_ca"):
                if getattr(self, name) is not None:
                    yield (name,), f"{name} belongs to a receiver: give its address with to"
            return
        try:
            parts = urlsplit(self.to)
            host, is_whole = parts.hostname, parts.port != 0 and not (parts.query or parts.fragment or parts.username)
        except ValueError:
            parts, host, is_whole = urlsplit(""), None, False
        if parts.scheme not in ("https", "http") or not host or not is_whole:
            yield ("to",), "it is the address of a receiver: https://HOST:PORT"
        elif parts.scheme == "http" and host not in _LOCAL:
            yield ("to",), "the feed leaves encrypted only: write https; http is for this computer"
        if self.token is None:
            yield ("to",), "give the token that the receiver knows: token: { file: … } or { env: … }"

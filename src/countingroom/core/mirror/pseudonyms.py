"""Replaced names: a host is shown outside under an alias that is the same on every page and in every log line.

The alias is a keyed hash (HMAC-SHA-256) of the kind and the name, so that a table of all thinkable names does not lead
back to them without the key of the site. A key that changes with time gives other aliases after each change.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from functools import lru_cache

from countingroom.core.errors import ConfigurationError

_LEAST_BYTES = 16
_LETTERS = 8
"""40 bits: two of 1,000 names have the same alias with a probability of 5e-7."""
_LASTING = 16
_PERIOD = b"period"


class Pseudonyms:
    """Aliases under one key."""

    def __init__(self, key: bytes, *, source: str = "mirror.key", lasting: bytes = b"") -> None:
        """`lasting`: the key of aliases that do not change with time. ConfigurationError for a key that can be
        guessed."""
        if len(key) < _LEAST_BYTES:
            raise ConfigurationError(
                f"the key has {len(key)} bytes; at least {_LEAST_BYTES} are needed",
                source=source,
                code="short_key",
                suggestion="make one with `openssl rand -hex 32`, and keep it inside",
            )
        self._key = key
        self._lasting = lasting or key
        self.of = lru_cache(maxsize=20_000)(self._of)

    @property
    def keys(self) -> tuple[bytes, bytes]:
        """The key, and that of aliases that do not change with time: for a redactor in another process alone."""
        return self._key, self._lasting

    def period(self, number: int) -> Pseudonyms:
        """Aliases of one period of a key that changes with time."""
        return Pseudonyms(hmac.digest(self._key, _PERIOD + str(number).encode(), "sha256"), lasting=self._lasting)

    def lasting(self, kind: str, name: str) -> str:
        """An alias of 80 bits that is the same in every period: two of a million have the same with a probability of
        4e-13."""
        digest = hmac.digest(self._lasting, f"lasting\0{kind}\0{name}".encode(), "sha256")
        return f"{kind}-{b32encode(digest).decode().lower()[:_LASTING]}"

    def _of(self, kind: str, name: str) -> str:
        """`host-k3f7q2ab` for a name of this kind. The same with other upper and lower case, and for a host with and
        without its domain."""
        digest = hmac.digest(self._key, f"{kind}\0{canonical(kind, name)}".encode(), "sha256")
        return f"{kind}-{b32encode(digest).decode().lower()[:_LETTERS]}"


def canonical(kind: str, name: str) -> str:
    """The name as it is hashed: a host has no domain, and case does not matter."""
    folded = name.strip().casefold()
    if kind == "host" and not folded.replace(".", "").isdigit():  # an address keeps its dots
        return folded.partition(".")[0]
    return folded

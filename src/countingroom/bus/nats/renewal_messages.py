"""The messages between a process and the one that renews its leases (renewer.py): JSON lines."""

from __future__ import annotations

from msgspec import Struct

from countingroom.bus.login import BusLogin

TICK_AGE_S = 3.0
"""A parent whose event loop did not run for this time keeps no lease."""


class RenewerSettings(Struct, frozen=True, kw_only=True):
    """The first line."""

    url: str
    name: str
    login: BusLogin
    page: str
    """Path of the `RenewalPage`."""


class Keep(Struct, frozen=True, kw_only=True, tag=True):
    """Renew a key from now on."""

    name: str
    data: bytes
    ttl_s: float
    revision: int
    until: float
    slot: int
    """Of the page, for the end of the lease."""


class Free(Struct, frozen=True, kw_only=True, tag=True):
    """Renew the key no longer, and delete it."""

    name: str


class Abandon(Struct, frozen=True, kw_only=True, tag=True):
    """The last order to a process that renews for several: forget all keys of this client, and delete none."""


class Ready(Struct, frozen=True, kw_only=True, tag=True):
    """The process is connected."""


class Over(Struct, frozen=True, kw_only=True, tag=True):
    """A key that is no longer renewed: it is another holder's, or its time is over."""

    name: str


class Freed(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to `Free`."""

    name: str
    done: bool
    """False: the key is left to its TTL."""


Order = Keep | Free | Abandon
Report = Ready | Over | Freed

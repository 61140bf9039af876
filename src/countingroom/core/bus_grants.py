"""What the user of a role may do on the bus. The departments' table has one for each role; all else is refused.

Subjects may have the wildcards of NATS: `*` for one token, `>` for all further ones.
"""

from __future__ import annotations

from msgspec import Struct


class BusGrants(Struct, frozen=True, kw_only=True):
    """The permissions of a role. Its heartbeat and the commands that its row names need no grant."""

    answers: tuple[str, ...] = ()
    """Subjects of requests that it answers."""
    hears: tuple[str, ...] = ()
    """Subjects that it subscribes to."""
    sends: tuple[str, ...] = ()
    """Subjects on which it publishes and sends requests."""
    stores: tuple[str, ...] = ()
    """Subjects of a stream to which it appends."""
    states: tuple[str, ...] = ()
    """First tokens of the keys in `state` that it writes, or further ones: `partition`, `system.TRD`."""
    leases: tuple[str, ...] = ()
    """Leases that it acquires."""
    reads: tuple[str, ...] = ()
    """Streams that it reads: `readings`, `events`. It reads the state in any case."""
    positions: bool = False
    """Whether it has durable consumers, whose positions the bus keeps."""

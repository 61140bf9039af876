"""The key of one lease, written again by its holder before its time to live (TTL) is over.

The event loop of the holder uses it, or the process of renewer.py.
"""

from __future__ import annotations

import math
from contextlib import suppress

from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict
from countingroom.core.subjects import LEASE_BUCKET

RENEWALS = 5
"""In each lease time."""
_MARGIN = 1.2
"""TTL of the key on the server, in lease times."""


async def delete(store: JetStreamStore, name: str, revision: int) -> None:
    """Delete the key of a lease; Conflict when it has another revision."""
    # The deletion marker gets a TTL too. Otherwise the bucket would keep one marker for each name forever.
    headers = {"KV-Operation": "DEL", "Nats-TTL": "1s"}
    await store.write(LEASE_BUCKET, name, b"", expected=revision, headers=headers)


class LeaseKey:
    """The key, and what is known of it."""

    def __init__(
        self,
        store: JetStreamStore,
        clock: Clock,
        name: str,
        data: bytes,
        *,
        ttl_s: float,
        revision: int = 0,
        until: float = 0.0,
    ) -> None:
        self.name = name
        self.data = data
        self.ttl_s = ttl_s
        self.revision = revision
        self.until = until
        """Monotonic time at which the lease ends."""
        self.taken = False
        """Whether the key is gone, or another holder's."""
        self._store = store
        self._clock = clock

    @property
    def pause_s(self) -> float:
        """Time between two renewals."""
        return self.ttl_s / RENEWALS

    @property
    def is_over(self) -> bool:
        """Whether the lease is no longer held."""
        return self.taken or self._clock.monotonic() >= self.until

    async def write(self, expected: int) -> None:
        """Write the key; Conflict when it has another revision than the expected one."""
        before = self._clock.monotonic()
        headers = {"Nats-TTL": f"{math.ceil(self.ttl_s * _MARGIN)}s"}
        self.revision = await self._store.write(LEASE_BUCKET, self.name, self.data, expected=expected, headers=headers)
        # Counted from before the write was sent, and shorter than the TTL: this side always stops believing in the
        # lease before the server gives it to another client.
        self.until = before + self.ttl_s

    async def renew(self) -> None:
        """Write the key again, or find that the lease is over; LinkError when the server is not reached."""
        while not self.is_over:
            try:
                await self.write(self.revision)
            except Conflict:
                await self._compare_with_server()
            else:
                return

    async def free(self) -> None:
        """Delete the key, unless it is another holder's; LinkError when the server is not reached."""
        try:
            await delete(self._store, self.name, self.revision)
        except Conflict:
            last = await self._store.last(LEASE_BUCKET, self.name)
            if last and last.data == self.data:  # renewed since, by the process of which no answer came
                with suppress(Conflict):
                    await delete(self._store, self.name, last.revision)

    async def _compare_with_server(self) -> None:
        """The key has another revision than expected: go on if that is our own renewal, after its answer was lost."""
        last = await self._store.last(LEASE_BUCKET, self.name)
        if last and last.data == self.data:
            self.revision = last.revision
        elif last is None:
            self.revision = 0  # lost with the memory of the server, and no other client may take it yet: claim it again
        else:
            self.taken = True

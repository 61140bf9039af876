"""Leases on NATS: a key with a time to live (TTL), which its holder renews by writing it again.

Every write expects the revision of the last one, so that two holders cannot overwrite each other. The first revision is
the fencing token: revisions of a bucket only grow.
"""

from __future__ import annotations

import asyncio
import datetime
import math
import secrets

import msgspec
from msgspec import Struct

from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import Conflict, LinkError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.subjects import LEASE_BUCKET

_RETRY_S = 0.2
LEASE_BUCKET_BYTES = 1 << 20
GRACE_OVER = "countingroom-grace-over"
"""Metadata of a bucket that no lease was lost with: that of a start, not that of a restart after a crash."""


class LeaseContent(Struct, frozen=True):
    """The value of the key."""

    holder: str
    nonce: str
    """Random id of this acquisition.

    It distinguishes our own renewal whose answer was lost from another holder's write.
    """


def holder_of(data: bytes) -> str:
    """The holder that the value of a key names."""
    try:
        return decode_json(data, LeaseContent).holder
    except Malformed:  # a lease that cannot be read is held until it expires
        return "a holder that cannot be read"


async def release(store: JetStreamStore, name: str, revision: int) -> None:
    """Delete the key of a lease; Conflict when it has another revision."""
    # The deletion marker gets a TTL too. Otherwise the bucket would keep one marker for each name forever.
    headers = {"KV-Operation": "DEL", "Nats-TTL": "1s"}
    await store.write(LEASE_BUCKET, name, b"", expected=revision, headers=headers)


class NatsLease:
    """A lease that this client holds or held."""

    def __init__(self, store: JetStreamStore, clock: Clock, name: str, *, ttl_s: float, holder: str) -> None:
        self.name = name
        self.token = 0
        self._store = store
        self._clock = clock
        self._ttl_s = ttl_s
        self._data = msgspec.json.encode(LeaseContent(holder, secrets.token_hex(8)))
        self._revision = 0
        self._until = 0.0
        self._lost = asyncio.Event()

    @property
    def lost(self) -> bool:
        if self._clock.monotonic() >= self._until:
            self._lost.set()
        return self._lost.is_set()

    async def wait_lost(self) -> None:
        while not self.lost:
            try:
                async with timeout(self._until - self._clock.monotonic()):
                    await self._lost.wait()
            except TimeoutError:
                continue

    async def release(self) -> None:
        if not self.lost:
            self._lost.set()
            try:
                await release(self._store, self.name, self._revision)
            except Conflict:
                return  # it had expired already

    async def acquire(self) -> None:
        """Become the holder; Conflict, with the present holder, when the lease is held."""
        await self._store.bucket(
            LEASE_BUCKET,
            max_bytes=LEASE_BUCKET_BYTES,
            allow_msg_ttl=True,
            # In memory: a full disk must not end a lease. Its first sequence follows the clock, because revisions, and
            # so the fencing tokens, must grow although the bucket is lost with its server.
            storage="memory",
            first_seq=self._clock.now_ns() // 1000,
        )
        last = await self._store.last(LEASE_BUCKET, self.name)
        if last is None:
            await self._check_grace()
        if last and last.data is not None:
            holder = holder_of(last.data)
            raise Conflict(f"{self.name} is held by {holder}", source="bus", code="held", evidence={"holder": holder})
        self._until = math.inf
        try:
            await self._write(last.revision if last else 0)
        except Conflict:
            # Another client was faster, or the deletion marker of a release expired between read and write.
            await self.acquire()
        self.token = self._revision

    async def _check_grace(self) -> None:
        """Conflict while a holder from before a restart of the server may still believe in its lease."""
        info = await self._store.info(f"KV_{LEASE_BUCKET}")
        if info is None or GRACE_OVER in info["config"].get("metadata", {}):
            return
        age_s = (_time(info["ts"]) - _time(info["created"])).total_seconds()
        if age_s < self._ttl_s:
            raise Conflict(
                f"{self.name} was lost when the bus server restarted; its holder may claim it for {self._ttl_s:g} s",
                source="bus",
                code="held",
                evidence={"holder": "", "age_s": age_s},
            )

    async def keep(self) -> None:
        """Renew the lease until it is lost."""
        while not self.lost:
            await self._clock.sleep(self._ttl_s / 3)
            while not self.lost:
                try:
                    await self._write(self._revision)
                    break
                except Conflict:
                    await self._compare_with_server()
                except LinkError:
                    await self._clock.sleep(min(_RETRY_S, self._ttl_s / 10))

    async def _compare_with_server(self) -> None:
        """The key has another revision than expected: continue if that is our own renewal whose answer was lost."""
        try:
            last = await self._store.last(LEASE_BUCKET, self.name)
        except LinkError:
            return
        if last and last.data == self._data:
            self._revision = last.revision
        elif last is None and not self.lost:
            self._revision = 0  # lost with the memory of the server, and nobody else may take it yet: claim it again
        else:
            self._lost.set()

    async def _write(self, expected: int) -> None:
        before = self._clock.monotonic()
        headers = {"Nats-TTL": f"{math.ceil(self._ttl_s)}s"}
        self._revision = await self._store.write(
            LEASE_BUCKET, self.name, self._data, expected=expected, headers=headers
        )
        # Counted from before the write was sent: the server starts its TTL later, so this side always stops believing
        # in the lease before the server gives it to another client.
        self._until = before + self._ttl_s


def _time(text: str) -> datetime.datetime:
    """A time as the server writes it."""
    return datetime.datetime.fromisoformat(text)

"""Leases on NATS: a key with a time to live (TTL), which its holder renews by writing it again.

Every write expects the revision of the last one, so that two holders cannot overwrite each other. The first revision is
the fencing token: revisions of a bucket only grow. renewal_process.py renews outside the event loop of the holder.
"""

from __future__ import annotations

import asyncio
import datetime
import secrets

import msgspec
from msgspec import Struct

from countingroom.bus.nats.lease_key import LeaseKey
from countingroom.bus.nats.renewal_process import RenewalProcess
from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import Conflict, LinkError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.subjects import LEASE_BUCKET

_RETRY_S = 0.2
_TRIES = 10
"""So often the key may change between the read and the write of one acquisition."""
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


class NatsLease:
    """A lease that this client holds or held."""

    def __init__(
        self,
        store: JetStreamStore,
        clock: Clock,
        name: str,
        *,
        ttl_s: float,
        holder: str,
        process: RenewalProcess | None = None,
        former: NatsLease | None = None,
    ) -> None:
        """`process` renews the lease; without one, or while it does not run, the event loop does. `former`: an earlier
        lease of this client with the same name."""
        self.name = name
        self.token = 0
        self._store = store
        self._clock = clock
        self._ttl_s = ttl_s
        self._process = process
        self._former = former
        data = msgspec.json.encode(LeaseContent(holder, secrets.token_hex(8)))
        self._key = LeaseKey(store, clock, name, data, ttl_s=ttl_s)
        self._lost = asyncio.Event()

    @property
    def lost(self) -> bool:
        if not self._lost.is_set() and self._clock.monotonic() >= self._until:
            self._lost.set()
            if self._process:
                self._process.drop(self.name)  # otherwise the renewal process would keep a lease that is given up here
        return self._lost.is_set()

    @property
    def is_held(self) -> bool:
        return not self._lost.is_set() and self._clock.monotonic() < self._until

    @property
    def _until(self) -> float:
        renewed = self._process.until(self.name) if self._process else None
        return self._key.until if renewed is None else renewed

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
            if not (self._process and await self._process.free(self.name)):
                await self._key.free()

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
        for _ in range(_TRIES):
            last = await self._store.last(LEASE_BUCKET, self.name)
            if last is None:
                await self._check_grace()
            if last and last.data is not None and not self._follows(last.data):
                raise self._held_by(holder_of(last.data))
            try:
                await self._key.write(last.revision if last else 0)
            except Conflict:
                # Another client was faster, or the deletion marker of a release expired between read and write.
                continue
            self.token = self._key.revision
            self._former = None
            return
        raise self._held_by("clients that acquire and release it all the time")

    def _held_by(self, holder: str) -> Conflict:
        return Conflict(f"{self.name} is held by {holder}", source="bus", code="held", evidence={"holder": holder})

    def _follows(self, data: bytes) -> bool:
        """Whether the key is that of the former lease, which this client has given up."""
        # A server that stood still applies late the renewals that it got meanwhile, so that the key lives on although
        # its holder has counted the lease as lost. Waiting for its end left its targets without an owner for 6 s.
        return self._former is not None and self._former.lost and data == self._former._key.data

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
        key = self._key
        while not self.lost:
            if self._process:
                await self._process.keep(key, wait_s=key.pause_s)
            else:
                await self._clock.sleep(key.pause_s)
            if key.taken:
                self._lost.set()
            await self._renew()

    async def _renew(self) -> None:
        while not self.lost:
            try:
                await self._key.renew()
            except LinkError:
                await self._clock.sleep(min(_RETRY_S, self._key.pause_s / 2))
            else:
                return


def _time(text: str) -> datetime.datetime:
    """A time as the server writes it."""
    return datetime.datetime.fromisoformat(text)

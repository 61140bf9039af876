"""Keeps the buckets `state` and `leases` of the embedded server in memory, so that control does not need the disk.

A server that ends loses them. The supervisor of the server therefore makes them again, before any other client can,
and puts back the state, of which it has a copy. The copy is also in a file: it outlives an orderly stop and, but for
its last second, a crash of the supervisor. Leases are not put back: their holders claim them again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom.bus.dead_letters import DeadLetters
from countingroom.bus.election import holder_mark
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.lease import GRACE_OVER, LEASE_BUCKET_BYTES, holder_of
from countingroom.bus.nats.lease_key import delete
from countingroom.bus.nats.reader import RESTORING
from countingroom.bus.nats.store import JetStreamStore
from countingroom.bus.port import Current, Entry, Stale
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, CountingRoomError
from countingroom.core.messages import Malformed, decode, encode
from countingroom.core.retry import Retry, edge_log
from countingroom.core.subjects import LEASE_BUCKET, STATE_BUCKET

_log = logging.getLogger(__name__)

STATE_FILE = "state.msgpack"
"""Name of the file, in the folder of the server."""
SAVE_S = 1.0
"""Pause between two writes of the file."""
_AGAIN_S = 0.05
_AT_ONCE = 100


class SavedBucket(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    state: dict[str, bytes]


class ControlBuckets:
    """Makes the buckets and keeps the copy. Call `prepare` once the server serves, then `run`, then `save`."""

    def __init__(
        self,
        connection: NatsConnection,
        clock: Clock,
        *,
        file: Path,
        state_bytes: int,
        first_sequence: Callable[[], int],
    ) -> None:
        """`first_sequence`: of a new bucket; greater than any revision of the one before, so that revisions and
        fencing tokens grow over a loss of the bucket."""
        self._connection = connection
        self._clock = clock
        self._bus = NatsBus(connection, clock, replicas=1, dead_letters=DeadLetters())
        self._store = JetStreamStore(connection, 1)
        self._file = file
        self._state_bytes = state_bytes
        self._first_sequence = first_sequence
        self._copy: dict[str, bytes] = {}
        self._missing: set[str] = set()
        """Keys of the copy that are not back in a new bucket yet."""
        self._dirty = asyncio.Event()
        self._ended: asyncio.Queue[int] = asyncio.Queue()
        report = edge_log(_log, "the state bucket is not followed", "the state bucket is followed again")
        self._follow_again = Retry(clock, report, pause_s=_AGAIN_S, on=CountingRoomError)
        self._saving = edge_log(
            _log, f"{file} cannot be written; the state is only in memory", f"{file} is written again"
        )

    @property
    def copied(self) -> Mapping[str, bytes]:
        """The copy of the state."""
        return self._copy

    async def prepare(self) -> None:
        """At the start: read the file, make the buckets, put the state into them."""
        self._copy = await asyncio.to_thread(self._read)
        await self._make(grace={GRACE_OVER: "yes"})

    async def run(self) -> None:
        """Follow the state, until cancelled. After a restart of the server, make the buckets again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._save_changes())
            group.create_task(self._release_leases())
            await self._follow_again.forever(self._follow)

    def process_ended(self, pid: int) -> None:
        """A process of this machine has ended: the next owner need not wait until its leases run out."""
        self._ended.put_nowait(pid)

    async def save(self) -> None:
        """Write the copy into its file."""
        data = encode(SavedBucket(state=self._copy))
        try:
            await asyncio.to_thread(_write, self._file, data)
        except OSError as error:
            self._saving.failed(Cause(code="not_saved", message=str(error), source="bus", suggestion="free disk space"))
        else:
            self._saving.worked()

    async def _save_changes(self) -> None:
        while True:
            await self._dirty.wait()
            await self._clock.sleep(SAVE_S)
            self._dirty.clear()
            await self.save()

    async def _release_leases(self) -> None:
        while True:
            pid = await self._ended.get()
            try:
                await self._release_leases_of(pid)
            except CountingRoomError as error:
                _log.warning("the leases of process %d run out by themselves: %s", pid, error)

    async def _release_leases_of(self, pid: int) -> None:
        mark = holder_mark(socket.gethostname(), pid)
        async with self._bus.watch(LEASE_BUCKET) as entries:
            async for entry in entries:
                if not isinstance(entry, Entry):
                    return
                if entry.data is not None and mark in holder_of(entry.data):
                    with suppress(Conflict):  # it has run out, and another process has it
                        await delete(self._store, entry.key, entry.revision)

    async def _follow(self) -> None:
        await self._make(grace={})
        snapshot: set[str] | None = set()
        async with self._bus.watch(STATE_BUCKET) as entries:
            async for entry in entries:
                match entry:
                    case Entry():
                        if snapshot is not None:
                            snapshot.add(entry.key)
                        self._take(entry)
                    case Current():
                        self._follow_again.report.worked()
                        for key in self._copy.keys() - (snapshot or set()):
                            del self._copy[key]
                        snapshot = None
                    case Stale():
                        return

    def _take(self, entry: Entry) -> None:
        if entry.data is None:
            self._copy.pop(entry.key, None)
        else:
            self._copy[entry.key] = entry.data
        self._dirty.set()

    async def _make(self, *, grace: dict[str, str]) -> None:
        """Make the buckets that are missing; put back the state into a new one."""
        # Leases first: without a bucket no process can become an owner, and a former owner claims its lease back.
        await self._ensure(LEASE_BUCKET, max_bytes=LEASE_BUCKET_BYTES, allow_msg_ttl=True, metadata=grace)
        if await self._ensure(STATE_BUCKET, max_bytes=self._state_bytes, metadata={RESTORING: "yes"}):
            self._missing = set(self._copy)
        while self._missing:
            await asyncio.gather(*map(self._put_back, list(self._missing)[:_AT_ONCE]))
        stream = f"KV_{STATE_BUCKET}"
        if (info := await self._store.info(stream)) and RESTORING in info["config"].get("metadata", {}):
            await self._connection.api(f"STREAM.UPDATE.{stream}", {**info["config"], "metadata": {}})

    async def _put_back(self, key: str) -> None:
        with suppress(Conflict):  # its owner was faster
            await self._store.write(STATE_BUCKET, key, self._copy[key], expected=0)
        self._missing.discard(key)

    async def _ensure(self, bucket: str, *, max_bytes: int, **more: Any) -> bool:
        """Make the bucket in memory if it is missing; whether it was made. One of an earlier version, on disk, is
        replaced, and its keys are taken over: its kind of storage cannot be changed."""
        if present := await self._store.info(f"KV_{bucket}"):
            if present["config"]["storage"] == "memory":
                return False
            if bucket == STATE_BUCKET:
                self._copy = self._copy | await self._keys(bucket)
            await self._connection.api(f"STREAM.DELETE.KV_{bucket}")
        await self._store.bucket(
            bucket,
            max_bytes=max_bytes,
            storage="memory",
            first_seq=self._first_sequence(),
            **more,
        )
        return True

    async def _keys(self, bucket: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        async with self._bus.watch(bucket) as entries:
            async for entry in entries:
                if not isinstance(entry, Entry):
                    break
                if entry.data is not None:
                    found[entry.key] = entry.data
        return found

    def _read(self) -> dict[str, bytes]:
        try:
            return decode(self._file.read_bytes(), SavedBucket).state
        except FileNotFoundError:
            return {}
        except (OSError, Malformed) as error:
            # The processes publish their states again. Only goals and who is in control are lost.
            _log.error("%s cannot be read and is not used: %s", self._file, error)
            with suppress(OSError):
                self._file.replace(self._file.with_suffix(".unreadable"))
            return {}


def _write(file: Path, data: bytes) -> None:
    part = file.with_suffix(".part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise

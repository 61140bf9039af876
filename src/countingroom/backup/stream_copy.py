"""Copies messages of a stream into a backup, and from a backup into the stream of a new bus."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from countingroom.backup.contents import StreamPart
from countingroom.bus.port import Bus
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import MessageDecoder, encode

_AT_ONCE = 256
_PART = 1 << 20
_LENGTH = 4


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class _Kept(Struct, frozen=True, array_like=True):
    subject: str
    data: bytes
    stored_ns: int


async def read_stream(
    bus: Bus, stream: str, first: int, last: int, put: Callable[[bytes], Awaitable[None]]
) -> StreamPart:
    """Put the messages from `first` to `last` as bytes. LinkError where the first ones have left the stream already."""
    if first > last:  # there is nothing to wait for
        return StreamPart(first=last + 1, last=last, sha256=hashlib.sha256().hexdigest())
    whole, count, start = hashlib.sha256(), 0, 0
    part = bytearray()
    async with bus.replay(stream, from_sequence=first, follow=False) as messages:
        async for message in messages:
            if message.sequence > last:
                break
            start = start or message.sequence
            count += 1
            _count(whole, message.subject, message.data)
            kept = encode(_Kept(message.subject, message.data, message.stored_ns))
            part += len(kept).to_bytes(_LENGTH, "big") + kept
            if len(part) >= _PART:
                await put(bytes(part))
                part.clear()
    if part:
        await put(bytes(part))
    return StreamPart(first=start or last + 1, last=last, count=count, sha256=whole.hexdigest())


async def write_stream(
    bus: Bus, stream: str, subjects: list[str], wanted: StreamPart, parts: Iterable[bytes], *, max_bytes: int
) -> None:
    """Make the stream and store the messages; then read them again. LinkError where they are not those of the
    backup."""
    await bus.ensure_stream(stream, subjects, max_bytes=max_bytes, first_sequence=wanted.first)
    batch: list[tuple[str, bytes, str]] = []
    for kept in _messages(parts):
        batch.append((kept.subject, kept.data, ""))
        if len(batch) == _AT_ONCE:
            await _store(bus, batch)
            batch = []
    await _store(bus, batch)
    whole, count = hashlib.sha256(), 0
    if await bus.last_sequence(stream) >= wanted.first:  # else there would be no end to wait for
        async with bus.replay(stream, from_sequence=wanted.first, follow=False) as messages:
            async for message in messages:
                count += 1
                _count(whole, message.subject, message.data)
    if (count, whole.hexdigest()) != (wanted.count, wanted.sha256):
        raise LinkError(
            f"the stream {stream} has {count} messages after the restore, and not the {wanted.count} of the backup",
            source="restore",
            code="not_equal",
            suggestion="see that the disk has room; then restore again",
        )


async def _store(bus: Bus, batch: list[tuple[str, bytes, str]]) -> None:
    for outcome in await bus.append_many(batch) if batch else ():
        if isinstance(outcome, CountingRoomError):
            raise outcome


def _messages(parts: Iterable[bytes]) -> Iterator[_Kept]:
    """The messages in bytes that may be cut anywhere."""
    decoder = MessageDecoder(_Kept)
    rest = b""
    for part in parts:
        rest += part
        at = 0
        while len(rest) - at >= _LENGTH:
            end = at + _LENGTH + int.from_bytes(rest[at : at + _LENGTH], "big")
            if end > len(rest):
                break
            yield decoder.decode(rest[at + _LENGTH : end])
            at = end
        rest = rest[at:]


def _count(whole: _Hash, subject: str, data: bytes) -> None:
    name = subject.encode()
    whole.update(len(name).to_bytes(_LENGTH, "big") + len(data).to_bytes(_LENGTH, "big") + name)
    whole.update(data)

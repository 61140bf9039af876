"""The format of a backup file: members in frames, each frame with a digest that covers all frames before it.

A byte that is changed, cut off, removed or added anywhere is found at the frame where it happened, so the error names
the member and the offset. Both sides stream: a frame is at most 1 MiB before compression.

The file begins with the magic and the number of the format. A frame is its kind (1 byte), the length of its payload
(4 bytes, big-endian), the payload, and the digest (16 bytes of BLAKE2b over the digest before it, kind, length and
payload). Kinds: `H` the header, `M` a member begins, `D` data compressed with zlib, `E` the member ends, `Z` the end.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from countingroom.core.errors import RequestError

T = TypeVar("T")

MAGIC = b"countingroom backup\n"
FORMAT = 1
CHUNK = 1 << 20
_HEAD = struct.Struct(">cI")
_NUMBER = struct.Struct(">I")
_DIGEST = 16
_LONGEST = 4 * CHUNK
_LEVEL = 1
"""Of zlib: the files in it are compressed already, or are small."""


class ByteSink(Protocol):
    """Where a backup is written."""

    def write(self, data: bytes, /) -> object: ...


class ByteSource(Protocol):
    """Where a backup is read from. `read` returns fewer bytes only at the end."""

    def read(self, size: int, /) -> bytes: ...


class BackupMember(Struct, frozen=True, kw_only=True):
    """A member of a backup, as its end and the list at the end of the file describe it."""

    name: str
    """A path with `/`: `data/history/history.duckdb`."""
    size: int
    """Bytes before compression."""
    sha256: str


class BackupMembers(Struct, frozen=True, kw_only=True):
    """The content of the last frame."""

    members: tuple[BackupMember, ...]


class _Begin(Struct, frozen=True, kw_only=True):
    name: str


class DamagedBackup(RequestError):
    """The file is not a complete backup."""

    code = "damaged"
    suggestion = "use another backup: countingroom backup list"

    def __init__(self, why: str, *, member: str, offset: int, source: str = "") -> None:
        self.member = member
        self.offset = offset
        place = f"in {member}, " if member else ""
        super().__init__(
            f"the backup is damaged {place}at byte {offset}: {why}",
            source=source,
            evidence={"member": member, "offset": offset},
        )


class NewerBackup(RequestError):
    """A later version of the program made the backup."""

    code = "newer_format"
    suggestion = "restore it with the version that made it, or a later one"


class BackupWriter:
    """Writes a backup. Call `member`, or `begin`, `data` and `end`, for each member, then `finish`."""

    def __init__(self, sink: ByteSink, header: bytes) -> None:
        self._sink = sink
        start = MAGIC + _NUMBER.pack(FORMAT)
        self._chain = hashlib.blake2b(start, digest_size=_DIGEST).digest()
        self.members: list[BackupMember] = []
        self._name = ""
        self._whole = hashlib.sha256()
        self._size = 0
        sink.write(start)
        self._frame(b"H", header)

    def member(self, name: str, data: Iterable[bytes]) -> BackupMember:
        """Write a member from its parts, each of any size."""
        self.begin(name)
        for part in data:
            self.data(part)
        return self.end()

    def begin(self, name: str) -> None:
        """Begin a member; `data` and `end` follow."""
        self._name = name
        self._whole = hashlib.sha256()
        self._size = 0
        self._frame(b"M", msgspec.json.encode(_Begin(name=name)))

    def data(self, part: bytes) -> None:
        """Write a part of the member."""
        for at in range(0, len(part), CHUNK):
            piece = part[at : at + CHUNK]
            self._whole.update(piece)
            self._size += len(piece)
            self._frame(b"D", zlib.compress(piece, _LEVEL))

    def end(self) -> BackupMember:
        """End the member."""
        member = BackupMember(name=self._name, size=self._size, sha256=self._whole.hexdigest())
        self._frame(b"E", msgspec.json.encode(member))
        self.members.append(member)
        return member

    def finish(self) -> None:
        """Write the list of all members."""
        self._frame(b"Z", msgspec.json.encode(BackupMembers(members=tuple(self.members))))

    def _frame(self, kind: bytes, payload: bytes) -> None:
        head = _HEAD.pack(kind, len(payload))
        self._chain = _next(self._chain, head, payload)
        self._sink.write(head + payload + self._chain)


class BackupReader:
    """Reads a backup: `header`, then `members` once. DamagedBackup or NewerBackup as soon as something is wrong."""

    def __init__(self, source: ByteSource, name: str = "") -> None:
        """`name`: of the file, for errors."""
        self._source = source
        self._name = name
        self.offset = 0
        """Bytes read."""
        self.inside = ""
        """The member that is being read."""
        start = self._take(len(MAGIC) + _NUMBER.size, "the file ends in its first bytes")
        if not start.startswith(MAGIC):
            raise self._damaged("it is no backup of countingroom", 0)
        (version,) = _NUMBER.unpack(start[len(MAGIC) :])
        self._chain = hashlib.blake2b(start, digest_size=_DIGEST).digest()
        try:
            kind, self.header = self._frame()
            if kind != b"H":
                raise self._damaged("it has no header", len(start))
        except DamagedBackup as error:
            if version <= FORMAT:
                raise
            raise NewerBackup(
                f"the backup has format {version}, this program reads {FORMAT}, or its header is damaged",
                source=name,
                causes=(error.cause,),
            ) from error
        if version != FORMAT:
            raise NewerBackup(f"the backup has format {version}, this program reads {FORMAT}", source=name)

    def members(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each member with its data, which must be read to their end before the next member. At the end of the
        iteration every byte of the file is checked."""
        seen: list[BackupMember] = []
        while True:
            at = self.offset
            kind, payload = self._frame()
            if kind == b"M":
                self.inside = self._decode(payload, _Begin, at).name
                yield self.inside, self._data(seen)
                if self.inside:
                    raise RuntimeError("the data of a member were not read to their end")
            elif kind == b"Z":
                if self._decode(payload, BackupMembers, at).members != tuple(seen):
                    raise self._damaged("the list of its members is another one", at)
                at = self.offset
                if self._source.read(1):
                    raise self._damaged("bytes follow its end", at)
                return
            else:
                raise self._damaged("a member was expected here", at)

    def _data(self, seen: list[BackupMember]) -> Iterator[bytes]:
        whole, size = hashlib.sha256(), 0
        while True:
            at = self.offset
            kind, payload = self._frame()
            if kind == b"D":
                piece = self._decompressed(payload, at)
                whole.update(piece)
                size += len(piece)
                yield piece
            elif kind == b"E":
                member = self._decode(payload, BackupMember, at)
                if member != BackupMember(name=self.inside, size=size, sha256=whole.hexdigest()):
                    raise self._damaged("its content does not have the digest that it should", at)
                seen.append(member)
                self.inside = ""
                return
            else:
                raise self._damaged("the member does not end", at)

    def _decompressed(self, payload: bytes, at: int) -> bytes:
        """A piece. One that is longer than pieces are was not written by this program, and could fill the memory."""
        unpacking = zlib.decompressobj()
        try:
            piece = unpacking.decompress(payload, CHUNK + 1)
        except zlib.error:
            piece = b""
        if len(piece) > CHUNK:
            raise self._damaged("a piece of it is too long", at)
        if not unpacking.eof:
            raise self._damaged("it cannot be decompressed", at)
        return piece

    def _frame(self) -> tuple[bytes, bytes]:
        at = self.offset
        head = self._take(_HEAD.size, "the file ends here, and is not complete")
        kind, length = _HEAD.unpack(head)
        if length > _LONGEST:
            raise self._damaged("its digest is wrong", at)
        payload = self._take(length, "the file ends inside a frame, and is not complete", at)
        digest = self._take(_DIGEST, "the file ends inside a frame, and is not complete", at)
        self._chain = _next(self._chain, head, payload)
        if digest != self._chain:
            raise self._damaged("its digest is wrong", at)
        return kind, payload

    def _take(self, size: int, why: str, at: int | None = None) -> bytes:
        found = self._source.read(size)
        if len(found) < size:
            raise self._damaged(why, self.offset if at is None else at)
        self.offset += size
        return found

    def _decode(self, payload: bytes, kind: type[T], at: int) -> T:
        try:
            return msgspec.json.decode(payload, type=kind)
        except msgspec.DecodeError:
            raise self._damaged("a frame has no valid content", at) from None

    def _damaged(self, why: str, at: int) -> DamagedBackup:
        return DamagedBackup(why, member=self.inside, offset=at, source=self._name)


def _next(chain: bytes, head: bytes, payload: bytes) -> bytes:
    digest = hashlib.blake2b(chain, digest_size=_DIGEST)
    digest.update(head)
    digest.update(payload)
    return digest.digest()

"""Identifies the backups of a data folder, also among those of other experiments with the same name.

The identity is in a file of the data folder, beside the inode of that file: a copy of the folder, on which another
experiment may run, is another file, and gets a new identity. It is part of the names of backups, because the content of
an encrypted backup cannot be read where it was made. Backups of another identity are never removed.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

FILE = "backup-id"


class _Kept(Struct, frozen=True, kw_only=True):
    id: str
    inode: int


def identity_of(data: Path) -> str:
    """Eight hexadecimal digits; new ones where the folder has none yet, or those of the folder of which it is a copy.
    OSError."""
    file = data / FILE
    is_copied = False
    with suppress(FileNotFoundError, msgspec.DecodeError):
        is_copied = file.exists()
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
        if kept.inode == file.stat().st_ino:
            return kept.id
    part = data / f".{FILE}.{secrets.token_hex(4)}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        try:
            new = _Kept(id=secrets.token_hex(4), inode=os.fstat(stream.fileno()).st_ino)
            stream.write(msgspec.json.encode(new))
            stream.flush()
            os.fsync(stream.fileno())
            if is_copied:
                part.replace(file)
                return new.id
            try:
                file.hardlink_to(part)
            except FileExistsError:  # another process was faster
                return identity_of(data)
            except OSError:  # a disk without links
                part.replace(file)
            return new.id
        finally:
            part.unlink(missing_ok=True)

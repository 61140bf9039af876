"""Opens a backup file for reading, encrypted or not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from countingroom.backup import encryption
from countingroom.backup.container import BackupMember, BackupReader
from countingroom.backup.contents import MANIFEST, BackupHeader, BackupManifest
from countingroom.core.errors import ConfigurationError, NotFound, RequestError

T = TypeVar("T")


@contextmanager
def opened(path: Path, key: encryption.BackupKey | None) -> Generator[BackupReader]:
    """The reader of a backup. NotFound, WrongKey, DamagedBackup, NewerBackup; ConfigurationError where the backup is
    encrypted and there is no key."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFound(
            f"the backup {path} cannot be read: {error.strerror}",
            source="backup",
            suggestion="see which there are: countingroom backup list",
        ) from error
    with file:
        encrypted = file.read(len(encryption.MAGIC)) == encryption.MAGIC
        file.seek(0)
        if not encrypted:
            yield BackupReader(file, str(path))
            return
        if key is None:
            raise ConfigurationError(
                f"{path} is encrypted",
                source="--key",
                code="no_key",
                suggestion="give the file with the private key: --key FILE",
            )
        with encryption.decrypting(file, key, str(path)) as clear:
            yield BackupReader(clear, str(path))


def is_encrypted(path: Path) -> bool:
    """Whether the file is encrypted. OSError."""
    with path.open("rb") as file:
        return file.read(len(encryption.MAGIC)) == encryption.MAGIC


def header(path: Path) -> BackupHeader:
    """The header of a backup that is not encrypted."""
    with opened(path, None) as reader:
        return decoded(reader.header, BackupHeader, path)


def verified(
    path: Path, key: encryption.BackupKey | None, through: Callable[[Iterable[bytes]], Iterable[bytes]] = iter
) -> tuple[BackupManifest, list[BackupMember]]:
    """Check every byte of a backup; its manifest and members. Raises what `opened` raises, and RequestError where the
    backup is whole but has no valid manifest. `through`: yields the same parts, or ends it by an error."""
    manifest = b""
    members: list[BackupMember] = []
    with opened(path, key) as reader:
        decoded(reader.header, BackupHeader, path)
        for name, data in reader.members():
            whole, size = hashlib.sha256(), 0
            kept: list[bytes] = []
            for part in through(data):
                whole.update(part)
                size += len(part)
                if name == MANIFEST:
                    kept.append(part)
            members.append(BackupMember(name=name, size=size, sha256=whole.hexdigest()))
            manifest = b"".join(kept) if name == MANIFEST else manifest
    return decoded(manifest, BackupManifest, path), members


def decoded(data: bytes, kind: type[T], path: Path) -> T:
    """A value of the backup."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise RequestError(
            f"the facts of the backup cannot be read: {error}",
            source=str(path),
            code="damaged",
            suggestion="restore it with the version of the program that made it, or use another backup",
        ) from error

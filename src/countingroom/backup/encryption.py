"""Encryption of a backup with age (the library pyrage), as a stream.

A backup is encrypted for one public key of age. It may stand in the description's reference, or the private key, whose
public one is then used. A second key, made for this backup and never stored, lets the backup check itself without the
private key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from countingroom.backup.container import DamagedBackup
from countingroom.core.errors import ConfigurationError, RequestError

MAGIC = b"age-encryption.org/"
_OTHER_KEY = "No matching keys"
"""What the library says of a key for which the file is not encrypted."""
_PRIVATE, _PUBLIC = "AGE-SECRET-KEY-", "age1"


def _age() -> Any:
    """The library, which has no types, and is imported where a key is used."""
    return import_module("pyrage")


class BackupKey:
    """A key of age: a private one, or a public one that only encrypts."""

    def __init__(self, text: str, source: str) -> None:
        """ConfigurationError for a text that is no key."""
        self.identity: Any = None
        try:
            if text.upper().startswith(_PRIVATE):
                self.identity = _age().x25519.Identity.from_str(text)
                self.recipient: Any = self.identity.to_public()
            else:
                self.recipient = _age().x25519.Recipient.from_str(text)
        except Exception as error:
            raise ConfigurationError(
                "the key of the backups is no key of age",
                source=source,
                code="no_key",
                suggestion=f"write a public key ({_PUBLIC}…) or a private one ({_PRIVATE}…): age-keygen makes them, "
                "or countingroom backup key",
            ) from error

    @classmethod
    def new(cls) -> BackupKey:
        """A new private key."""
        return cls(str(_age().x25519.Identity.generate()), "backup")

    @property
    def private(self) -> str:
        """The text of the private key."""
        return str(self.identity)

    @property
    def public(self) -> str:
        """The text of the public key."""
        return str(self.recipient)


@contextmanager
def encrypting(out: IO[bytes], keys: list[BackupKey]) -> Generator[IO[bytes]]:
    """What is written into the given file goes into `out`, encrypted for each key. Raises the errors of `out`."""
    reading, writing = os.pipe()
    sink = _Sink(out)

    def work() -> None:
        with os.fdopen(reading, "rb") as clear:
            try:
                _age().encrypt_io(clear, sink, [key.recipient for key in keys])
            except Exception as error:
                raise sink.error or error from error

    with _thread(work) as ended:
        try:
            with os.fdopen(writing, "wb", buffering=1 << 20) as clear:
                yield clear
        except BrokenPipeError:
            ended()
            raise
        ended()


class _Sink:
    """Keeps the error of a write, of which the library makes one of its own."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        """Write all of it."""
        try:
            return self._out.write(data)
        except Exception as error:
            self.error = error
            raise

    def flush(self) -> None:
        """For the library."""
        self._out.flush()


@contextmanager
def decrypting(file: IO[bytes], key: BackupKey, name: str = "") -> Generator[IO[bytes]]:
    """The clear content of an encrypted file. WrongKey where the key does not fit. A damaged file ends early: the
    reader's DamagedBackup is then raised with the place in the encrypted file."""
    if key.identity is None:
        raise ConfigurationError(
            "a public key cannot decrypt",
            source="--key",
            code="no_key",
            suggestion="give the private key for which it was encrypted: --key FILE",
        )
    reading, writing = os.pipe()

    def work() -> None:
        with os.fdopen(writing, "wb", buffering=1 << 16) as clear:
            _age().decrypt_io(file, clear, [key.identity])

    with _thread(work) as ended:
        try:
            with os.fdopen(reading, "rb", buffering=1 << 20) as clear:
                yield clear
        except DamagedBackup as error:
            at = file.tell()
            try:
                ended()
            except Exception as reason:
                if _OTHER_KEY in str(reason):
                    raise WrongKey(f"it cannot be decrypted: {reason}", source=name, causes=(error.cause,)) from error
                raise DamagedBackup(
                    f"it cannot be decrypted, before byte {at} of the encrypted file: {reason}",
                    member=error.member,
                    offset=error.offset,
                    source=name,
                ) from error
            raise
        try:
            ended()
        except BrokenPipeError:
            return  # only the beginning was wanted
        except Exception as reason:
            raise DamagedBackup(
                f"it cannot be decrypted to its end: {reason}", member="", offset=file.tell(), source=name
            ) from reason


class WrongKey(RequestError):
    """The backup was encrypted for another key, or the part of it that holds its keys is damaged."""

    code = "wrong_key"
    suggestion = "give the private key for which it was encrypted: --key FILE"


def private_key(file: Path) -> BackupKey:
    """The private key in a file as `age-keygen` writes it. ConfigurationError where there is none."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the key cannot be read: {error}", source="--key", code="no_key") from error
    found = next((line.strip() for line in lines if line.strip().upper().startswith(_PRIVATE)), "")
    return BackupKey(found, "--key")


@contextmanager
def _thread(work: Callable[[], object]) -> Generator[Callable[[], None]]:
    """Run the work in a thread. The given function waits for its end and raises its error."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="encryption", daemon=True)
    thread.start()

    def ended() -> None:
        thread.join()
        if errors:
            raise errors.pop()

    try:
        yield ended
    finally:
        thread.join()

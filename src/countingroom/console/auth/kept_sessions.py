"""Keeps the valid sessions of the database in a file, for a console that starts while the database is away.

Without it no session would be known after such a start, and no person could stop a run. The file has digests of
secrets, not the secrets. Only its owner may read it, as the database. It is removed if it cannot be updated.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from countingroom.core.accounts import ProvenSession, Session, User
from countingroom.core.clock import Clock, within
from countingroom.core.ending_threads import EndingThreads
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Malformed, decode_json

_log = logging.getLogger(__name__)

EVERY_S = 30.0
"""A session that another process has ended stays in the file for this time at most. A session that this console ends,
or refuses because it was ended, is removed at once."""
WRITE_S = 5.0
"""So long a write may take; meanwhile no other is begun."""
MOST_BYTES = 32 * 1024 * 1024


class KeptLogins(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    proven_ns: int = 0
    """When the database had them."""
    logins: tuple[ProvenSession, ...] = ()


class KeptSessions:
    """The sessions that are valid without the database."""

    def __init__(self, file: Path | None, clock: Clock, idle_s: float) -> None:
        """`file`: None: keep the sessions in memory only. `idle_s`: how long the token of a program is valid here."""
        self._file = file
        self._clock = clock
        self._idle_ns = round(idle_s * 1e9)
        self._thread = EndingThreads(1, "console-sessions")
        self._writing: asyncio.Future[None] | None = None
        self._news = asyncio.Event()
        self._proven_ns = 0
        self._logins: dict[str, tuple[Session, User]] = {}
        self._take(_read(file) if file else KeptLogins())

    def find(self, digest: str) -> tuple[Session, User] | None:
        """The session with this digest of its secret, and its user; None if it is not known to be valid."""
        if not 0 <= self._clock.now_ns() - self._proven_ns < self._idle_ns:
            return None
        return self._logins.get(digest)

    def forget(self) -> None:
        """Forget all kept sessions, because a session or the rights of a user changed. The database is asked again."""
        self._logins.clear()
        self._renew_all()

    def drop(self, digest: str) -> None:
        """The database says that this session was ended: by another process, or the file would not have it."""
        if self._logins.pop(digest, None):
            self._renew_all()

    def _renew_all(self) -> None:
        if self._file:
            self._thread.submit(_remove, self._file)
        self._news.set()

    def renew(self) -> None:
        """There is a new session."""
        self._news.set()

    async def run(self, read: Callable[[], Awaitable[tuple[ProvenSession, ...]]]) -> None:
        """Keep what the database says, until cancelled. While it is away the last known ones stay."""
        while True:
            self._news.clear()
            with suppress(CountingRoomError):
                now_ns, found = self._clock.now_ns(), await read()
                if not self._news.is_set():  # else it may be from before the change
                    await self._keep(KeptLogins(proven_ns=now_ns, logins=found))
            with suppress(TimeoutError):
                async with within(self._clock, EVERY_S):
                    await self._news.wait()

    async def _keep(self, kept: KeptLogins) -> None:
        self._take(kept)
        if self._file is None or (self._writing is not None and not self._writing.done()):
            return
        data = msgspec.json.encode(kept)
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, _write, self._file, data)
        await asyncio.wait([self._writing], timeout=WRITE_S)

    def _take(self, kept: KeptLogins) -> None:
        self._proven_ns = kept.proven_ns
        self._logins = {one.digest: (one.session, one.user) for one in _valid(kept.logins)}


def _valid(logins: Iterable[ProvenSession]) -> Iterable[ProvenSession]:
    return (one for one in logins if one.session.user == one.user.name and not one.user.disabled)


def _read(file: Path) -> KeptLogins:
    """Empty where there is none, or one that another account could have written."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
            if not is_ours or found.st_size > MOST_BYTES:
                _log.warning("%s is ignored: it is not a file for its owner alone", file)
                return KeptLogins()
            return decode_json(stream.read(), KeptLogins)
    except FileNotFoundError:
        return KeptLogins()
    except (OSError, Malformed) as error:
        _log.warning("%s is ignored: %s", file, error)
        return KeptLogins()


def _write(file: Path, data: bytes) -> None:
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        part.replace(file)
    except OSError as error:  # an old one may have sessions that were ended since
        _log.warning("%s is not written, and removed: %s", file, error)
        _remove(file)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _log.error("%s cannot be removed, and may have sessions that were ended: %s", file, error)

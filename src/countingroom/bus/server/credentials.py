"""The users of the embedded server: a random password for each, made at each start of the bus. Those of services of the
fleet, which outlive it, are kept.

The file is in the data folder, readable by its owner alone. Children of `up` receive their passwords in their first
line of input. A process that is started by hand, as the same account of the machine, reads the file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from countingroom.bus.login import BusLogin, FindBusLogin
from countingroom.core.errors import ConfigurationError

FILE = "credentials.json"
SUPERVISOR = "supervisor"
"""The user of the process that supervises the server, with all permissions."""
_BYTES = 32


class UserPasswords(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    url: str
    passwords: dict[str, str]
    """User -> password."""

    def __repr__(self) -> str:
        return f"UserPasswords({self.url})"

    def login(self, user: str) -> BusLogin:
        """The login of a user. ConfigurationError when the bus has no such user."""
        if user not in self.passwords:
            raise ConfigurationError(
                f"the bus has no user {user}",
                source="bus",
                code="no_user",
                suggestion="it has those of the description with which `countingroom up` or `countingroom init` was "
                "called; call it again when the description has changed",
            )
        return BusLogin(user=user, password=self.passwords[user])


def new(url: str, users: Iterable[str], kept: Mapping[str, str] | None = None) -> UserPasswords:
    """Random passwords for these users, but for those of `kept`."""
    former = kept or {}
    return UserPasswords(url=url, passwords={user: former.get(user) or secrets.token_urlsafe(_BYTES) for user in users})


def kept(directory: Path, users: Collection[str]) -> dict[str, str]:
    """The passwords of these users in the file of the start before; of some or all none."""
    if not users:
        return {}
    try:
        former = read(directory / FILE)
    except ConfigurationError:
        return {}
    return {user: password for user, password in former.passwords.items() if user in users}


def encoded(credentials: UserPasswords) -> bytes:
    """The content of a file with them."""
    return msgspec.json.encode(credentials)


def write(directory: Path, credentials: UserPasswords) -> None:
    """Write the file, for its owner alone."""
    write_private(directory / FILE, encoded(credentials))


def read(file: Path) -> UserPasswords:
    """The content of the file. ConfigurationError when it cannot be read, for example by another account."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=UserPasswords)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"the passwords of the bus cannot be read: {error}",
            source="bus",
            code="no_credentials",
            suggestion="start the experiment first with `countingroom up`, and use its data folder, as the same user",
        ) from error


def bus_folder(data: Path) -> Path:
    """Folder of the embedded server in a data folder."""
    return data / "bus"


def of_running(data: Path, user: str) -> tuple[str, FindBusLogin]:
    """URL of the embedded server that runs on a data folder, and the login of this user on it."""
    file = bus_folder(data) / FILE
    url = read(file).url
    return url, lambda: read(file).login(user)


def given(passwords: Mapping[str, str], user: str) -> FindBusLogin:
    """The login of a user with a password from the parent process."""
    login = UserPasswords(url="", passwords=dict(passwords)).login(user)
    return lambda: login


def write_private(file: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, whatever the umask. It is complete or it is the former one."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)  # one of an earlier version may be readable by others
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
    part.replace(file)

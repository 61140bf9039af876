"""The connection to a node by ssh: its host key, its deadlines, and the errors of it as errors of the fleet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError, CountingRoomError, LinkError
from countingroom.core.fleet.specs import SshReach
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.fleet.os_words import os_words

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess

CALL_S = 15.0
"""For what a node answers at once."""
_MOST_CHANNELS = 6
"""Short calls at the same time: a server allows 10 on one connection, of which one tells changes."""
_MISSED = 3
"""So many keepalives without an answer end the connection."""
_MOST_BYTES = 4 << 20


class SshConnection:
    """The connection to one node. It is made with `open` and is lost for good where it ends."""

    def __init__(self, address: str, reach: SshReach, directory: Path, source: str) -> None:
        """`directory`: of the description, for the files that it names."""
        self._address = address
        self._reach = reach
        self._directory = directory
        self._source = source
        self._connection: SSHClientConnection | None = None
        self._channels = asyncio.Semaphore(_MOST_CHANNELS)

    async def open(self) -> None:
        """Connect anew. LinkError, also where the host key cannot be verified; ConfigurationError where a file of the
        description cannot be used."""
        # Imported with the first node that is reached so: 0.2 s.
        import asyncssh

        logging.getLogger("asyncssh").setLevel(logging.WARNING)
        await self.close()
        reach = self._reach
        where = f"{self._address}:{reach.port}"
        options = await asyncio.to_thread(self._options)
        shown: list[str] = []
        ask = _asks_for(reach.host_key, shown)
        try:
            async with timeout(reach.connect_s):
                self._connection = await asyncssh.connect(self._address, client_factory=ask, **options)
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._unverified(shown, error.reason) from error
        except asyncssh.PermissionDenied as error:
            raise LinkError(
                f"{where} does not let {reach.user or 'this user'} in: no key that was shown is accepted",
                source=self._source,
                code="login",
                suggestion="check user and key of the node, and ~/.ssh/authorized_keys there",
            ) from error
        except TimeoutError:
            raise LinkError(
                f"{where} did not answer within {reach.connect_s:g} s", source=self._source, code="timeout"
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise LinkError(f"{where}: {_reason(error)}", source=self._source) from error

    def _options(self) -> dict[str, Any]:
        """What `connect` is asked with."""
        reach = self._reach
        found: dict[str, Any] = {
            "port": reach.port,
            "config": None,  # what ~/.ssh/config says is not known to those who read the description
            "known_hosts": self._known_hosts(),
            "preferred_auth": ("publickey",),
            "keepalive_interval": reach.keepalive_s,
            "keepalive_count_max": _MISSED,
            "login_timeout": reach.connect_s,
        }
        if reach.user:
            found["username"] = reach.user
        if reach.key:
            found["client_keys"] = [self._key()]
        if not reach.agent:
            found["agent_path"] = None
        return found

    def _known_hosts(self) -> Any:
        if self._reach.host_key:
            return [], [], []  # the key is then asked of `_asks_for`
        import asyncssh

        named = self._reach.known_hosts
        file = self._directory / named if named else Path.home() / ".ssh" / "known_hosts"
        try:
            return asyncssh.read_known_hosts(str(file))
        except FileNotFoundError:
            if not named:
                return [], [], []
            raise self._unusable("known_hosts", file, "there is no such file") from None
        except (OSError, ValueError) as error:
            raise self._unusable("known_hosts", file, str(error)) from error

    def _key(self) -> Any:
        import asyncssh

        file = self._directory / self._reach.key
        kind, _, place = self._reach.passphrase.partition(":")
        phrase = SecretReference.model_validate({kind: place}).read(f"{self._source}.ssh.passphrase") if kind else None
        try:
            return asyncssh.read_private_key(str(file), phrase)
        except OSError as error:
            raise self._unusable("key", file, error.strerror or str(error)) from error
        except (ValueError, asyncssh.Error) as error:
            raise self._unusable("key", file, str(error)) from error

    def _unusable(self, key: str, file: Path, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{file} cannot be used: {why}",
            source=f"{self._source}.ssh.{key}",
            code="ssh_file",
            suggestion=f"check {key} of the node",
        )

    def _unverified(self, shown: list[str], reason: str) -> LinkError:
        seen = shown[-1] if shown else "no key that can be read"
        place = self._reach.known_hosts or "~/.ssh/known_hosts"
        wanted = f"not {self._reach.host_key}" if self._reach.host_key else f"not one that {place} has for it"
        return LinkError(
            f"the host key of {self._address}:{self._reach.port} is {seen}, {wanted}",
            source=self._source,
            code="host_key",
            evidence={"shown": seen, "reason": reason},
            suggestion="compare it on the node with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; where it is"
            " the same, write it as host_key of the node",
        )

    async def ended(self) -> None:
        """Returns when the connection has ended."""
        if self._connection:
            await self._connection.wait_closed()

    async def close(self) -> None:
        """End it."""
        if connection := self._connection:
            self._connection = None
            connection.close()
            with suppress(TimeoutError):
                async with timeout(2.0):
                    await connection.wait_closed()

    async def run(self, script: str, what: str, seconds: float = CALL_S, *, most: int = _MOST_BYTES) -> bytes:
        """The output of a script, its last `most` bytes. LinkError where it does not end in time. `what`: of the
        sentence, `camera@n1 could not be made`."""
        async with self._channels, self._answering(what, seconds), self._shell() as process:
            process.stdin.write(script.encode())
            process.stdin.write_eof()
            output = b""
            while data := await process.stdout.read(1 << 16):
                output = (output + data)[-most:]
            await process.wait_closed()
            return output

    async def lines(self, script: str, what: str) -> AsyncGenerator[str]:
        """The lines of a script that runs on until it is left or the connection is lost (LinkError)."""
        async with self._answering(what, None), self._shell() as process:
            process.stdin.write(script.encode())
            while line := await process.stdout.readline():
                yield line.decode(errors="replace").rstrip("\n")
        raise LinkError(f"{what}: the connection has ended", source=self._source, code="link_lost")

    @asynccontextmanager
    async def _shell(self) -> AsyncGenerator[SSHClientProcess[bytes]]:
        """A shell that reads its script from standard input: no login shell sees a word of it, and no list of
        processes shows a value."""
        if self._connection is None:
            raise LinkError(f"{self._address} is not connected", source=self._source, code="link_lost")
        process = await self._connection.create_process("exec /bin/sh", encoding=None)
        try:
            yield process
        finally:
            process.close()

    @asynccontextmanager
    async def _answering(self, what: str, seconds: float | None) -> AsyncGenerator[None]:
        import asyncssh

        try:
            async with timeout(seconds):
                yield
        except CountingRoomError:
            raise
        except TimeoutError:
            raise LinkError(
                f"{what}: no answer within {seconds or 0:g} s", source=self._source, code="timeout"
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise LinkError(f"{what}: {_reason(error)}", source=self._source) from error


def _asks_for(fingerprint: str, shown: list[str]) -> Any:
    """A client that takes a host key with this fingerprint, and notes the one that it is shown."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            shown.append(key.get_fingerprint())
            return bool(fingerprint) and shown[-1] == fingerprint

    return Client


def _reason(error: BaseException) -> str:
    """Why there is no connection, in a few words."""
    if isinstance(error, OSError):
        return os_words(error)
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def in_block(script: str, variables: Mapping[str, str] | None = None) -> str:
    """A script as one command, which the shell reads to its end before it does anything: what it runs then cannot take
    a part of it as input. `variables`: name -> a word that is quoted already."""
    given = "".join(f"{name}={value}\n" for name, value in (variables or {}).items())
    return f"{{\n{given}{script}\nexit\n}}\n"

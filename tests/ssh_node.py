"""A node that is reached by ssh: an sshd of our own on a free port, with keys of its own, that lets this user in."""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from countingroom.core.clock import SystemClock
from countingroom.core.fleet.specs import SshReach, WantedNode
from countingroom.fleet.engines.ssh import SshEngine
from tests.container_engines import free_port, listens, running
from tests.hosts import Host, programs
from tests.patience import PATIENCE_S

_CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/allowed
PidFile none
UsePAM no
StrictModes no
MaxStartups 100
"""


class SshServer(Struct, frozen=True, kw_only=True):
    """A running sshd, and what its clients need."""

    port: int
    key: Path
    """Of the user who is let in."""
    fingerprint: str
    """Of the host key."""
    public: str
    """The host key, as known_hosts has it."""
    host: Host
    """The sshd that listens."""

    @property
    def pid(self) -> int:
        """Of the sshd that listens."""
        return self.host.process.pid

    def kill(self, folder: Path) -> None:
        """The whole computer: sshd, its sessions, and the instances that a node keeps in a folder."""
        self.host.kill(list(programs(lambda words, _: any(str(folder) in word for word in words))))

    def end_programs(self, folder: Path) -> None:
        """Kill the runners and programs that a node keeps in a folder, until there are none."""
        end = time.monotonic() + PATIENCE_S
        while found := list(programs(lambda words, more: _is_kept(words, more, str(folder)))):
            assert time.monotonic() < end, found
            for one in found:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(found, 1.0)

    def reach(self, folder: Path) -> SshReach:
        """By which a node keeps its instances in a folder."""
        return SshReach(
            user=getpass.getuser(),
            port=self.port,
            key=str(self.key),
            agent=False,
            host_key=self.fingerprint,
            folder=str(folder),
        )


@contextmanager
def ssh_server(needs: Callable[..., str]) -> Generator[SshServer]:
    """Skips where there is none."""
    program = needs("sshd")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sshd-", dir="/tmp")))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # into which sshd locks up its processes without rights
        public = _make_key(folder / "host")
        (folder / "allowed").write_text(f"{_make_key(folder / 'key')}\n")
        port = free_port()
        (folder / "sshd.conf").write_text(_CONFIGURATION.format(port=port, folder=folder))
        command = [program, "-D", "-e", "-f", str(folder / "sshd.conf")]
        host = stack.enter_context(Host(lambda: running(command, folder / "log", {}, lambda: listens(port))))
        digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
        fingerprint = f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
        yield SshServer(port=port, key=folder / "key", fingerprint=fingerprint, public=public, host=host)


def ssh_engine(server: SshServer, folder: Path) -> SshEngine:
    """The engine of a node that keeps its instances in a folder of this computer."""
    node = WantedNode(name="n1", address="127.0.0.1", engine="ssh", ssh=server.reach(folder))
    return SshEngine(SystemClock(), "mCBM", node, folder)


def _is_kept(words: list[str], environment: dict[str, str], folder: str) -> bool:
    return any(folder in word for word in words) or folder in environment.get("COUNTINGROOM_INSTANCE", "")


def _make_key(file: Path) -> str:
    """Write a private key; its public one as a line."""
    key = Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()

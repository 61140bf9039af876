"""Container engines of our own for tests: Docker on a unix socket and by TLS on loopback, Podman, and a registry.

Each has its folders below a temporary one and no network: nothing of the machine is touched. Their image is made
of busybox, without a registry.
"""

from __future__ import annotations

import io
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from countingroom.core.fleet.specs import Reach
from tests.hosts import Host, programs
from tests.patience import PATIENCE_S

IMAGE = "camera:1"
_PROGRAMS = ("sh", "sleep", "echo", "cat", "true", "false", "kill", "httpd", "env", "printf", "touch", "rm", "test")
_PODMAN = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"
runtime = "runc"
exit_command_delay = 1
"""
Needs = Callable[..., str]


class EngineServer:
    """A running engine, and what its client needs."""

    def __init__(
        self, client: Sequence[str], environment: dict[str, str], socket_file: Path, tls: Reach | None, host: Host
    ) -> None:
        self.host = host
        self.command = tuple(client)
        self._environment = environment
        self.unix = Reach(url=f"unix://{socket_file}")
        self.tls = tls

    def kill(self) -> None:
        """The whole computer: the engine, what belongs to it, and its containers."""
        folder = Path(self.unix.url.removeprefix("unix://")).parent
        self.host.kill(list(programs(lambda words, _: any(str(folder) in word for word in words))))

    def client(self, *words: str, given: bytes | None = None) -> str:
        """The output of its own client."""
        done = subprocess.run(
            [*self.command, *words],
            input=given,
            check=False,
            capture_output=True,
            env=self._environment,
            timeout=PATIENCE_S,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.decode()}")
        return done.stdout.decode()

    @property
    def is_podman(self) -> bool:
        """Or else Docker."""
        return Path(self.command[0]).name == "podman"

    def events(self, file: Path) -> subprocess.Popen[bytes]:
        """Its client while it writes each start and end of a container to a file, one JSON object a line."""
        with file.open("wb") as output:
            return subprocess.Popen([*self.command, *_events(time.time())], stdout=output, env=self._environment)

    def past_events(self, since_s: float) -> str:
        """Those since then, of Podman alone: it has them in a file. Docker has the last 256 in its memory."""
        return self.client(*_events(since_s), "--stream=false")


def _events(since_s: float) -> list[str]:
    """The words that ask for starts and ends of containers."""
    filters = ("type=container", "event=start", "event=die", "event=died")  # the last one is Podman's
    return ["events", f"--since={since_s:.6f}", *(f"--filter={one}" for one in filters), "--format={{json .}}"]


@contextmanager
def docker_server(needs: Needs, *arguments: str) -> Generator[EngineServer]:
    """A dockerd on a unix socket and on loopback with TLS. Skips where there is none or it may not run."""
    program, client, busybox = needs("dockerd"), needs("docker"), needs("busybox")
    only_root()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        make_certificates(folder)
        port, socket_file = free_port(), folder / "s"
        command = [
            *(program, "--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=error"),
            *(f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}"),
            *("--tlsverify", f"--tlscacert={folder / 'ca.pem'}", f"--tlscert={folder / 'server.pem'}"),
            *(f"--tlskey={folder / 'server.key'}", f"-H=unix://{socket_file}", f"-H=tcp://127.0.0.1:{port}"),
            *arguments,
        ]
        ready = partial(_answers, socket_file)
        host = stack.enter_context(Host(lambda: running(command, folder / "log", {}, ready)))
        tls = Reach(
            url=f"tcp://127.0.0.1:{port}",
            ca=str(folder / "ca.pem"),
            certificate=str(folder / "client.pem"),
            key=str(folder / "client.key"),
        )
        server = EngineServer([client, "-H", f"unix://{socket_file}"], dict(os.environ), socket_file, tls, host)
        server.client("import", "-", IMAGE, given=image(busybox))
        yield server


@contextmanager
def podman_server(needs: Needs) -> Generator[EngineServer]:
    """A Podman on a unix socket. Skips where there is none or it may not run."""
    program, _, busybox = needs("podman"), needs("runc"), needs("busybox")
    only_root()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        (folder / "containers.conf").write_text(_PODMAN)
        environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        client = [program, "--root", str(folder / "data"), "--runroot", str(folder / "run")]
        client += ["--tmpdir", str(folder / "tmp")]
        socket_file = folder / "s"
        command = [*client, "system", "service", "--time", "0", f"unix://{socket_file}"]
        ready = partial(_answers, socket_file)
        host = stack.enter_context(Host(lambda: running(command, folder / "log", environment, ready)))
        server = EngineServer(client, environment, socket_file, None, host)
        server.client("import", "-", IMAGE, given=image(busybox))
        yield server
        with suppress(RuntimeError):
            server.client("rm", "--all", "--force", "--time", "0")


@contextmanager
def registry_server(needs: Needs, tls: Path | None = None) -> Generator[str]:
    """A registry of images on loopback: its host and port. `tls`: a folder with certificates; with it a login
    is wanted, `reader` with `rosebud`."""
    program = needs("docker-registry")
    with temporary_folder() as folder:
        port = free_port()
        (folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{port}'{_registry_tls(tls)}}}\n{_registry_login(folder, tls)}"
        )
        command = [program, "serve", str(folder / "config.yml")]
        with running(command, folder / "log", {}, lambda: listens(port)):
            yield f"127.0.0.1:{port}"


def _registry_tls(tls: Path | None) -> str:
    return f", tls: {{certificate: {tls / 'server.pem'}, key: {tls / 'server.key'}}}" if tls else ""


def _registry_login(folder: Path, tls: Path | None) -> str:
    if not tls:
        return ""
    (folder / "users").write_text("reader:$2b$04$ZwYbhTkMovAjNFuoQVWKfOjI35Dq.VdgL3I0cGEd8SbdwI26BSfwG\n")
    return f"auth: {{htpasswd: {{realm: hub, path: {folder / 'users'}}}}}\n"


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environment: dict[str, str],
    is_ready: Callable[[], bool],
    state: Callable[[], str] = lambda: "it does not answer",
) -> Generator[subprocess.Popen[bytes]]:
    """A server, from when it answers. Skips where it ends by itself before that: it may not run on this machine.
    `state`: what it is in place of ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment or None, start_new_session=True
        )
    try:
        end = time.monotonic() + PATIENCE_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > end:
                last = log.read_text(errors="replace").strip().rpartition("\n")[2]
                status = process.returncode
                why = f"ended with {status}" if status is not None else f"after {PATIENCE_S:g} s: {state()}"
                pytest.skip(f"{Path(command[0]).name} does not run on this machine: {why}; its last line: {last}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def make_certificates(folder: Path) -> None:
    """`ca.pem`, and `server` and `client` as .pem and .key."""
    authority = ec.generate_private_key(ec.SECP256R1())
    _write(folder, "ca", _certificate("ca", authority, "ca", authority, None), authority)
    for name, use in (("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH)):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, name, _certificate(name, key, "ca", authority, use), key)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    use: x509.ObjectIdentifier | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=use is None, path_length=None), critical=True)
        # Python 3.13 refuses certificates without these three.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(is_authority=use is None), critical=True)
    )
    if use:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        built = built.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return built.sign(signer, hashes.SHA256())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def image(busybox: str, without: str = "") -> bytes:
    """A root folder with busybox and links to it, as `import` takes it. `without`: a program that it lacks."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(os.path.realpath(busybox), "bin/busybox")
        for name in (one for one in _PROGRAMS if one != without):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(temporary)
    return content.getvalue()


@contextmanager
def temporary_folder() -> Generator[Path]:
    """With a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="crce-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def only_root() -> None:
    """Skip where another user runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("only root may run such a server of its own")


def _answers(socket_file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(socket_file))
            probe.sendall(b"GET /_ping HTTP/1.0\r\nHost: d\r\n\r\n")
            return b" 200 " in probe.recv(64)
        except OSError:
            return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

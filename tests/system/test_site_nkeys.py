"""A NATS server of the site that knows its users by nkeys, or by JWTs of an operator, carries an experiment."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nkeys
import pytest

from countingroom.app import bus_users
from countingroom.app.child_process import launch
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Lease, Message
from countingroom.bus.server import binary
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.bus.server.process import choose_port
from countingroom.core.errors import ConfigurationError, Conflict, Denied
from tests.patience import PATIENCE_S
from tests.system.running import up

pytestmark = pytest.mark.server

ENDLESS = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer", "subs", "data", "payload", "conn"), -1)


class Key:
    """A key pair of NATS: its seed, and its public name."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def token(self, about: Key, kind: str, more: Mapping[str, Any]) -> str:
        """A JWT that this key has signed."""
        claims = {"iss": self.public, "sub": about.public, "name": kind, "iat": int(time.time()), "jti": ""}
        claims["nats"] = {"type": kind, "version": 2, **more}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
        signed = ".".join(_url(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{signed}.{_url(self._pair.sign(signed.encode()))}"


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class KeySite:
    """A server, and the file with which its user logs in."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.port = choose_port("127.0.0.1", 0, 0)
        self.user = Key(nkeys.PREFIX_BYTE_USER)
        self.file = folder / kind
        self.conf = self._with_nkeys() if kind == "nkey_file" else self._with_operator()

    def section(self, file: Path) -> BusSection:
        return BusSection.model_validate({"url": f"nats://127.0.0.1:{self.port}", self.kind: str(file)})

    def copy_with_another_key(self) -> Path:
        other = self.folder / "other"
        seed, another = self.user.seed, Key(nkeys.PREFIX_BYTE_USER).seed
        other.write_bytes(self.file.read_bytes().replace(seed, another))
        return other

    def _with_nkeys(self) -> str:
        self.file.write_bytes(self.user.seed + b"\n")
        return f'authorization {{ users: [ {{ nkey: "{self.user.public}" }} ] }}'

    def _with_operator(self) -> str:
        operator, account = Key(nkeys.PREFIX_BYTE_OPERATOR), Key(nkeys.PREFIX_BYTE_ACCOUNT)
        system = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        limits = {"limits": ENDLESS | {"imports": -1, "exports": -1, "leaf": -1, "wildcards": True}}
        of_operator = operator.token(operator, "operator", {"system_account": system.public})
        of_user = account.token(self.user, "user", {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1})
        self.file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        known = {account.public: operator.token(account, "account", limits)}
        known[system.public] = operator.token(
            system, "account", {"limits": {"subs": -1, "data": -1, "payload": -1, "conn": -1}}
        )
        preload = "\n".join(f'"{name}": "{token}"' for name, token in known.items())
        return (
            f'operator: "{of_operator}"\nsystem_account: "{system.public}"\nresolver: MEMORY\n'
            f"resolver_preload: {{\n{preload}\n}}"
        )


@contextmanager
def served(site: KeySite) -> Iterator[None]:
    file = site.folder / "server.conf"
    file.write_text(f'listen: 127.0.0.1:{site.port}\njetstream {{ store_dir: "{site.folder}/store" }}\n{site.conf}\n')
    program = asyncio.run(binary.find())
    process = subprocess.Popen([program, "-c", file, "-l", site.folder / "server.log"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(params=["nkey_file", "creds_file"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[KeySite]:
    site = KeySite(tmp_path, request.param)
    with served(site):
        yield site


async def connected(section: BusSection, folder: Path, *, timeout_s: float = 30) -> NatsBus:
    login = bus_users.login(section, {}, folder, SUPERVISOR)
    return await nats.connect(section.url, name="test", login=login, timeout_s=timeout_s, launch_renewer=launch)


async def acquired(bus: NatsBus) -> Lease:
    """A lease; after a start of the server its former holder has a time of grace."""
    while True:
        with suppress(Conflict):
            return await bus.acquire("partition.a", ttl_s=5, holder="one")
        await asyncio.sleep(0.2)


async def test_the_bus_does_all_it_must_with_a_key(site: KeySite) -> None:
    bus = await connected(site.section(site.file), site.folder)
    other = await connected(site.section(site.file), site.folder)

    async def answer(message: Message) -> bytes:
        return message.data + b"!"

    try:
        await streams.prepare(bus)
        await bus.put("state", "device.a", b"on")
        async with asyncio.timeout(60), other.watch("state") as entries, other.respond("ask.*", answer):
            first = await anext(entries)
            assert getattr(first, "data", None) == b"on"
            assert (await bus.request("ask.x", b"1", timeout_s=30)).data == b"1!"
            await bus.append("events.a.b", b"happened")
            async with other.replay("events", follow=False) as messages:
                assert [one.data async for one in messages] == [b"happened"]
            lease = await acquired(bus)
            assert not lease.lost
            await lease.release()
    finally:
        await other.close()
        await bus.close()


async def test_another_key_is_refused(site: KeySite) -> None:
    other = site.copy_with_another_key()
    with pytest.raises(Denied, match=f"the login with {other}"):
        await connected(site.section(other), site.folder, timeout_s=3)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 60, b"no seed", b"\xff\xfe" * 30])
async def test_a_file_without_a_key_is_named(site: KeySite, content: bytes) -> None:
    file = site.folder / "damaged"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        await connected(site.section(file), site.folder, timeout_s=3)
    assert str(file) in str(refused.value.cause)


def test_an_experiment_runs_with_a_key(site: KeySite) -> None:
    description = site.folder / "experiment.yaml"
    description.write_text(
        f"experiment: {{name: site}}\nbus: {{url: 'nats://127.0.0.1:{site.port}', {site.kind}: {site.file}}}\n"
        "runs:\n  systems:\n    TRD: {agent: {kind: simulated}}\n"
    )
    with up(description, site.folder / "data") as running:
        assert running.get("/systems")
        assert running.http.get("/healthz").status_code == 200
    assert "Violation" not in (site.folder / "server.log").read_text()

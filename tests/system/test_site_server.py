"""A NATS server of the site, with the file that `countingroom init` writes and with TLS, carries an experiment."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from countingroom.app import bus_users
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.server import binary
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.bus.server.process import choose_port
from countingroom.cli.main import run
from countingroom.core.errors import ConfigurationError, CountingRoomError, Denied, LinkError
from countingroom.experiment import Experiment, load
from tests.patience import PATIENCE_S
from tests.system.refused_login import is_refused
from tests.system.running import up

pytestmark = pytest.mark.server

AUTHORITY = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
    "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem"
)


class Site:
    """A server of the site, its description and its files."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.description = folder / "experiment.yaml"

    def describe(self, **more: str) -> Experiment:
        keys = {"url": f"nats://127.0.0.1:{self.port}", **more}
        lines = "".join(f"  {key}: {value}\n" for key, value in keys.items())
        systems = "runs:\n  systems:\n    TRD: {agent: {kind: simulated}}\n"
        self.description.write_text(f"experiment: {{name: site}}\nbus:\n{lines}{systems}")
        return load(self.description)


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    encrypted = getattr(request, "param", False)
    site = Site(tmp_path, choose_port("127.0.0.1", 0, 0))
    site.describe()
    assert run(["init", str(site.description), "--output", str(tmp_path / "secrets")]) == 0
    conf = [
        f"listen: 127.0.0.1:{site.port}",
        f'jetstream {{ store_dir: "{tmp_path}/store" }}',
        "include secrets/nats-permissions.conf",
    ]
    if encrypted:
        subprocess.run(AUTHORITY.split(), cwd=tmp_path, check=True, capture_output=True)
        conf.append(f'tls {{ cert_file: "{tmp_path}/certificate.pem", key_file: "{tmp_path}/key.pem" }}')
    (tmp_path / "server.conf").write_text("\n".join(conf) + "\n")
    program = asyncio.run(binary.find())
    process = subprocess.Popen([program, "-c", tmp_path / "server.conf", "-l", tmp_path / "server.log"])
    try:
        yield site
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@asynccontextmanager
async def client(section: BusSection, user: str, folder: Path) -> AsyncIterator[NatsBus]:
    login = bus_users.login(section, {}, folder, user)
    bus = await nats.connect(section.url, name="test", login=login, timeout_s=PATIENCE_S)
    try:
        yield bus
    finally:
        await bus.close()


async def test_the_file_of_init_lets_each_role_do_what_it_needs(site: Site) -> None:
    section = site.describe(users_file=str(site.folder / "secrets" / "bus-users.json")).bus
    async with client(section, SUPERVISOR, site.folder) as supervisor:
        await streams.prepare(supervisor)
    async with client(section, "agent-TRD", site.folder) as agent:
        await agent.put("state", "system.TRD", b"Idle")
        with pytest.raises(Denied):
            await agent.request("$JS.API.STREAM.PURGE.events", b"", timeout_s=PATIENCE_S)
        with pytest.raises(Denied):
            await agent.request("command.local.runs.mCBM", b"", timeout_s=PATIENCE_S)
    assert await is_refused(section.url)


def test_an_experiment_runs_on_the_server_of_the_site(site: Site) -> None:
    site.describe(users_file=str(site.folder / "secrets" / "bus-users.json"))
    with up(site.description, site.folder / "data") as running:
        assert running.get("/systems")
        assert running.http.get("/healthz").status_code == 200
    assert "Violation" not in (site.folder / "server.log").read_text()


@pytest.mark.parametrize("site", [True], indirect=True)
async def test_the_link_is_encrypted_and_the_server_must_be_the_right_one(site: Site) -> None:
    users_file = str(site.folder / "secrets" / "bus-users.json")
    section = site.describe(users_file=users_file, tls_ca=str(site.folder / "certificate.pem")).bus
    async with client(section, SUPERVISOR, site.folder) as supervisor:
        assert supervisor.connected
    (site.folder / "other").mkdir()
    subprocess.run(AUTHORITY.split(), cwd=site.folder / "other", check=True, capture_output=True)
    section = site.describe(users_file=users_file, tls_ca=str(site.folder / "other" / "certificate.pem")).bus
    login = bus_users.login(section, {}, site.folder, SUPERVISOR)
    with pytest.raises(LinkError):
        await nats.connect(section.url, name="test", login=login, timeout_s=1)


def test_init_keeps_the_passwords_of_users_that_exist(site: Site) -> None:
    file = site.folder / "secrets" / "bus-users.json"
    before = json.loads(file.read_text())["passwords"]
    assert run(["init", str(site.description), "--output", str(site.folder / "secrets")]) == 0
    assert json.loads(file.read_text())["passwords"] == before
    for name in ("bus-users.json", "nats-permissions.conf"):
        assert (site.folder / "secrets" / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"users_file": "users.json"}, "give url"),
        ({"tls_ca": "ca.pem"}, "give url"),
        ({"url": "nats://a:1", "user": "x", "users_file": "y"}, "give one of user and users_file"),
        ({"url": "nats://a:1", "tls_key": "k"}, "belong together"),
    ],
)
def test_logins_that_contradict_each_other_are_refused(keys: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        BusSection.model_validate(keys)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for keys in ({"tls_ca": "no-ca.pem"}, {"creds_file": "no.creds"}, {"users_file": "no.json"}):
        section = BusSection.model_validate({"url": "nats://127.0.0.1:1", **keys})
        with pytest.raises(ConfigurationError) as found:
            await nats.connect(
                section.url, name="test", login=bus_users.login(section, {}, tmp_path, SUPERVISOR), timeout_s=1
            )
        assert isinstance(found.value, CountingRoomError)
        assert next(iter(keys.values())) in str(found.value.cause)

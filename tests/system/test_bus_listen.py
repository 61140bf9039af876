"""The embedded server takes connections of other computers with TLS, and those of its own computer by loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.login import BusLogin, TlsFiles
from countingroom.bus.server.permissions import BusUser
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError
from tests.container_engines import make_certificates
from tests.patience import PATIENCE_S

REFUSED_S = 1.5
"""It is tried again and again for so long, and refused for the same reason each time."""
USER = BusUser(name="agent-STS", publish=("pulse.STS", "_INBOX.agent-STS.>"), subscribe=("_INBOX.agent-STS.>",))


async def connect(url: str, login: BusLogin, timeout_s: float = PATIENCE_S) -> None:
    """Get in with this login, and out again."""
    bus = await nats.connect(url, name="agent.STS.b", login=lambda: login, clock=SystemClock(), timeout_s=timeout_s)
    await bus.publish("pulse.STS", b"")
    await bus.close()


def authority(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    make_certificates(folder)
    return (folder / "ca.pem").read_text()


async def test_other_computers_connect_with_tls_and_check_the_server(tmp_path: Path) -> None:
    trusted, other = authority(tmp_path), authority(tmp_path / "other")
    files = {"certificate": "server.pem", "key": "server.key", "ca": "ca.pem"}
    section = BusSection.model_validate({"listen": {"address": "127.0.0.1", **files}})
    assert section.listen
    section = section.model_copy(update={"listen": section.listen.below(tmp_path)})
    server = EmbeddedServer(tmp_path / "bus", description=section, users=[USER], clock=SystemClock())
    await server.start()
    try:
        assert '"listen": "0.0.0.0:' in (tmp_path / "bus" / "nats.conf").read_text()
        plain = server.login("agent-STS")
        await connect(server.url, plain)  # a process of this computer
        url = server.url.replace("nats://", "tls://")
        await connect(url, structs.replace(plain, tls=TlsFiles(authority=trusted)))
        with pytest.raises(CountingRoomError, match="certificate"):
            await connect(url, structs.replace(plain, tls=TlsFiles(authority=other)), REFUSED_S)
    finally:
        await server.stop()


async def test_a_client_with_tls_files_sends_no_password_to_a_server_without_tls(tmp_path: Path) -> None:
    trusted = authority(tmp_path)
    server = EmbeddedServer(tmp_path / "bus", description=BusSection(), users=[USER], clock=SystemClock())
    await server.start()
    try:
        with pytest.raises(CountingRoomError, match="offers no TLS"):
            login = structs.replace(server.login("agent-STS"), tls=TlsFiles(authority=trusted))
            await connect(server.url, login, REFUSED_S)
    finally:
        await server.stop()

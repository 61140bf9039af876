"""The bus over WebSocket, whose library is loaded for such a connection alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from countingroom.bus.server.binary import find
from tests.patience import PATIENCE_S

PROGRAM = """
import asyncio, json, sys
from countingroom.bus import nats
from countingroom.bus.login import BusLogin
from countingroom.core.clock import SystemClock

before = "aiohttp" in sys.modules

async def main():
    url, timeout_s = sys.argv[1], float(sys.argv[2])
    bus = await nats.connect(url, name="test", login=BusLogin, clock=SystemClock(), timeout_s=timeout_s)
    await bus.publish("test", b"")
    await bus.close()

asyncio.run(main())
print(json.dumps([before, "aiohttp" in sys.modules]))
"""


def test_the_library_for_websocket_is_loaded_with_such_a_url(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:-1", jetstream {{ store_dir: "{tmp_path}" }}\n'
        'websocket { listen: "127.0.0.1:-1", no_tls: true }\n'
    )
    with subprocess.Popen([asyncio.run(find()), "-c", config], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr
            address = next(line for line in server.stderr if "websocket clients" in line).split()[-1]
            words = [sys.executable, "-c", PROGRAM, address, str(PATIENCE_S)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
        finally:
            server.kill()
    assert done.stderr == ""
    assert json.loads(done.stdout) == [False, True]

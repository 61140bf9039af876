"""MQTT sensors are judged before a real mosquitto."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from countingroom.core.values import Scalar
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from tests.patience import PATIENCE_S


class Mosquitto:
    """A broker of the test's own, on loopback, with or without a password."""

    def __init__(self, *, user: str = "", password: str = "") -> None:
        self.place = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
            self.websocket_port = int(other.getsockname()[1])
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_dest none"]
        lines += [f"listener {self.websocket_port} 127.0.0.1", "protocol websockets"]
        if user:
            users = self.place / "users"
            users.write_text(f"{user}:{password}\n")
            lines += ["allow_anonymous false", f"password_file {users}"]
            self._hash = users
        else:
            lines += ["allow_anonymous true"]
            self._hash = None
        (self.place / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        if self._hash and not self._hash.read_text().partition(":")[2].startswith("$"):
            await (await asyncio.create_subprocess_exec(_program("mosquitto_passwd"), "-U", str(self._hash))).wait()
            self._hash.chmod(0o644)
            self.place.chmod(0o755)
        self._process = await asyncio.create_subprocess_exec(
            _program("mosquitto"), "-c", str(self.place / "mosquitto.conf"), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def end(self) -> None:
        await self.stop()
        shutil.rmtree(self.place)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found
    return found


class MqttHarness:
    needs = "mosquitto"
    point = "ESP01.lamp"
    values: tuple[Scalar, Scalar] = (3.5, 1.0)
    patience_s = 60.0

    async def start(self) -> None:
        self.broker = Mosquitto()
        await self.broker.start()

    def driver(self) -> MqttSensorsDriver:
        return MqttSensorsDriver(
            MqttSensorsSection.model_validate(
                {
                    "driver": "mqtt",
                    "port": self.broker.port,
                    "sensors": {"ESP01": "cold box", "ESP02": ""},
                    "values": {
                        "DS_temp": {"topic": "{sensor}/sensors/#/DS/temp", "unit": "degC"},
                        "lamp": {
                            "topic": "{sensor}/lamp",
                            # Without a board that repeats it, the setpoint is its own readback.
                            "set_topic": "{sensor}/lamp",
                            "write_low": 0,
                            "write_high": 10,
                        },
                    },
                }
            )
        )

    def written(self) -> int:
        return 0

    async def drop(self) -> None:
        await self.broker.stop()

    async def restore(self) -> None:
        await self.broker.start()

    async def stop(self) -> None:
        await self.broker.end()


def harness() -> MqttHarness:
    return MqttHarness()

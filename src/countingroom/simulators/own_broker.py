"""The broker of a simulated device, in a folder that holds its password; it is found again after a restart."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from countingroom.core.temporary_folder import TemporaryFolder
from countingroom.simulators.mqtt_broker import Receive, SimulatedBroker

PORT_FILE, PASSWORD_FILE = "port", "password"
"""Files in the folder of the broker, for a person who looks at what is published."""


class OwnBroker:
    """One broker on loopback with one user, at the address of the earlier process where there was one."""

    def __init__(self, user: str, receive: Receive, again: Mapping[str, Any]) -> None:
        """`again`: what `start` returned in the earlier process; `receive` gets each message of a client."""
        self._again = again
        former = str(again.get("password_file", ""))
        self._folder = TemporaryFolder("broker", former=Path(former).parent if former else None)
        self._secret = self._folder.path / PASSWORD_FILE
        if not self._secret.exists():
            self._secret.touch(mode=0o600)
            self._secret.write_text(secrets.token_urlsafe(16))
        self.broker = SimulatedBroker(user=user, password=self._secret.read_text(), receive=receive)

    async def start(self) -> Mapping[str, Any]:
        """Listen; the address and the account for a driver."""
        await self.broker.open(int(self._again.get("port", 0)))
        (self._folder.path / PORT_FILE).write_text(str(self.broker.port))
        return {
            "host": "127.0.0.1",
            "port": self.broker.port,
            "user": self.broker.user,
            "password_file": str(self._secret),
        }

    async def stop(self) -> None:
        """Close it and remove its folder."""
        await self.broker.close()
        self._folder.remove()

"""The agent of Net-SNMP (snmpd), which we did not write, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

FIRST, SECOND = "first-password", "second-password"
CONFIGURATION = f"""
agentaddress udp:127.0.0.1:{{port}}
rocommunity public
rwcommunity writers-only
createUser open
createUser signed SHA "{FIRST}"
createUser secret SHA-256 "{FIRST}" AES "{SECOND}"
rouser open noauth
rwuser signed auth
rwuser secret priv
sysObjectID .1.3.6.1.4.1.19947.1.1
extend temp /bin/echo 21.50 C
override -rw .1.3.6.1.4.1.8072.9999.1.0 integer 5
override -rw .1.3.6.1.4.1.8072.9999.2.0 uinteger 3000000000
override .1.3.6.1.4.1.8072.9999.4.0 octet_str "17.25"
"""


class NetSnmpAgent:
    """Starts and kills the agent, always at the same port."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        (folder / "agent.conf").write_text(CONFIGURATION.format(port=self.port))

    def start(self) -> None:
        """The agent listens when this returns."""
        self._process = subprocess.Popen(
            [self._program, "-f", "-C", "-c", str(self._folder / "agent.conf"), "-Lo"],
            cwd=self._folder,
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(self._folder), "MIBS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said: list[str] = []
        for line in self._process.stdout:
            said.append(line)
            if line.startswith("NET-SNMP version"):
                return
        raise AssertionError(f"snmpd ended: {''.join(said)}")

    def stop(self) -> None:
        """The agent is gone; it keeps how often it was started."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

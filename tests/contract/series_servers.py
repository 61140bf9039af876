"""An InfluxDB and a VictoriaMetrics of our own, on free ports of loopback, gone without a trace when stopped."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

_DEADLINE_S = 60.0
_EVERY_S = 0.02

_INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
[logging]
  level = "warn"
"""

_BROKEN_PART = re.compile(r'"(/[^"]+/data/(?:small|big)/[^"/]+/[^"/]+)": unexpected number of substrings')


class SeriesServer(ABC):
    """A server of time series. `kill` ends it as a crash does, `start` runs it again with its data."""

    health = ""

    def __init__(self, program: str) -> None:
        self._program = program
        self._port, self._rpc = _free_port(), _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="countingroom-series-"))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    @abstractmethod
    def arguments(self) -> list[str]:
        """Of its command."""

    def start(self) -> None:
        """Run it, until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *self.arguments()], stdout=log, stderr=log)
        end = time.monotonic() + _DEADLINE_S
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(self.url + self.health, trust_env=False).is_success:
                    return
            time.sleep(_EVERY_S)
        raise RuntimeError(f"{self._program} did not start: {(self._folder / 'log').read_text()[-4000:]}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait(_DEADLINE_S)

    def stop(self) -> None:
        """End it and forget its data."""
        self.kill()
        shutil.rmtree(self._folder)

    def backup(self) -> None:
        """Keep its data of now; it is down meanwhile."""
        self.kill()
        shutil.copytree(self._folder / "kept", self._folder / "backup")
        self.start()

    def restore(self) -> None:
        """Go back to the data of the backup."""
        self.kill()
        shutil.rmtree(self._folder / "kept")
        (self._folder / "backup").rename(self._folder / "kept")
        self.start()

    def name(self) -> str:
        """A name that no other test has: of a database, or the first part of the names of metrics."""
        return f"test{next(self._numbers)}"

    @property
    def folder(self) -> Path:
        """Where it keeps its data."""
        return self._folder / "kept"

    @contextmanager
    def small_disk(self) -> Generator[Path]:
        """Its data on a file system of 48 MiB: its folder. Without the right to mount one the test is skipped."""
        self.kill()
        self.folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(self.folder)]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            self.start()
            pytest.skip("only root may mount a small file system")
        self.start()
        try:
            yield self.folder
        finally:
            self.kill()
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
            self.start()


class InfluxServer(SeriesServer):
    """InfluxDB 1."""

    health = "/ping"

    def arguments(self) -> list[str]:
        file = self._folder / "influx.conf"
        file.write_text(_INFLUX.format(rpc=self._rpc, port=self._port, folder=self.folder))
        return ["-config", str(file)]

    def ask(self, query: str, database: str = "") -> list[dict[str, object]]:
        """The series of an answer."""
        answer = httpx.post(f"{self.url}/query", data={"q": query, "db": database, "epoch": "ns"}, trust_env=False)
        found: list[dict[str, object]] = answer.raise_for_status().json()["results"][0].get("series", [])
        return found


class VictoriaMetricsServer(SeriesServer):
    """VictoriaMetrics of one node."""

    health = "/health"
    _began = 0

    def start(self) -> None:
        # Its processes are told apart by the second in which they began.
        while int(time.time()) == self._began:
            time.sleep(_EVERY_S)
        self._began = int(time.time())
        while True:
            try:
                super().start()
            except RuntimeError as error:
                broken = _BROKEN_PART.search(str(error))
                if broken is None:
                    raise
                # Version 1.112 does not start with a part that a full disk cut off; the reference page has the remedy.
                shutil.rmtree(broken[1])
            else:
                return

    def arguments(self) -> list[str]:
        return [
            f"-storageDataPath={self.folder}",
            f"-httpListenAddr=127.0.0.1:{self._port}",
            "-retentionPeriod=20y",
            "-loggerLevel=WARN",
        ]

    def values(self, metric: str) -> list[float]:
        """The samples of all series of a name, each as often as it is stored."""
        form = {"match[]": metric, "start": "0", "end": "4000000000"}
        answer = httpx.post(f"{self.url}/api/v1/export", data=form, trust_env=False).raise_for_status()
        return [value for line in answer.text.splitlines() for value in json.loads(line)["values"]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A PostgreSQL of our own, on a free port of loopback, gone without a trace when it is stopped."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg

from countingroom.storage.database import Database


class Postgres:
    """A server; root starts it as the user postgres, because it refuses to run as root."""

    def __init__(self, initdb: str, more: str = "") -> None:
        """`more`: options of the server."""
        self._more = more
        self._bin = Path(initdb).parent
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._folder = Path(tempfile.mkdtemp(prefix="countingroom-pg-"))
        self._numbers = itertools.count(1)
        self._migrated = ""
        self._as: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as = ["runuser", "-u", "postgres", "--"]

    def start(self) -> None:
        """Make a cluster and run it."""
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        self.resume()

    def resume(self) -> None:
        """Run the cluster, at the address that it had."""
        data = self._folder / "data"
        # A crash of the server loses nothing by `fsync=off`, only one of the computer does.
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off "
            f"{self._more}"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", log, "-o", options, "start")

    def halt(self) -> None:
        """End it as a crash does; `resume` runs it again."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def kill(self) -> None:
        """End its main process by SIGKILL. The others end when they notice."""
        os.kill(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def stop(self) -> None:
        """End it and forget its data."""
        with suppress(RuntimeError):  # a test may have ended it
            self.halt()
        shutil.rmtree(self._folder)

    def database(self, like: str = "template1") -> str:
        """The address of a new database: an empty one, or a copy of another one, which has no connection now."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
        return self._address(name)

    async def migrated(self) -> str:
        """The address of a new database that has its tables: a copy of the first one, as migrating takes longer."""
        if not self._migrated:
            first = Database(url := self.database())
            await first.open()
            await first.close()
            self._migrated = url.rpartition("/")[2]
        return self.database(self._migrated)

    def _address(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._bin / program), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            timeout=120,
            check=False,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

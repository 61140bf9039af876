"""The server of EPICS as a child process, while this block runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec

from countingroom.core.clock import timeout
from countingroom.core.errors import LinkError
from countingroom.pvs.table import PvRecord, PvRow

START_S = 30.0
"""Deadline of the start."""
SEND_S = 10.0
"""Deadline for taking values: a server that is frozen is ended, and started again."""


class PvServer:
    """A server that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self, rows: Sequence[PvRow]) -> None:
        """Give it values; LinkError where it has ended, or does not take them in time."""
        if self._process.stdin is None or self._process.stdout is None:
            raise _ended()
        try:
            async with timeout(SEND_S):
                self._process.stdin.write(msgspec.json.encode(rows) + b"\n")
                await self._process.stdin.drain()
                if not await self._process.stdout.readline():
                    raise _ended()
        except ConnectionError as error:
            raise _ended() from error
        except TimeoutError as error:
            raise LinkError(f"the server of EPICS has taken no values for {SEND_S:g} s", source="pvs") from error

    async def ended(self) -> None:
        """Return when the process has ended."""
        await self._process.wait()


def _ended() -> LinkError:
    return LinkError("the process with the server of EPICS has ended", source="pvs")


@asynccontextmanager
async def served(records: Sequence[PvRecord], environment: Mapping[str, str]) -> AsyncGenerator[PvServer]:
    """A server of these records; LinkError where it does not come up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "countingroom.pvs.ioc_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        server = PvServer(process)
        answer = b""
        if process.stdin is not None and process.stdout is not None:
            with suppress(TimeoutError, ConnectionError):
                async with timeout(START_S):
                    process.stdin.write(msgspec.json.encode(records) + b"\n")
                    answer = await process.stdout.readline()
        if not answer:
            raise LinkError(
                "the server of EPICS did not start",
                source="pvs",
                suggestion="look into its log, and whether its ports are free",
            )
        yield server
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

"""The server of EPICS as a child process, while this block runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec

from countingroom.core.clock import timeout
from countingroom.core.errors import LinkError
from countingroom.pvs.wire import TAKEN, IocBatch, IocSetup, PvPut

START_S = 30.0
"""Deadline of the start."""
SEND_S = 10.0
"""Deadline for taking values: a server that is frozen is ended, and started again."""


OnPut = Callable[[PvPut], None]


class PvServer:
    """A server that runs."""

    def __init__(self, process: asyncio.subprocess.Process, on_put: OnPut) -> None:
        self._process = process
        self._on_put = on_put
        self._taken = asyncio.Event()
        self._has_ended = False

    async def send(self, batch: IocBatch) -> None:
        """Give it values; LinkError where it has ended, or does not take them in time."""
        if self._process.stdin is None or self._has_ended:
            raise _ended()
        self._taken.clear()
        try:
            async with timeout(SEND_S):
                self._process.stdin.write(msgspec.json.encode(batch) + b"\n")
                await self._process.stdin.drain()
                await self._taken.wait()
            if self._has_ended:
                raise _ended()
        except ConnectionError as error:
            raise _ended() from error
        except TimeoutError as error:
            raise LinkError(f"the server of EPICS has taken no values for {SEND_S:g} s", source="pvs") from error

    async def hear(self) -> None:
        """Take what it says; return when it has ended."""
        try:
            while line := await self._line():
                if line == TAKEN:
                    self._taken.set()
                else:
                    self._on_put(_put(line))
            await self._process.wait()
        finally:
            self._has_ended = True
            self._taken.set()

    async def _line(self) -> bytes:
        return await self._process.stdout.readline() if self._process.stdout else b""


def _put(line: bytes) -> PvPut:
    try:
        return msgspec.json.decode(line, type=PvPut)
    except msgspec.DecodeError as error:
        raise LinkError(
            f"the process with the server of EPICS says what is not understood: {error}", source="pvs"
        ) from error


def _ended() -> LinkError:
    return LinkError("the process with the server of EPICS has ended", source="pvs")


@asynccontextmanager
async def served(setup: IocSetup, environment: Mapping[str, str], on_put: OnPut) -> AsyncGenerator[PvServer]:
    """A server of these records; LinkError where it does not come up. `on_put`: takes what clients write."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "countingroom.pvs.ioc_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        server = PvServer(process, on_put)
        answer = b""
        if process.stdin is not None and process.stdout is not None:
            with suppress(TimeoutError, ConnectionError):
                async with timeout(START_S):
                    process.stdin.write(msgspec.json.encode(setup) + b"\n")
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

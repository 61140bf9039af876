"""`simulate` of a door: tells names of files as if nodes had written them, for tests of what follows the images."""

from __future__ import annotations

import asyncio
import glob
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from countingroom.core.clock import Clock, within
from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.policy import Permission
from countingroom.doors.orders import FleetOrders
from countingroom.doors.running import RunningCommand

MOST_FILES = 10_000
SHORTEST_S = 0.05


class Simulation:
    """The one simulation of a door. It ends when it is stopped, or its connection ends."""

    def __init__(
        self, clock: Clock, actor: str, folder: Path | None, enabled: Callable[[], Sequence[str]], orders: FleetOrders
    ) -> None:
        """`folder`: below which files may be named. `enabled`: the nodes that are named."""
        self._clock = clock
        self._path = f"{actor}-command-parser_simulate"
        self._folder = folder
        self._enabled = enabled
        self._orders = orders
        self._stop: asyncio.Event | None = None

    def run(self, command: RunningCommand, values: Mapping[str, Any]) -> Awaitable[None]:
        """Begin it, or stop the one that runs."""
        if values["stop"]:
            return self._end(command)
        command.more_s = None
        return self._simulate(command, values)

    async def _end(self, command: RunningCommand) -> None:
        await self._orders.allow(command, Permission.SIMULATE)
        if self._stop is None:
            command.fail(f"Cannot find running command {self._path}.")
            return
        command.done(text="Command has been scheduled for cancellation.")
        self._stop.set()

    async def _simulate(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        await self._orders.allow(command, Permission.SIMULATE)
        if self._stop is not None:
            command.fail(f"Another command {self._path} is already running.")
            return
        if (pattern := values["glob"]) is None:
            command.fail("A valid path pattern is required to start the simulation.")
            return
        if values["delay"] < SHORTEST_S:
            raise OutOfRange(
                f"a delay of {values['delay']:g} s is too short", suggestion=f"give {SHORTEST_S:g} s or more"
            )
        self._stop = stop = asyncio.Event()
        try:
            await self._tell(command, await self._files(pattern), values, stop)
        finally:
            self._stop = None
        command.fail("This command has been cancelled.")

    async def _tell(
        self, command: RunningCommand, files: list[str], values: Mapping[str, Any], stop: asyncio.Event
    ) -> None:
        if values["random"]:
            random.shuffle(files)
        images = itertools.cycle(files)
        while command.connection.is_open and not stop.is_set():
            for node in self._enabled():
                command.info(filename=[node, node, next(images)])
            try:
                async with within(self._clock, values["delay"]):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _files(self, pattern: str) -> list[str]:
        if self._folder is None:
            raise NotFound(
                "this door has no folder of images", code="no_images", suggestion="give the door the key images"
            )
        found = await asyncio.to_thread(_below, self._folder, pattern)
        if not found:
            raise NotFound("No images found.", suggestion=f"name files below {self._folder}")
        return found


def _below(folder: Path, pattern: str) -> list[str]:
    """Files that fit the pattern and are in the folder, also by their links."""
    root = folder.resolve()
    path = root / pattern
    if ".." in path.parts or not path.is_relative_to(root):
        return []
    names = itertools.islice(glob.iglob(str(path)), MOST_FILES)  # noqa: PTH207 - a pattern may be absolute
    return [name for name in names if Path(name).resolve().is_relative_to(root)]

"""The commands of the simulated camera, and its faults."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from countingroom import __version__
from countingroom.core.actor.messages import MessageCode
from countingroom.core.actor.words import split_words
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, RequestError
from countingroom.simulators.camera.actor_server import ActorRequest
from countingroom.simulators.camera.frames import FLAVOURS, Exposure, write

READ_S = 0.2
"""Time to read the CCD."""
FAULTS = ("none", "fail", "hang", "drop", "exit")
_LONGEST_S = 3600.0
_EXIT_STATUS = 70


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(message, source="camera", code="wrong_argument")


def _parser() -> _Parser:
    """The commands. Their help is what `help` answers."""
    parser = _Parser(prog="camera", add_help=False)
    commands = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, add_help=False)

    command("ping", "Answer.")
    command("version", "Tell the version.")
    command("status", "Tell temperature, state and fault.")
    command("help", "Tell this list.")
    command("abort", "End the exposure without an image.")
    expose = command("expose", "Expose for some seconds and write a FITS file.")
    expose.add_argument("seconds", type=float, nargs="?", default=1.0)
    expose.add_argument("--flavour", choices=FLAVOURS, default="object")
    for name in FLAVOURS:
        expose.add_argument(f"--{name}", dest="flavour", action="store_const", const=name)
    simulate = command("simulate", "Tell the images of the folder again, one after the other.")
    simulate.add_argument("glob", nargs="?", default="*.fits")
    simulate.add_argument("--delay", type=float, default=5.0)
    simulate.add_argument("--random", action="store_true")
    simulate.add_argument("--stop", action="store_true")
    fault = command("fault", "Fail, hang, drop connections or exit from the next expose on; none: work again.")
    fault.add_argument("kind", choices=FAULTS)
    return parser


class Camera:
    """One camera. `serve` carries out a command of an actor."""

    def __init__(self, clock: Clock, name: str, folder: Path, *, observatory: str = "", size: int = 256) -> None:
        """`folder`: for the images. `size`: pixels of an edge."""
        self._clock = clock
        self._name = name
        self._folder = folder
        self._observatory = observatory
        self._size = size
        self._random = random.Random()  # noqa: S311 - noise
        self._parser = _parser()
        self._exposing: asyncio.Task[None] | None = None
        self._replaying: asyncio.Task[None] | None = None
        self._fault = "none"
        self._commands = {
            "ping": self._ping,
            "version": self._version,
            "status": self._status,
            "help": self._help,
            "abort": self._abort,
            "expose": self._expose,
            "simulate": self._simulate,
            "fault": self._set_fault,
        }
        self._drop = _nothing
        self._exit = os._exit

    def on_fault(self, drop: Any, exit: Any) -> None:
        """`drop`: closes all connections. `exit`: ends the process with a status."""
        self._drop = drop
        self._exit = exit

    async def serve(self, request: ActorRequest) -> None:
        """Carry out a command."""
        try:
            given = self._parser.parse_args(split_words(request.command.body))
            request.reply(MessageCode.STARTED)
            done = await self._commands[given.verb](request, given)
            request.reply(MessageCode.DONE, done)
        except CountingRoomError as error:
            request.reply(MessageCode.FAILED, {"error": error.cause.message})
        except asyncio.CancelledError:
            request.reply(MessageCode.FAILED, {"error": "cancelled"})
            raise

    async def _ping(self, request: ActorRequest, given: argparse.Namespace) -> Mapping[str, Any]:
        return {"text": "Pong."}

    async def _version(self, request: ActorRequest, given: argparse.Namespace) -> Mapping[str, Any]:
        return {"version": __version__}

    async def _help(self, request: ActorRequest, given: argparse.Namespace) -> None:
        request.reply(MessageCode.INFO, {"help": [line for line in self._parser.format_help().splitlines() if line]})

    async def _status(self, request: ActorRequest, given: argparse.Namespace) -> None:
        status = {
            "camera": self._name,
            "temperature": round(self._temperature(), 2),
            "state": "exposing" if self._exposing else "idle",
            "fault": self._fault,
        }
        request.reply(MessageCode.INFO, {"status": status})

    async def _set_fault(self, request: ActorRequest, given: argparse.Namespace) -> None:
        self._fault = given.kind

    async def _expose(self, request: ActorRequest, given: argparse.Namespace) -> None:
        if not 0 <= given.seconds <= _LONGEST_S:
            raise RequestError(f"an exposure takes 0 to {_LONGEST_S:g} s, not {given.seconds:g} s", source="camera")
        if self._exposing:
            raise RequestError("an exposure is under way", source="camera", code="busy")
        self._exposing = task = asyncio.create_task(self._integrate(request, given.seconds, given.flavour))
        try:
            await asyncio.wait([task])
        finally:
            self._exposing = None
            task.cancel()
        if task.cancelled():
            raise RequestError("the exposure was aborted", source="camera", code="aborted")
        task.result()

    async def _integrate(self, request: ActorRequest, seconds: float, flavour: str) -> None:
        started_ns = self._clock.now_ns()
        request.reply(MessageCode.INFO, {"exposure_state": "integrating", "exposure_time": seconds})
        await self._clock.sleep(0.0 if flavour == "bias" else seconds)
        await self._break_down()
        request.reply(MessageCode.INFO, {"exposure_state": "reading"})
        await self._clock.sleep(READ_S)
        exposure = Exposure(
            flavour=flavour,
            seconds=seconds,
            started_ns=started_ns,
            camera=self._name,
            temperature_c=self._temperature(),
            observatory=self._observatory,
        )
        path = await asyncio.to_thread(write, exposure, self._folder, self._size, np.random.default_rng())
        request.reply(MessageCode.INFO, {"filename": {"camera": self._name, "filename": str(path)}})

    async def _break_down(self) -> None:
        """The fault that was asked for."""
        match self._fault:
            case "fail":
                raise RequestError("the CCD does not answer (asked for by the command fault)", source="camera")
            case "hang":
                await asyncio.Event().wait()
            case "drop":
                self._drop()
            case "exit":
                self._exit(_EXIT_STATUS)
            case _:
                pass

    async def _abort(self, request: ActorRequest, given: argparse.Namespace) -> None:
        if self._exposing is None:
            raise RequestError("no exposure is under way", source="camera", code="idle")
        self._exposing.cancel()

    async def _simulate(self, request: ActorRequest, given: argparse.Namespace) -> None:
        if self._replaying:
            self._replaying.cancel()
            self._replaying = None
        elif given.stop:
            raise RequestError("no simulation runs", source="camera", code="idle")
        if given.stop:
            return
        self._replaying = task = asyncio.create_task(self._replay(request, given))
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        finally:
            task.cancel()
        if not task.cancelled():
            task.result()

    async def _replay(self, request: ActorRequest, given: argparse.Namespace) -> None:
        place = 0
        while True:
            names = await asyncio.to_thread(self._names, given.glob)
            if not names:
                raise RequestError(f"there is no image {given.glob} in {self._folder}", source="camera")
            name = names[self._random.randrange(len(names)) if given.random else place % len(names)]
            place += 1
            request.reply(MessageCode.INFO, {"filename": {"camera": self._name, "filename": str(self._folder / name)}})
            await self._clock.sleep(max(given.delay, 0.01))

    def _names(self, pattern: str) -> list[str]:
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        return sorted(name for name in names if fnmatchcase(name, pattern) and not name.startswith("."))

    def _temperature(self) -> float:
        return -20.0 + self._random.gauss(0.0, 0.1)


def _nothing() -> None:
    """There are no connections."""

"""Law: a process that plays roles: connects, runs them until it is told to end, and says goodbye."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from countingroom.app import parent_watch
from countingroom.app.garbage_collection import collect
from countingroom.app.roles import ROLES, Ready, Role, Setting
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import ConfigurationError, CountingRoomError
from countingroom.experiment import Experiment

_log = logging.getLogger(__name__)


class ServeTask(Struct, frozen=True, kw_only=True):
    """What a serving process is to do."""

    experiment: Experiment
    directory: Path
    """Of the description."""
    roles: tuple[str, ...]
    bus_url: str
    data: Path
    port: int
    overrides: dict[str, dict[str, Any]] = {}
    systems: tuple[str, ...] = ()
    """Those whose agents are run; empty: all."""


def run_in_foreground(task: ServeTask) -> None:
    """Play roles in the foreground until Ctrl-C or SIGTERM."""
    _log_to_stderr()

    def ready(role: str, said: Mapping[str, Any]) -> None:
        details = ", ".join(f"{key} {value}" for key, value in said.items() if value)
        sys.stderr.write(f"{role} serves{': ' + details if details else ''}\n")

    asyncio.run(run_until_stopped(task, ready, prepare=True, supervised=False))


def run_as_child(task: ServeTask) -> None:
    """Play one role as a child: see parent_watch.py for the words spoken."""
    _log_to_stderr()
    words = parent_watch.Words()
    try:
        parameters = parent_watch.parameters()
        task = structs.replace(task, overrides=parameters.get("overrides", {}))
        asyncio.run(run_until_stopped(task, lambda _role, said: words.ready(said), prepare=False, supervised=True))
    except CountingRoomError as error:
        words.refused(error.cause)
        raise


async def run_until_stopped(
    task: ServeTask, ready: Callable[[str, Mapping[str, Any]], None], *, prepare: bool, supervised: bool
) -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    if this is None:
        raise RuntimeError("roles are played inside a task")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, this.cancel)
    if supervised:
        parent_watch.when_parent_ends(lambda: loop.call_soon_threadsafe(this.cancel))
    with contextlib.suppress(asyncio.CancelledError):
        await _play(task, ready, prepare=prepare)


async def _play(task: ServeTask, ready: Callable[[str, Mapping[str, Any]], None], *, prepare: bool) -> None:
    clock = SystemClock()
    section = task.experiment.bus
    url = task.bus_url or section.url
    setting = Setting(
        experiment=task.experiment,
        directory=task.directory,
        clock=clock,
        data=task.data,
        port=task.port,
        connect=lambda name: connect(section, url, name, clock),
        overrides=task.overrides,
        systems=task.systems,
    )
    roles = {name: ROLES[name](setting) for name in task.roles}
    bus = await connect(section, url, "+".join(task.roles), clock)
    try:
        if prepare:
            await streams.prepare(bus, max_bytes=section.max_bytes)
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(collect(clock), name="collector")
            async with asyncio.TaskGroup() as playing:
                for name, role in roles.items():
                    playing.create_task(_run(role, bus, functools.partial(ready, name)), name=name)
            beside.cancel()
    except BaseExceptionGroup as failures:
        raise first_of(failures) from failures
    finally:
        await bus.close()


async def _run(role: Role, bus: Bus, ready: Ready) -> None:
    await role(bus, ready)


async def connect(section: BusSection, url: str, name: str, clock: Clock) -> Bus:
    """The bus under the identity that the description gives us."""
    return await nats.connect(url, name=name, user=section.user, password=section.password(), clock=clock)


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one worth telling: our own kind where there is one, else the first."""
    known, _ = failures.split(CountingRoomError)
    failure: BaseException = known or failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return failure  # pyright: ignore[reportUnknownVariableType]


def known_roles(names: Sequence[str]) -> tuple[str, ...]:
    """The names, checked."""
    if unknown := [name for name in names if name not in ROLES]:
        raise ConfigurationError(
            f"there is no role {unknown[0]}",
            source="serve",
            suggestion=f"choose from {', '.join(ROLES)}",
        )
    return tuple(names)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr
    )
    for noisy in ("httpx", "uvicorn.error", "pymodbus", "nats"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

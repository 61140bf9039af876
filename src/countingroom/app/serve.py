"""A process that runs roles of the departments' table until it is stopped: `countingroom serve`.

It connects to the bus, runs its roles, and ends when one of them fails. `up` starts one such process for each role.
"""

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

from countingroom.app import bus_users, parent_watch
from countingroom.app.child_process import launch, launch_by
from countingroom.app.common_start import set_log_levels
from countingroom.app.file_limit import raise_file_limit
from countingroom.app.garbage_collection import collect
from countingroom.app.reload.in_force import experiment_of
from countingroom.app.reload.orders import ReloadOrders
from countingroom.app.roles import Platform, Ready, Role, Setting
from countingroom.app.shared_renewer import renewer_at, socket_beside
from countingroom.app.watchdog import TICK_S
from countingroom.bus import nats, streams
from countingroom.bus.dead_letters import DeadLetters
from countingroom.bus.login import BusLogin
from countingroom.bus.nats.renewal_process import LaunchRenewer
from countingroom.bus.port import Bus
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.core.clock import Clock, SystemClock, pause_to_multiple
from countingroom.core.errors import ConfigurationError, CountingRoomError
from countingroom.core.plain_text import readable
from countingroom.core.umask import keep_files_private
from countingroom.departments import ProcessRole, load, roles
from countingroom.experiment import Experiment

_log = logging.getLogger(__name__)


class ServeTask(Struct, frozen=True, kw_only=True):
    """The parameters of a `serve` process."""

    experiment: Experiment
    directory: Path
    """Directory of the description."""
    file: Path | None = None
    """The description itself."""
    roles: tuple[str, ...]
    bus_url: str
    """Empty: that of the description, or of the embedded server on the data folder."""
    data: Path
    port: int
    overrides: dict[str, dict[str, Any]] = {}
    passwords: dict[str, str] = {}
    """User of the embedded server -> password, from the parent; empty: those of the data folder."""
    simulate: bool = False
    """Whether simulators stand in place of hardware."""
    again: bool = False
    """Whether it takes the place of a process that was ready: the database may be away now."""
    systems: tuple[str, ...] = ()
    """Systems whose agents this process runs; empty: all."""
    service: BusLogin | None = None
    """The one login of a service of the fleet; None: it is none."""
    launch: LaunchRenewer = launch
    """Starts the process that renews the leases, or connects to it."""


class ReadableFormatter(logging.Formatter):
    """Writes characters on which a terminal acts as escapes: lines of programs and texts of devices are logged."""

    def format(self, record: logging.LogRecord) -> str:
        return str(readable(super().format(record)))


def run_in_foreground(task: ServeTask, *, prepare: bool = True) -> None:
    """Run roles in the foreground until Ctrl-C or SIGTERM. `prepare`: make the streams of the bus first, which needs
    the rights of all roles."""
    _log_to_stderr()
    keep_files_private()

    def ready(role: str, facts: Mapping[str, Any]) -> None:
        details = ", ".join(f"{key} {value}" for key, value in facts.items() if value)
        sys.stderr.write(f"{role} serves{': ' + details if details else ''}\n")

    prepare = prepare and not bus_users.is_embedded(task.experiment.bus, task.data)  # `up` has prepared that one
    asyncio.run(run_until_stopped(task, ready, prepare=prepare, parent=None))


def run_as_child(task: ServeTask) -> None:
    """Run one role as a child of `up`, with the protocol of parent_watch.py."""
    _log_to_stderr()
    parent = parent_watch.ParentReport()
    try:
        parameters = parent_watch.parameters()
        reloaded = parameters.get("description")
        task = structs.replace(
            task,
            experiment=experiment_of(Path(reloaded), task.directory) if reloaded else task.experiment,
            overrides=parameters["overrides"],
            passwords=parameters["passwords"],
            simulate=parameters["simulate"],
            again=parameters["again"],
            launch=renewer_at(
                socket_beside(Path(parameters["fork_server"])), launch_by(Path(parameters["fork_server"]))
            ),
        )
        asyncio.run(run_until_stopped(task, lambda _role, facts: parent.ready(facts), prepare=False, parent=parent))
    except CountingRoomError as error:
        parent.refused(error.cause)
        raise


async def run_until_stopped(
    task: ServeTask,
    ready: Callable[[str, Mapping[str, Any]], None],
    *,
    prepare: bool,
    parent: parent_watch.ParentReport | None,
) -> None:
    """Run the roles until a signal cancels them. With a `parent` its end cancels them too, and it gets ticks."""
    raise_file_limit()
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    if this is None:
        raise RuntimeError("roles run inside a task")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, this.cancel)
    orders = ReloadOrders(parent.reply) if parent else ReloadOrders()
    if parent:
        parent_watch.when_parent_ends(
            lambda: loop.call_soon_threadsafe(this.cancel), lambda line: loop.call_soon_threadsafe(orders.receive, line)
        )
    with contextlib.suppress(asyncio.CancelledError):
        await _run_roles(task, ready, orders, prepare=prepare, tick=parent.tick if parent else lambda: None)


async def _tick(tick: Callable[[], None], clock: Clock) -> None:
    while True:
        tick()
        await clock.sleep(pause_to_multiple(clock.monotonic(), TICK_S))


async def _run_roles(
    task: ServeTask,
    ready: Callable[[str, Mapping[str, Any]], None],
    orders: ReloadOrders,
    *,
    prepare: bool,
    tick: Callable[[], None],
) -> None:
    clock = SystemClock()
    dead_letters = DeadLetters()
    section = task.experiment.bus
    url = task.bus_url or bus_users.url(section, task.data)

    async def connect(user: str, name: str, launch_renewer: LaunchRenewer | None = None) -> Bus:
        login = (lambda one=task.service: one) if task.service else None
        login = login or bus_users.login(section, task.passwords, task.data, user)
        return await nats.connect(
            url, name=name, login=login, clock=clock, dead_letters=dead_letters, launch_renewer=launch_renewer
        )

    setting = Setting(
        experiment=task.experiment,
        directory=task.directory,
        file=task.file,
        clock=clock,
        data=task.data,
        port=task.port,
        connect=lambda name: connect(bus_users.of_connection(name, task.roles), name),
        overrides=task.overrides,
        simulate=task.simulate,
        again=task.again,
        systems=task.systems,
        service=task.service is not None,
    )
    known = roles()
    made: dict[str, Role] = {name: load(known[name].start)(setting) for name in task.roles}
    bus = await connect(bus_users.of_roles(task.roles), "+".join(task.roles), task.launch)
    try:
        if prepare:
            # Where each role has a user of its own, the supervisor alone makes streams.
            maker = await connect(SUPERVISOR, "prepare") if section.users_file else bus
            await streams.prepare(maker, max_bytes=section.max_bytes)
            if maker is not bus:
                await maker.close()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(collect(clock), name="collector"),
                group.create_task(_tick(tick, clock), name="tick"),
                group.create_task(orders.run(), name="reload"),
            ]
            async with asyncio.TaskGroup() as playing:
                for name, role in made.items():
                    run = _run(role, bus, functools.partial(ready, name), setting, known[name], orders)
                    playing.create_task(run, name=name)
            for one in beside:
                one.cancel()
    except BaseExceptionGroup as failures:
        raise first_of(failures) from failures
    finally:
        await bus.close()


async def _run(role: Role, bus: Bus, ready: Ready, setting: Setting, known: ProcessRole, orders: ReloadOrders) -> None:
    """Run a role, with the open database when it uses one."""
    async with contextlib.AsyncExitStack() as stack:
        kept = None
        if known.database:
            from countingroom.app.database import WhenAway, opened  # a device host starts sooner without SQLAlchemy

            again = WhenAway.GO_ON if known.without_database else WhenAway.WAIT
            when_away = again if setting.again else WhenAway.FAIL
            kept = await stack.enter_async_context(
                opened(setting.experiment.storage, setting.data, setting.clock, when_away=when_away)
            )
        await role(Platform(bus=bus, ready=ready, opened=kept, reloads=orders))


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to report: the first one with a Cause, or the first one where none has a Cause."""
    known, _ = failures.split(CountingRoomError)
    failure: BaseException = known or failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return failure  # pyright: ignore[reportUnknownVariableType]


def known_roles(names: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple. Raises ConfigurationError for an unknown role."""
    known = roles()
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"there is no role {unknown[0]}",
            source="serve",
            suggestion=f"choose from {', '.join(known)}",
        )
    return tuple(names)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ReadableFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    set_log_levels()

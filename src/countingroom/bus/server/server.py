"""Starts, supervises and stops the embedded NATS server. It is restarted after a crash, and ends with this process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.login import BusLogin
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.control_buckets import STATE_FILE, ControlBuckets
from countingroom.bus.nats.store import JetStreamStore
from countingroom.bus.nats.stream_repair import StreamRepair
from countingroom.bus.server import binary, credentials, mqtt_store
from countingroom.bus.server import process as server_process
from countingroom.bus.server.configuration import ACCOUNT, NAMELESS, DiskSpace, configuration, store_bytes, text
from countingroom.bus.server.disk_watch import DiskWatch
from countingroom.bus.server.hung_server import greets, until_hung
from countingroom.bus.server.mqtt_guard import MqttGuard
from countingroom.bus.server.permissions import BusUser
from countingroom.bus.server.server_event import server_event
from countingroom.bus.streams import ON_DISK, STATE_BYTES
from countingroom.core.clock import Clock, SystemClock, timeout
from countingroom.core.errors import Cause, ConfigurationError, LinkError
from countingroom.core.messages import Event, EventKind
from countingroom.core.process_activity import is_stopped

READY_S = 60.0
"""Deadline of a start: reading back a large store takes time."""
STOP_S = 10.0
_LOOK_S = 0.02
_FIRST_PAUSE_S, _MOST_PAUSE_S, _SETTLED_S = 0.1, 5.0, 30.0
_CONNECT_S = 10.0
_WRITES = 1_000_000_000
"""More than the writes to a bucket between two starts of the server."""
_GIVEN_UP_S = 5.0
"""Time in which the server of a killed parent must have ended."""


class EmbeddedServer:
    """A supervised nats-server on this machine. Call `start`, use `url`, call `stop`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        description: BusSection,
        users: Sequence[BusUser] = (),
        kept: Collection[str] = (),
        on_event: Callable[[Event], None] = lambda event: None,
        clock: Clock | None = None,
    ) -> None:
        """`users`: those of the server beside the supervisor. Each gets a random password for the life of this object,
        which a restart of the server keeps. `kept`: those that keep theirs over all starts: their
        processes go on."""
        self._kept = kept
        self._directory = data_dir.resolve()
        self._description = description
        self._users = users
        self._credentials = credentials.new("", ())
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._known = server_process.Remembered()
        self._connection: NatsConnection | None = None
        self._buckets: ControlBuckets | None = None
        self._disk: DiskWatch | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._guard: MqttGuard | None = None
        self._guarding: asyncio.Task[None] | None = None
        self._guard_bus: NatsBus | None = None
        self.store_bytes = 0
        """Limit for all streams on this disk, for `streams.prepare`."""

    @property
    def url(self) -> str:
        """The URL for `nats.connect`. It stays the same over restarts."""
        return f"nats://127.0.0.1:{self.port}"

    def login(self, user: str = credentials.SUPERVISOR) -> BusLogin:
        """The login of one of the users."""
        return self._credentials.login(user)

    def url_with_login(self, user: str = credentials.SUPERVISOR) -> str:
        """The URL with the password of a user in it, for tests and measurements: others may read the arguments of a
        process."""
        login = self.login(user)
        return f"nats://{login.user}:{login.password}@127.0.0.1:{self.port}"

    def passwords_of(self, users: Iterable[str]) -> dict[str, str]:
        """Those of these users."""
        return {user: self.login(user).password for user in users}

    @property
    def port(self) -> int:
        """The NATS port, on loopback."""
        return self._known.port

    @property
    def mqtt_port(self) -> int:
        """The MQTT port; 0 when MQTT is off."""
        return self._known.mqtt_port

    @property
    def pid(self) -> int | None:
        """The id of the present process; None between two."""
        return self._process.pid if self._process else None

    @property
    def copied_state(self) -> Mapping[str, bytes]:
        """The keys of the state bucket that are put back after a crash of the server."""
        return self._buckets.copied if self._buckets else {}

    def troubles(self) -> list[str]:
        """Why what happens is not stored, or soon not, one sentence each."""
        return self._disk.troubles() if self._disk else []

    def warnings(self) -> list[str]:
        """What may become a trouble, one sentence each."""
        disk = self._disk.warnings() if self._disk else []
        failed = self._guarding is not None and self._guarding.done()
        guard = ["the guard of the MQTT clients has failed: restart the experiment"] if failed else []
        return [*disk, *guard, *(self._guard.warnings() if self._guard else ())]

    def process_ended(self, pid: int) -> None:
        """A supervised process has ended: its leases are released."""
        if self._buckets:
            self._buckets.process_ended(pid)

    async def start(self) -> str:
        """Start the server and wait until it serves; returns its URL."""
        program = await binary.find()
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._wait_for_former()
        self._write_configuration()
        await self._launch(program)
        try:
            await self._wait_ready()
            await self._make_control_buckets()
            await self._guard_mqtt()
            await self._admit_mqtt()
        except BaseException:
            # Also when cancelled: the server would outlive us, and the next start would find its port and store in use.
            await self._end_guard()
            await self._close_connection()
            await self._end()
            raise
        self._supervisor = asyncio.create_task(self._supervise(program), name="nats-server")
        return self.url

    async def stop(self) -> None:
        """Stop the server; all acknowledged messages are on disk afterwards."""
        for task in (self._supervisor, self._upkeep):
            if task:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._supervisor = None
        self._upkeep = None
        await self._end_guard()
        if self._buckets:
            await self._buckets.save()
            self._buckets = None
        await self._close_connection()
        await self._end()

    async def _make_control_buckets(self) -> None:
        self._connection = connection = NatsConnection()
        await connection.connect(self.url, name="bus supervisor", login=self.login, timeout_s=_CONNECT_S)
        self._buckets = ControlBuckets(
            connection,
            self._clock,
            file=self._directory / STATE_FILE,
            state_bytes=STATE_BYTES,
            first_sequence=self._first_sequence,
        )
        await self._check_streams(connection)
        await self._buckets.prepare()
        repair = StreamRepair(connection, self._clock, account=ACCOUNT)
        for name, subjects in ON_DISK.items():
            await repair.finish(name, subjects)
        self._disk = DiskWatch(self._directory, repair, self._clock, on_event=self._on_event)
        await self._disk.look()
        self._upkeep = asyncio.create_task(self._keep_up(self._buckets, self._disk), name="upkeep of the bus")

    async def _check_streams(self, connection: NatsConnection) -> None:
        """ConfigurationError for a stream on disk that the server could not read: it starts without it, and an empty
        one would take its place."""
        folder = self._directory / "store" / "jetstream" / ACCOUNT / "streams"
        known = await JetStreamStore(connection, 1).names()
        unread = sorted(one.name for one in folder.glob("*") if one.is_dir() and one.name not in known)
        if unread:
            raise ConfigurationError(
                f"nats-server cannot read the stream {unread[0]} in {folder}; it is left as it is",
                source="bus",
                code="damaged",
                suggestion=f"put a backup of {folder / unread[0]} in its place, or move it away: the stream is then "
                f"empty; the reason is in {self._directory / 'nats.log'}",
            )

    async def _keep_up(self, buckets: ControlBuckets, disk: DiskWatch) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(buckets.run())
            group.create_task(disk.run())

    async def _close_connection(self) -> None:
        if self._connection:
            await self._connection.close()
            self._connection = None

    def _first_sequence(self) -> int:
        """First sequence of a bucket that is made now: above all revisions of the one before, also when the clock was
        set back. Far below 2**53, from which on JavaScript rounds."""
        known = self._known
        known.first_sequence = max(self._clock.now_ns() // 1000, known.first_sequence + _WRITES)
        with suppress(OSError):  # on a full disk the clock alone has to do
            self._remember()
        return known.first_sequence

    def _remember(self) -> None:
        file = self._directory / server_process.REMEMBERED_FILE
        credentials.write_private(file, msgspec.json.encode(self._known))

    async def _wait_for_former(self) -> None:
        """Wait for the end of the server of a killed parent.

        One that does not end belongs to another running instance.
        """
        deadline = self._clock.monotonic() + _GIVEN_UP_S
        while pid := server_process.running_pid(self._directory):
            if self._clock.monotonic() > deadline:
                raise ConfigurationError(
                    f"a nats-server, process {pid}, already runs on {self._directory}",
                    source="bus",
                    code="data_in_use",
                    suggestion=f"stop the instance of countingroom that started it, or the process itself: kill {pid}",
                )
            await self._clock.sleep(_LOOK_S)

    def _write_configuration(self) -> None:
        mqtt = self._description.mqtt
        file = self._directory / server_process.REMEMBERED_FILE
        known = server_process.remembered(file)
        known.port = server_process.choose_port("127.0.0.1", self._description.port, known.port)
        known.mqtt_port = server_process.choose_port(mqtt.host, mqtt.port, known.mqtt_port) if mqtt else 0
        self._known = known
        self._remember()
        used = sum(file.stat().st_size for file in self._directory.rglob("*") if file.is_file())
        space = DiskSpace(free=shutil.disk_usage(self._directory).free, used=used)
        self.store_bytes = store_bytes(self._description.max_bytes, space)
        self._credentials = credentials.new(
            self.url,
            [credentials.SUPERVISOR, *(user.name for user in self._users)],
            credentials.kept(self._directory, self._kept),
        )
        credentials.write(self._directory, self._credentials)
        conf = configuration(
            self._directory,
            name=known.name,
            port=known.port,
            max_bytes=self.store_bytes,
            users=self._users,
            passwords=self._credentials.passwords,
            mqtt=mqtt,
            mqtt_port=known.mqtt_port,
            listen=self._description.listen,
        )
        server_process.move_streams(self._directory / "store", former=NAMELESS, account=ACCOUNT)
        credentials.write_private(self._directory / "nats.conf", text(conf).encode())

    async def _launch(self, program: Path) -> None:
        self._process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            self._directory / "nats.conf",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=server_process.end_with(os.getpid()),
            process_group=0,
        )

    async def _wait_ready(self) -> None:
        process, deadline = self._process, self._clock.monotonic() + READY_S
        while process and process.returncode is None and self._clock.monotonic() < deadline:
            if await server_process.is_serving(self.port, self._known.name):
                return
            await self._clock.sleep(_LOOK_S)
        raise LinkError(
            f"nats-server did not start: {self._last_log_line()}",
            source="bus",
            code="server",
            suggestion=f"see {self._directory / 'nats.log'}",
        )

    async def _guard_mqtt(self) -> None:
        if mqtt := self._description.mqtt:
            self._guard_bus = bus = await nats.connect(
                self.url, name="guard of MQTT", login=self.login, clock=self._clock
            )
            self._guard = MqttGuard(bus, self._clock, mqtt=mqtt, on_event=self._on_event)
            self._guarding = asyncio.create_task(self._guard.run(), name="guard of MQTT")

    async def _end_guard(self) -> None:
        if self._guarding:
            self._guarding.cancel()
            await asyncio.wait([self._guarding])
            self._guarding = None
        if self._guard_bus:
            await self._guard_bus.close()
            self._guard_bus = None
        self._guard = None

    async def _admit_mqtt(self) -> None:
        """Make the streams of the MQTT clients, which are in memory and so are gone after each end of the server."""
        if self._description.mqtt:
            bus = await nats.connect(self.url, name="server", login=self.login, clock=self._clock)
            try:
                await mqtt_store.prepare(bus)
            finally:
                await bus.close()

    async def _supervise(self, program: Path) -> None:
        pause = _FIRST_PAUSE_S
        while (process := self._process) is not None:
            began = self._clock.monotonic()
            watching = asyncio.create_task(self._kill_when_hung(process), name="watchdog of the bus")
            try:
                status = await process.wait()
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            if self._clock.monotonic() - began > _SETTLED_S:
                pause = _FIRST_PAUSE_S
            self._report(f"nats-server ended ({_how(status)}) and is restarted", self._last_log_line())
            await self._clock.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_S)
            try:
                await self._launch(program)
                await self._wait_ready()
                await self._admit_mqtt()
            except (LinkError, OSError) as error:
                self._report("nats-server could not be restarted", str(error))
                await self._end(keep=True)
            else:
                self._report("nats-server is running again", "")

    async def _kill_when_hung(self, process: asyncio.subprocess.Process) -> None:
        why = await until_hung(
            self._clock,
            lambda: bool(self._connection and self._connection.connected),
            lambda: greets(self.port),
            lambda: is_stopped(process.pid),
        )
        self._report(f"nats-server {why} and is killed", "its process hangs, or was stopped by a signal")
        process.kill()

    async def _end(self, *, keep: bool = False) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if not keep:
            self._process = None

    def _report(self, message: str, why: str) -> None:
        cause = Cause(code="server", message=why, source="bus", suggestion="see the log of the bus") if why else None
        self._on_event(
            server_event(self._clock, "server", message, level=2 if why else 0, cause=cause, kind=EventKind.PROCESS)
        )

    def _last_log_line(self) -> str:
        try:
            lines = (self._directory / "nats.log").read_text(errors="replace").splitlines()
        except OSError:
            return "it wrote no log"
        bad = [line for line in lines[-50:] if "[FTL]" in line or "[ERR]" in line]
        return (bad or lines or ["its log is empty"])[-1]


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {-status}"

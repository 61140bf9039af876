"""The process engine: instances are programs of this computer, each with a runner that outlives the keeper.

Each instance has a folder below that of the engine: `made.json` says what it was made from (without secrets),
`state.json` is written by its runner, `log` and `log.1` hold its output, and a lock shows whether the runner lives.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, timeout, within
from countingroom.core.errors import DeviceError, NotFound
from countingroom.core.fleet.specs import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, InstanceId, ServiceSpec
from countingroom.core.fleet.usb import usb_environment
from countingroom.fleet.engines import process_runner
from countingroom.fleet.engines.environment import kept_environment
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.engines.local_use import LocalUse
from countingroom.fleet.engines.log_files import TAIL_BYTES, read_record, write_record
from countingroom.fleet.engines.port import EngineFacts, EngineInstance, EngineUse, LogLine, MakeOrder, Progress
from countingroom.fleet.engines.process_log import read_process_log
from countingroom.fleet.secrets import read_secrets

_START_S = 10.0
"""The time for the runner to take its order."""
_LOOK_S = 0.02


class Made(Struct, frozen=True, kw_only=True):
    """The content of `made.json`."""

    id: InstanceId
    digest: str
    revision: int
    change: str
    spec: ServiceSpec
    steady_s: float = 10.0
    devices: dict[str, tuple[str, ...]] = {}


class RunnerState(Struct, frozen=True, kw_only=True):
    """The content of `state.json`, written by the runner."""

    runner: int = 0
    pid: int = 0
    running: bool = False
    since_ns: int = 0
    status: int | None = None
    crashes: int = 0
    last: str = ""


class ProcessEngine:
    """The programs of one node of this computer."""

    def __init__(self, clock: Clock, folder: Path, directory: Path) -> None:
        """`folder`: where the engine keeps its instances. `directory`: of the description, for relative paths."""
        self._clock = clock
        self._folder = folder.absolute()
        self._directory = directory.absolute()
        # In the abstract namespace of Linux: no path that is too long, and nothing is left after a kill.
        self._news = f"\0countingroom-fleet-{blake2b(str(self._folder).encode(), digest_size=8).hexdigest()}"
        self._secrets: dict[InstanceId, Mapping[str, str]] = {}
        self._runners: set[int] = set()
        """Process numbers of those that were seen last."""
        self._use = LocalUse(self._folder)
        self._watched: dict[int, int] = {}
        """Process number of a runner -> the descriptor by which its end is told."""
        self.may_act: MayAct = lambda: True
        """Asked before a program is ended, started or forgotten."""

    async def connect(self) -> EngineFacts:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        boot = await asyncio.to_thread(Path("/proc/sys/kernel/random/boot_id").read_text)
        return EngineFacts(engine="processes", boot=boot.strip())

    async def instances(self) -> Sequence[EngineInstance]:
        found, self._runners = await asyncio.to_thread(self._instances)
        return found

    async def use(self) -> EngineUse:
        there, host = await self.instances(), await self._use.host()
        return EngineUse(instances=await self._use.programs(there, self._folder), host=host, clock_offset_s=0.0)

    async def images(self) -> frozenset[str]:
        return frozenset()

    async def pull(self, image: str, progress: Progress) -> None:
        raise DeviceError(
            f"{image} cannot be pulled: this node runs programs, not images",
            source="fleet.process",
            suggestion="give the service a command without an image, or place it on a node with a container engine",
            code="no_images",
        )

    async def make(self, order: MakeOrder) -> None:
        folder = self._place(order.id)
        await self._end(folder, 0.0)
        self._check_lease()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Made(
            id=order.id,
            digest=order.digest,
            revision=order.revision,
            change=order.change,
            spec=order.spec,
            devices=dict(order.devices),
        )
        write_record(folder / "made.json", made)
        (folder / "state.json").unlink(missing_ok=True)
        self._secrets[order.id] = order.secrets
        try:
            await self._run(folder, made)
        except DeviceError:
            await self.remove(order.id, 0.0)
            raise

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        folder = self._place(order.id)
        before = read_record(folder / "made.json", Made)
        secrets = self._secrets.get(order.id, {})
        await self._end(folder, grace_s)
        try:
            await self.make(order)
        except Exception:
            if before:
                self._secrets[order.id] = secrets
                write_record(folder / "made.json", before)
                await self._run(folder, before)
            raise

    async def start(self, id: InstanceId) -> None:
        folder = self._place(id)
        made = read_record(folder / "made.json", Made)
        if made is None:
            raise NotFound(f"there is no instance {id}", source="fleet.process")
        state = read_record(folder / "state.json", RunnerState)
        self._check_lease()
        if state and _is_locked(folder):
            with suppress(ProcessLookupError):
                os.kill(state.runner, signal.SIGUSR1)
        else:
            await self._run(folder, made)

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        folder = self._place(id)
        await self._end(folder, grace_s)
        self._check_lease()
        self._secrets.pop(id, None)
        for name in ("made.json", "state.json"):
            (folder / name).unlink(missing_ok=True)

    async def logs(
        self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False
    ) -> AsyncGenerator[LogLine]:
        lines = read_process_log(self._clock, self._place(id), tail=tail, since_ns=since_ns, follow=follow)
        async with aclosing(lines):
            async for line in lines:
                yield line

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        made = read_record(self._place(id) / "made.json", Made)
        if made is None:
            raise NotFound(f"there is no instance {id}", source="fleet.process")
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._directory / made.spec.directory,
            env=await self._environment(made),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with timeout(timeout_s):
                output, _ = await process.communicate()
        except TimeoutError:
            return 124, f"it did not end within {timeout_s:g} s"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode or 0, output[-TAIL_BYTES:].decode(errors="replace")

    async def changes(self) -> AsyncGenerator[None]:
        news = asyncio.Event()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.setblocking(False)
            heard.bind(self._news)
            loop.add_reader(heard, self._hear, heard, news)
            try:
                while True:
                    self._watch_runners(news)
                    await news.wait()
                    news.clear()
                    yield
            finally:
                loop.remove_reader(heard)
                self._watch_runners(None)

    def _hear(self, heard: socket.socket, news: asyncio.Event) -> None:
        with suppress(BlockingIOError):
            heard.recv(64)
            news.set()

    def _watch_runners(self, news: asyncio.Event | None) -> None:
        """Be told of the end of each runner: one that is killed cannot tell it itself. None: of none any more."""
        loop = asyncio.get_running_loop()
        living = self._runners if news else set[int]()
        for pid in self._watched.keys() - living:
            loop.remove_reader(self._watched[pid])
            os.close(self._watched.pop(pid))
        for pid in living - self._watched.keys():
            try:
                self._watched[pid] = os.pidfd_open(pid)
            except OSError:  # it has ended already
                continue
            if news:
                loop.add_reader(self._watched[pid], self._ended, pid, news)

    def _ended(self, pid: int, news: asyncio.Event) -> None:
        asyncio.get_running_loop().remove_reader(self._watched[pid])
        os.close(self._watched.pop(pid))
        self._runners.discard(pid)
        news.set()

    async def close(self) -> None:
        """Nothing is open."""

    def _place(self, id: InstanceId) -> Path:
        return self._folder / str(id)

    def _instances(self) -> tuple[list[EngineInstance], set[int]]:
        """(those that there are, the process numbers of their runners)."""
        found: list[EngineInstance] = []
        runners: set[int] = set()
        for file in sorted(self._folder.glob("*/made.json")):
            made = read_record(file, Made)
            if made is None:
                continue
            state = read_record(file.parent / "state.json", RunnerState) or RunnerState()
            is_locked = _is_locked(file.parent)
            if is_locked and state.runner:
                runners.add(state.runner)
            is_running = state.running and is_locked
            found.append(
                EngineInstance(
                    id=made.id,
                    digest=made.digest,
                    revision=made.revision,
                    change=made.change,
                    is_running=is_running,
                    since_ns=state.since_ns,
                    exit_status=state.status,
                    crashes=state.crashes,
                    reason="" if is_running else state.last,
                    spec=made.spec,
                    engine_id=str(state.pid) if is_running else "",
                    devices=made.devices,
                )
            )
        return found, runners

    async def _environment(self, made: Made) -> dict[str, str]:
        if made.id not in self._secrets:  # it was made by a keeper before this one
            self._secrets[made.id] = await read_secrets(made.id, made.spec.secrets)
        return {
            **kept_environment(),
            **made.spec.environment,
            **usb_environment(made.devices),
            **self._secrets[made.id],
        }

    def _check_lease(self) -> None:
        check_lease(self.may_act, "fleet.process")

    async def _run(self, folder: Path, made: Made) -> None:
        """Start the runner. Returns when it has its order."""
        spec = made.spec
        order = {
            "folder": str(folder),
            "news": self._news,
            "command": [sys.executable if word == "{python}" else word for word in spec.command],
            "directory": str(self._directory / spec.directory),
            "environment": await self._environment(made),
            "restart": spec.restart,
            "grace_s": spec.grace_s,
            "steady_s": made.steady_s,
            "first_s": FIRST_BACKOFF_S,
            "longest_s": LONGEST_BACKOFF_S,
        }
        self._check_lease()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", process_runner.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with timeout(_START_S):
                said, wrong = await process.communicate(msgspec.json.encode(order))
        except TimeoutError:
            said, wrong = b"", b"it did not take its order in time"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if said.strip() != b"ready":
            last = (said + wrong).decode(errors="replace").strip().rpartition("\n")[2]
            raise DeviceError(f"{made.id} could not be started: {last}", source="fleet.process", code="not_started")

    async def _end(self, folder: Path, grace_s: float) -> None:
        """End the runner with its program. Nothing to be done where there is none."""
        self._check_lease()
        state = read_record(folder / "state.json", RunnerState)
        if state and state.runner and _is_locked(folder):
            with suppress(ProcessLookupError):
                os.kill(state.runner, signal.SIGTERM)
            with suppress(TimeoutError):
                async with within(self._clock, grace_s + 5.0):
                    while _is_locked(folder):
                        await self._clock.sleep(_LOOK_S)
            if _is_locked(folder):
                with suppress(ProcessLookupError):
                    os.kill(state.runner, signal.SIGKILL)
        # What a killed runner left runs in no program's place any more.
        await asyncio.to_thread(process_runner.end_family, folder)


def _is_locked(folder: Path) -> bool:
    """Whether a runner holds the lock of the folder."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False

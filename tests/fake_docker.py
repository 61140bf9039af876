"""Docker engines in memory and in virtual time, as the library of the engine of containers shows them.

Requests take time, an answer may be lost with the link, and a caller can stand still in the middle of a call.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiodocker import DockerError

from countingroom.testing.clock import FakeClock

T = TypeVar("T")
WARM_S = 1.0
"""So long after its start a container passes its check."""
_S = 1_000_000_000


class Caller:
    """A process that talks to engines."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        """Cleared: it stands still. What it has sent is carried out, and it reads no answer."""
        self.goes_on.set()


class Daemon:
    """The engine of one node."""

    def __init__(self, clock: FakeClock, watch: Callable[[str, Daemon, str], None]) -> None:
        """`watch`: told before each start, stop and removal: what, where, of which container."""
        self.clock = clock
        self.containers: dict[str, dict[str, Any]] = {}
        self.images: set[str] = set()
        self.pull_s = 1.0
        self.is_cut = False
        self.ended = asyncio.Event()
        """Set while it is cut."""
        self.changed_s = float("-inf")
        """When it was cut or joined last."""
        self.flaps_since_s: float | None = None
        self.is_bad: Callable[[str], bool] = lambda image: False
        self.watch = watch
        self.listeners: set[asyncio.Queue[int | None]] = set()
        self.number = itertools.count(1)

    def cut(self, is_cut: bool) -> None:
        """Cut its link, or join it."""
        if is_cut != self.is_cut:
            self.is_cut, self.changed_s = is_cut, self.clock.monotonic()
        if not is_cut:
            self.ended.clear()
            return
        self.ended.set()
        for queue in self.listeners:
            queue.put_nowait(None)

    def find(self, id: str) -> dict[str, Any]:
        if id not in self.containers:
            raise DockerError(404, f"No such container: {id}")
        return self.containers[id]

    def tell(self) -> None:
        for queue in self.listeners:
            queue.put_nowait(1)

    def is_healthy(self, id: str, *, lag_s: float = 0.0) -> bool:
        """Whether its check passes, or did so `lag_s` ago."""
        one = self.containers[id]
        now_s = self.clock.monotonic()
        flaps = self.flaps_since_s is not None and now_s - self.flaps_since_s >= lag_s
        is_warm = now_s - one["began_s"] >= WARM_S
        return one["State"]["Running"] and is_warm and not flaps and not self.is_bad(one["Config"]["Image"])

    # What the API does.

    def create(self, config: Mapping[str, Any], name: str) -> str:
        if any(one["Name"] == f"/{name}" for one in self.containers.values()):
            raise DockerError(409, f"the name {name} is in use")
        id = f"{next(self.number):012d}" + "0" * 52
        state = {"Running": False, "Restarting": False, "Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}
        self.containers[id] = {
            "Id": id,
            "Name": f"/{name}",
            "Created": self._now(),
            "Config": dict(config),
            "HostConfig": config["HostConfig"],
            "State": state,
            "RestartCount": 0,
            "began_s": 0.0,
        }
        return id

    def start(self, id: str) -> None:
        one = self.find(id)
        if not one["State"]["Running"]:
            self.watch("start", self, id)
            one["State"] |= {"Running": True, "Status": "running", "StartedAt": self._now()}
            one["began_s"] = self.clock.monotonic()
            self.tell()

    def stop(self, id: str) -> None:
        one = self.find(id)
        if one["State"]["Running"]:
            self.watch("stop", self, id)
            one["State"] |= {"Running": False, "Status": "exited", "FinishedAt": self._now(), "ExitCode": 137}
            self.tell()

    def delete(self, id: str) -> None:
        if self.find(id)["State"]["Running"]:
            self.watch("stop", self, id)
        del self.containers[id]
        self.tell()

    def rename(self, id: str, name: str) -> None:
        if any(one["Name"] == f"/{name}" for one in self.containers.values()):
            raise DockerError(409, f"the name {name} is in use")
        self.find(id)["Name"] = f"/{name}"
        self.tell()

    def _now(self) -> str:
        seconds, rest = divmod(self.clock.now_ns(), _S)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class FakeDocker:
    """The client of one caller to one engine, with what is used of aiodocker."""

    def __init__(self, daemon: Daemon, caller: Caller) -> None:
        self.daemon = daemon
        self.caller = caller
        self.containers = _Containers(self)
        self.images = _Images(self)
        self.events = _Events(self)

    async def ask(self, effect: Callable[[], T], seconds: float = 0.05) -> T:
        """One request: it takes half of this time to the engine, and half back."""
        await self.caller.goes_on.wait()
        await self.daemon.clock.sleep(seconds / 2)
        self._check_link()
        result = effect()
        await self.daemon.clock.sleep(seconds / 2)
        await self.caller.goes_on.wait()
        self._check_link()
        return result

    def _check_link(self) -> None:
        if self.daemon.is_cut:
            raise DockerError(900, "no connection")

    async def close(self) -> None:
        pass


class _Containers:
    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker

    async def list(self, **_: Any) -> list[_Container]:
        return await self._docker.ask(lambda: [self.container(id) for id in self._docker.daemon.containers])

    def container(self, id: str) -> _Container:
        return _Container(self._docker, id)

    async def create(self, config: Mapping[str, Any], name: str) -> _Container:
        return self.container(await self._docker.ask(lambda: self._docker.daemon.create(config, name), 0.2))


class _Container:
    def __init__(self, docker: FakeDocker, id: str) -> None:
        self._docker = docker
        self.id = id

    async def show(self) -> dict[str, Any]:
        def shown() -> dict[str, Any]:
            one = self._docker.daemon.find(self.id)
            return one | {"State": dict(one["State"])}

        return await self._docker.ask(shown, 0.0)

    async def start(self) -> None:
        await self._docker.ask(lambda: self._docker.daemon.start(self.id), 0.2)

    async def stop(self, **_: Any) -> None:
        await self._docker.ask(lambda: self._docker.daemon.stop(self.id), 0.4)

    async def delete(self, **_: Any) -> None:
        await self._docker.ask(lambda: self._docker.daemon.delete(self.id), 0.1)

    async def rename(self, name: str) -> None:
        await self._docker.ask(lambda: self._docker.daemon.rename(self.id, name))

    async def log(self, **_: Any) -> list[str]:
        return []

    async def exec(self, command: list[str]) -> _Exec:
        return _Exec(self._docker, self.id)


class _Exec:
    """A check."""

    def __init__(self, docker: FakeDocker, id: str) -> None:
        self._docker = docker
        self._id = id

    def start(self, *, detach: bool) -> _Exec:
        return self

    async def read_out(self) -> None:
        return None

    async def close(self) -> None:
        pass

    async def inspect(self) -> dict[str, Any]:
        def status() -> dict[str, Any]:
            self._docker.daemon.find(self._id)
            return {"Running": False, "ExitCode": 0 if self._docker.daemon.is_healthy(self._id) else 1}

        return await self._docker.ask(status)


class _Images:
    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker

    async def list(self) -> list[dict[str, Any]]:
        return await self._docker.ask(lambda: [{"RepoTags": list(self._docker.daemon.images)}], 0.0)

    async def pull(self, image: str, **_: Any) -> AsyncGenerator[Mapping[str, Any]]:
        await self._docker.ask(lambda: None, self._docker.daemon.pull_s)
        self._docker.daemon.images.add(image)
        yield {"status": "Pull complete"}


class _Heard:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[int | None] = asyncio.Queue()

    async def get(self) -> int | None:
        return await self.queue.get()


class _Events:
    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker
        self._heard = _Heard()

    def subscribe(self, **_: Any) -> _Heard:
        return self._heard

    async def run(self, **_: Any) -> None:
        listeners = self._docker.daemon.listeners
        listeners.add(self._heard.queue)
        try:
            await self._docker.daemon.ended.wait()
        finally:
            listeners.discard(self._heard.queue)

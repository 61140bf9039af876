"""The engine of containers: Docker and Podman, by the API that both have.

A replacement is made under a second name while the present container runs, then the present one is stopped, the new
one started, and last it gets the name. Whatever ends this process in between, `connect` finds it and goes on or back:
one of both runs. The restart policy is that of the engine, so that services run on without the keeper. Containers are
removed by the keeper alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError, NotFound
from countingroom.core.fleet.specs import InstanceId, WantedNode
from countingroom.core.fleet.usage import InstanceUse
from countingroom.fleet.engines import containers as forms
from countingroom.fleet.engines.container_api import CALL_S, answering, open_engine, ping, remove_container
from countingroom.fleet.engines.container_commands import ContainerCommands
from countingroom.fleet.engines.container_images import prepare_volumes, pull, registry_login
from countingroom.fleet.engines.container_use import clock_offset_s, container_use
from countingroom.fleet.engines.containers import Inspected, container_name
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.engines.port import EngineFacts, EngineInstance, EngineUse, LogLine, MakeOrder, Progress
from countingroom.fleet.log_archive import MOST_KEPT, LogArchive

_log = logging.getLogger(__name__)
_START_S = 60.0
"""For a start, with the mounts of its volumes."""
_STEADY_NS = 10_000_000_000
"""A container that ran for so long has not ended in a row with the time before."""
_EVENTS = ("start", "die", "died", "destroy", "remove", "rename", "update", "pause", "unpause")


class DockerEngine:
    """The containers of one node that belong to one experiment."""

    def __init__(
        self, clock: Clock, experiment: str, node: WantedNode, directory: Path, archive: LogArchive | None = None
    ) -> None:
        """`directory`: of the description, for relative paths of certificates. `archive`: keeps the logs of what is
        removed."""
        self._clock = clock
        self._experiment = experiment
        self._node = node
        self._directory = directory
        self._archive = archive
        self._source = f"fleet.{node.name}"
        self._docker: Any = None  # the library has no types for its answers
        self._podman = False
        self._ahead_ns = 0
        self._seen_ns = 0
        """Time of the last list of instances: what changed since is told by `changes`."""
        self._working: dict[InstanceId | str, tuple[asyncio.Lock, int]] = {}
        """Instances and images that are worked on now, and by how many tasks."""
        self._begun: dict[InstanceId | str, int] = {}
        """How often that was begun."""
        self._steady: dict[str, int] = {}
        """Container -> its ends when it was last seen to run for long."""
        self._last_lines: dict[tuple[str, str], str] = {}
        self._commands = ContainerCommands(clock, self._answering)
        self.may_act: MayAct = lambda: True
        """Asked before each change: a replacement must neither go on nor back beside the next keeper."""

    async def connect(self) -> EngineFacts:
        if self._docker is None or not self._working:
            await self.close()
            self._docker = await open_engine(self._node.reach, self._directory, self._source)
        async with self._answering(f"{self._node.name} is not reached at {self._node.reach.url}"):
            facts = await ping(self._docker, self._clock)
        self._podman = facts.is_podman
        self._ahead_ns = facts.ahead_ns
        await self._settle_all(lambda group: True)
        return EngineFacts(engine=facts.name)

    async def instances(self) -> Sequence[EngineInstance]:
        now_ns = self._clock.now_ns()
        # Of one instance the next keeper finds two where the one before did not end at once.
        groups = await self._settle_all(lambda group: len(group) > 1 or forms.is_next(group[0]))
        self._seen_ns = now_ns
        chosen = [forms.preferred(group) for group in groups.values()]
        self._steady = {id: count for id, count in self._steady.items() if id in {one["Id"] for one in chosen}}
        found = [await self._instance(one, now_ns) for one in chosen]
        return [one for one in found if one]

    async def use(self) -> EngineUse:
        found: dict[InstanceId, InstanceUse] = {}
        for id, group in (await self._groups()).items():
            shown = forms.preferred(group)
            ends = forms.ends(shown) - min(self._steady.get(shown["Id"], 0), forms.ends(shown))
            found[id] = InstanceUse(ends=ends)
            if forms.is_running(shown):
                with suppress(NotFound, DeviceError):  # removed meanwhile, or without statistics
                    async with self._answering(f"what {id} uses could not be read"):
                        found[id] = await container_use(self._docker, shown["Id"], ends)
        async with self._answering("its clock could not be read"):
            offset_s = await clock_offset_s(self._docker, self._clock)
        return EngineUse(instances=found, clock_offset_s=offset_s)

    async def images(self) -> frozenset[str]:
        async with self._answering("its images could not be listed"):
            listed = await self._docker.images.list()
        names = {name for one in listed for key in ("RepoTags", "RepoDigests") for name in one.get(key) or ()}
        return frozenset(spelt for name in names for spelt in forms.spellings(name))

    async def platform(self) -> str:
        """`linux/amd64`. Podman takes a second for it."""
        async with self._answering("its version could not be read"):
            told = await self._docker.version()
        return f"{told.get('Os', '')}/{told.get('Arch', '')}".strip("/")

    async def pull(self, image: str, progress: Progress) -> None:
        login = await asyncio.to_thread(registry_login, image, self._node.registries)
        async with self._works_on(image):
            async with self._answering(f"{image} could not be pulled", None):
                await pull(self._docker, image, login, progress, self._source)
            if image not in await self.images():
                raise DeviceError(
                    f"{image} was pulled, but the engine has it under another name",
                    source=self._source,
                    code="no_image",
                    suggestion="write its name with the registry: docker.io/library/name:tag",
                )

    async def make(self, order: MakeOrder) -> None:
        await self.replace(order, order.spec.grace_s)

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        async with self._works_on(order.id):
            before = await self._settle(await self._group(order.id))
            async with self._answering(f"the volumes of {order.id} could not be made", _START_S):
                await prepare_volumes(self._docker, order.spec.volumes, self._source)
            name = container_name(self._experiment, order.id)
            new = await self._create(order, name + forms.NEXT if before else name)
            try:
                if before:
                    await self._stop(before["Id"], grace_s, order.id)
                await self._start(new, order.id)
            except BaseException:
                await self._go_back(new, before, order.id)
                raise
            if before:
                await self._delete(before["Id"], order.id)
                await self._rename(new, name, order.id)

    async def start(self, id: InstanceId) -> None:
        async with self._works_on(id):
            present = await self._settle(await self._group(id), is_rid_of_unstarted=False)
            if present is None:
                raise NotFound(f"there is no instance {id}", source=self._source)
            if present["State"].get("Paused"):
                async with self._answering(f"{id} could not be resumed"):
                    await self._container(present["Id"]).unpause()
            await self._start(present["Id"], id)

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        async with self._works_on(id):
            for one in await self._group(id):
                if one["State"].get("Running"):
                    await self._stop(one["Id"], grace_s, id)
                await self._delete(one["Id"], id)

    async def logs(
        self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False
    ) -> AsyncGenerator[LogLine]:
        earlier = await asyncio.to_thread(self._archive.last, id, tail, since_ns) if self._archive else []
        try:
            present = await self._present(id)
        except NotFound:
            if follow or not earlier:
                raise
            present = None
        now = await self._read_log(present["Id"], id, tail, since_ns) if present else []
        for line in earlier[-(tail - len(now)) :] if len(now) < tail else []:
            yield line
        if not follow or present is None:
            for line in now:
                yield line
            return
        container, rest = self._container(present["Id"]), ""
        asked = self._asked(tail, since_ns)
        async with self._answering(f"the log of {id} could not be followed", None):
            stream = container.log(**asked, follow=True)
            async with aclosing(stream):
                async for piece in stream:
                    *lines, rest = (rest + piece).split("\n")
                    for line in lines:
                        yield self._line(line)

    def _asked(self, tail: int, since_ns: int) -> dict[str, Any]:
        asked: dict[str, Any] = {"stdout": True, "stderr": True, "timestamps": True, "tail": tail}
        return asked | ({"since": (since_ns + self._ahead_ns) // 1_000_000_000} if since_ns else {})

    async def _read_log(self, container: str, id: InstanceId, tail: int, since_ns: int = 0) -> list[LogLine]:
        async with self._answering(f"the log of {id} could not be read"):
            text = "".join(await self._container(container).log(**self._asked(tail, since_ns)))
        return [self._line(line) for line in text.splitlines()[-tail:]]

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        present = await self._present(id)
        return await self._commands.run(self._container(present["Id"]), id, command, timeout_s)

    async def changes(self) -> AsyncGenerator[None]:
        filters = json.loads(forms.labelled(self._experiment, self._node.name))
        filters |= {"type": ["container"], "event": list(_EVENTS)}
        since = (self._seen_ns + self._ahead_ns) // 1_000_000_000 if self._seen_ns else None
        asked = {"filters": json.dumps(filters)} | ({"since": str(since)} if since else {})
        heard = self._docker.events.subscribe(create_task=False)
        stream = asyncio.create_task(self._docker.events.run(**asked))
        try:
            while (await heard.get()) is not None:
                while not heard.queue.empty():  # news that came together are answered together
                    if heard.queue.get_nowait() is None:
                        return
                yield
            async with self._answering(f"{self._node.name} is lost"):
                await stream
            raise LinkError(f"{self._node.name}: the engine ended the connection", source=self._source)
        finally:
            stream.cancel()
            await asyncio.wait([stream])
            if not stream.cancelled():
                stream.exception()  # it was told above, or nothing hears it any more

    async def close(self) -> None:
        docker, self._docker = self._docker, None
        if docker is not None:
            await docker.close()

    # Containers.

    async def _groups(self) -> Mapping[InstanceId, list[Inspected]]:
        groups: dict[InstanceId, list[Inspected]] = {}
        async with self._answering("its containers could not be listed"):
            filters = forms.labelled(self._experiment, self._node.name)
            for one in await self._docker.containers.list(all=True, filters=filters):
                with suppress(NotFound):  # removed meanwhile
                    async with self._answering("a container could not be shown"):
                        shown = await one.show()
                        if id := forms.instance_id(shown):
                            groups.setdefault(id, []).append(shown)
        return groups

    async def _group(self, id: InstanceId) -> list[Inspected]:
        return (await self._groups()).get(id, [])

    async def _present(self, id: InstanceId) -> Inspected:
        group = await self._group(id)
        if not group:
            raise NotFound(f"there is no instance {id}", source=self._source)
        return forms.preferred(group)

    async def _settle_all(self, needs: Callable[[Sequence[Inspected]], bool]) -> Mapping[InstanceId, list[Inspected]]:
        """Bring the instances of which this holds to one container each; then all containers. What is wrong with one is
        put in the log: its node is reached."""
        working, begun = set(self._working), dict(self._begun)
        groups = await self._groups()
        found = [id for id, group in groups.items() if needs(group) and id not in working]
        for id in found:
            if self._begun.get(id) != begun.get(id):
                continue  # it was worked on since it was listed
            async with self._works_on(id):
                try:
                    await self._settle(groups[id])
                except (DeviceError, NotFound) as error:
                    _log.warning("fleet: %s", error)
        return await self._groups() if found else groups

    async def _settle(self, group: Sequence[Inspected], *, is_rid_of_unstarted: bool = True) -> Inspected | None:
        """Bring what an ended keeper left of one instance to one container; None: to none."""
        if not group:
            return None
        id = forms.instance_id(group[0]) or InstanceId("", self._node.name)
        new = next((one for one in group if forms.is_next(one)), None)
        old = next((one for one in group if not forms.is_next(one)), None)
        if new and forms.was_started(new):
            if old:
                await self._stop(old["Id"], 10.0, id)
                await self._delete(old["Id"], id)
            await self._rename(new["Id"], container_name(self._experiment, id), id)
            return new
        if new:
            await self._delete(new["Id"], id)
            if old and not old["State"].get("Running") and old["HostConfig"]["RestartPolicy"]["Name"] != "no":
                await self._start(old["Id"], id)
        if old and not forms.was_started(old) and is_rid_of_unstarted:
            await self._delete(old["Id"], id)
            return None
        return old

    async def _go_back(self, new: str, before: Inspected | None, id: InstanceId) -> None:
        """A replacement failed: the present container runs again. What is wrong here too is put in the log alone."""
        try:
            await self._delete(new, id)
        except CountingRoomError as error:
            _log.warning("fleet: %s", error)
        if before and before["State"].get("Running"):
            try:
                await self._start(before["Id"], id)
            except CountingRoomError as error:
                _log.warning("fleet: %s", error)

    async def _instance(self, shown: Inspected, now_ns: int) -> EngineInstance | None:
        ends, container, reason = forms.ends(shown), shown["Id"], ""
        if forms.is_running(shown):
            if now_ns + self._ahead_ns - forms.time_ns(shown["State"]["StartedAt"]) >= _STEADY_NS:
                self._steady[container] = ends
        elif forms.was_started(shown):
            reason = await self._last_line(shown)
        base = min(self._steady.get(container, 0), ends)
        return forms.instance_of(shown, ends - base, reason, podman=self._podman, ahead_ns=self._ahead_ns)

    async def _last_line(self, shown: Inspected) -> str:
        """The last line of the output of a container that ended; read once for each end."""
        if shown["State"].get("OOMKilled"):
            return "it used more memory than its limit"
        key = (shown["Id"], str(shown["State"].get("FinishedAt")))
        if key not in self._last_lines:
            if len(self._last_lines) > 1000:
                self._last_lines.clear()
            text = ""
            with suppress(NotFound, DeviceError):
                async with self._answering("a log could not be read"):
                    text = "".join(await self._container(shown["Id"]).log(stdout=True, stderr=True, tail=1))
            self._last_lines[key] = text.strip().rpartition("\n")[2][:2000]
        return self._last_lines[key]

    async def _create(self, order: MakeOrder, name: str) -> str:
        config = forms.container_config(self._experiment, order, podman=self._podman)
        async with self._changing(f"{order.id} could not be made"):
            made = await self._docker.containers.create(config, name=name)
        return str(made.id)

    async def _start(self, container: str, id: InstanceId) -> None:
        async with self._changing(f"{id} could not be started"):
            await self._container(container).start()

    async def _stop(self, container: str, grace_s: float, id: InstanceId) -> None:
        with suppress(NotFound):
            async with self._changing(f"{id} could not be stopped", grace_s + _START_S):
                await self._container(container).stop(t=math.ceil(grace_s))

    async def _delete(self, container: str, id: InstanceId) -> None:
        if self._archive:
            try:
                kept = await self._read_log(container, id, MOST_KEPT)
                await asyncio.to_thread(self._archive.keep, id, kept, container[:12])
            except (CountingRoomError, OSError) as error:
                _log.warning("fleet: the log of a container of %s is lost: %s", id, error)
        with suppress(NotFound):
            async with self._changing(f"{id} could not be removed"):
                await remove_container(self._container(container))

    async def _rename(self, container: str, name: str, id: InstanceId) -> None:
        async with self._changing(f"{id} could not be renamed"):
            await self._container(container).rename(name)

    # Little things.

    def _container(self, container: str) -> Any:
        if self._docker is None:
            raise LinkError(f"{self._node.name} is not connected", source=self._source)
        return self._docker.containers.container(container)

    def _line(self, text: str) -> LogLine:
        time, _, rest = text.partition(" ")
        try:
            return LogLine(forms.time_ns(time) - self._ahead_ns, rest.rstrip("\r"))
        except ValueError:  # a line that goes on from the one before
            return LogLine(0, text)

    def _answering(self, what: str, seconds: float | None = CALL_S) -> AbstractAsyncContextManager[None]:
        if self._docker is None:
            raise LinkError(f"{what}: it is not connected", source=self._source)
        return answering(self._source, what, seconds)

    def _changing(self, what: str, seconds: float = _START_S) -> AbstractAsyncContextManager[None]:
        check_lease(self.may_act, self._source)
        return self._answering(what, seconds)

    @asynccontextmanager
    async def _works_on(self, what: InstanceId | str) -> AsyncGenerator[None]:
        """One at a time for each instance and image."""
        lock, count = self._working.get(what, (asyncio.Lock(), 0))
        self._working[what] = lock, count + 1
        self._begun[what] = self._begun.get(what, 0) + 1
        try:
            async with lock:
                yield
        finally:
            count = self._working.pop(what)[1] - 1
            if count:
                self._working[what] = lock, count

"""One node as the keeper sees it: its connection, what is on it, and the actions on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from functools import partial

import msgspec

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.fleet.observed import Attempt, ImagePull, ObservedInstance, ObservedNode
from countingroom.core.fleet.specs import InstanceId, ServiceSpec
from countingroom.core.fleet.states import NodeReboot
from countingroom.core.fleet.usb import UsbDevice, find_usb, is_usb, moved_usb
from countingroom.fleet.actors.client import ActorClient
from countingroom.fleet.actors.link import Dial, dial
from countingroom.fleet.actors.node_actors import NodeActors, not_running
from countingroom.fleet.engines.lease_guard import GuardedEngine, MayAct, check_lease
from countingroom.fleet.engines.port import Engine, EngineFacts, EngineInstance, LogLine, MakeOrder, PlatformEngine
from countingroom.fleet.health import Absent, HealthChecks
from countingroom.fleet.reconciler.actions import FleetAction, FleetActionKind
from countingroom.fleet.secrets import read_secrets

_log = logging.getLogger(__name__)

PROGRESS_S = 0.5
LOOK_AGAIN_S = 20.0
"""All instances are listed so often although nothing was told: a told change may be lost."""
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 15.0
ReadUsb = Callable[[], Awaitable[Sequence[UsbDevice]]]
FIRST_LOOK_S = 2.0
"""A keeper that begins waits so long for its nodes, before it tells and decides."""
MOST_PULLS = 2
"""Images that one node gets at the same time."""


class Node:
    """One node. `run` keeps `observed` up to date and sets `changed`."""

    def __init__(
        self,
        clock: Clock,
        name: str,
        address: str,
        engine: Engine,
        changed: asyncio.Event,
        lines: Callable[[str], None],
        usb: ReadUsb | None = None,
        dial: Dial = dial,
        absent: Absent = lambda _: "the bus is not followed",
    ) -> None:
        """`lines`: takes a sentence about what was done, for operators. `usb`: reads its USB devices; None: they are
        not known. `dial`: connects to actors. `absent`: why a process of countingroom is not on the bus."""
        self.name = name
        self.facts: EngineFacts | None = None
        self.reboot: NodeReboot | None = None
        """The last restart of the computer that a user asked for."""
        self.busy: dict[InstanceId, FleetActionKind] = {}
        self.interrupted: set[InstanceId] = set()
        """Worked on when the node was lost."""
        self.pulling: dict[str, ImagePull] = {}
        self._told_s = 0.0
        self.failed_pulls: dict[str, Attempt] = {}
        self.failed_actions: dict[InstanceId, Attempt] = {}
        self._clock = clock
        self._engine = engine
        self._changed = changed
        self._lines = lines
        self.actors = NodeActors(clock, address, dial)
        self._checks = HealthChecks(clock, engine, address, changed, self.actors, absent)
        self._instances: dict[InstanceId, EngineInstance] = {}
        self._images: frozenset[str] = frozenset()
        self._looked = asyncio.Event()
        self._read_usb = usb
        self._usb: tuple[UsbDevice, ...] | None = None
        self._is_reachable = False
        self._since_ns = clock.now_ns()
        self._cause: Cause | None = None
        self._pulls = asyncio.Semaphore(MOST_PULLS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._may_act: MayAct = lambda: True

    def guard(self, may_act: MayAct) -> None:
        """Do nothing where this process does not keep the fleet at that moment."""
        self._may_act = may_act
        if isinstance(self._engine, GuardedEngine):
            self._engine.may_act = may_act

    @property
    def was_looked_at(self) -> bool:
        """Whether it and the checks of its instances have answered, or it is known not to answer."""
        return self._checks.have_answered if self._is_reachable else self._cause is not None

    def observed(self) -> ObservedNode:
        """As it is now."""
        return ObservedNode(
            name=self.name,
            is_reachable=self._is_reachable,
            since_ns=self._since_ns,
            instances={id: self._observed(one) for id, one in self._instances.items()},
            images=self._images,
            cause=self._cause,
            pulls=tuple(self.pulling.values()),
            usb=self._usb,
        )

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self._engine

    @property
    def is_reachable(self) -> bool:
        """Whether it answers."""
        return self._is_reachable

    @property
    def instances(self) -> Sequence[EngineInstance]:
        """Those that were seen last."""
        return tuple(self._instances.values())

    async def run(self) -> None:
        """Follow the node until cancelled; a node that is lost is tried again for ever."""
        pause_s = FIRST_RETRY_S
        try:
            while True:
                try:
                    self.facts = await self._engine.connect()
                    await self._look()
                    pause_s = FIRST_RETRY_S
                    await self._follow()
                except CountingRoomError as error:
                    self._lost(error.cause)
                except Exception as error:  # a fault of one adapter must not end the keeper of the others
                    _log.exception("fleet: the engine of %s failed", self.name)
                    self._lost(_fault(self.name, error))
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_RETRY_S)
        finally:
            await self._end()

    def speakers(self) -> list[InstanceId]:
        """Instances that speak the actor protocol."""
        return [id for id, one in self._instances.items() if one.spec.actor]

    def actor(self, id: InstanceId) -> ActorClient:
        """The client of an instance. DeviceError where it does not run. On a node that does not answer it may run."""
        one = self._instances.get(id)
        if one is None:
            raise not_running(id, "is not there")
        if self._is_reachable and not one.is_running:
            raise not_running(id, f"does not run: {one.reason}" if one.reason else "does not run")
        return self.actors.client(id, one.spec.actor)

    def begin(self, action: FleetAction) -> None:
        """Carry out an action; its end is seen in `observed`."""
        if action.instance:
            self.busy[action.instance] = action.kind
        elif action.image:
            self.pulling[action.image] = ImagePull(image=action.image, since_ns=self._clock.now_ns())
        task = asyncio.create_task(self._carry_out(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget_failures(self) -> None:
        """A revision was applied: what failed before is tried again."""
        self.failed_pulls.clear()
        self.failed_actions.clear()

    def logs(self, id: InstanceId, tail: int, since_ns: int = 0, *, follow: bool = False) -> AsyncGenerator[LogLine]:
        """The last lines of an instance's output; with `follow` the next ones too."""
        return self._engine.logs(id, tail=tail, since_ns=since_ns, follow=follow)

    async def platform(self) -> str:
        """`linux/amd64`; empty where its engine does not say."""
        if not isinstance(self._engine, PlatformEngine):
            return ""
        try:
            return await self._engine.platform()
        except CountingRoomError:
            return ""

    @property
    def looked(self) -> asyncio.Event:
        """Set when the instances are listed the next time."""
        return self._looked

    async def _follow(self) -> None:
        """Returns, or raises the error of the engine, where it is lost."""
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(self._look_now_and_then())
                async with aclosing(self._engine.changes()) as changes:
                    async for _ in changes:
                        await self._look()
                looking.cancel()
        except* CountingRoomError as errors:
            failed = errors.exceptions[0]
        if failed:  # raised here, because Python 3.11.2 of Debian 12 makes a group of what is raised in `except*`
            raise failed

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_AGAIN_S)
            await self._look()

    async def _look(self) -> None:
        before = self._is_reachable, self._instances, self._images, self._usb
        instances = await self._engine.instances()
        self._images = await self._engine.images()
        if self._read_usb:
            self._usb = tuple(await self._read_usb())
        self._instances = {one.id: one for one in instances}
        self.interrupted.clear()
        self._looked.set()
        self._looked = asyncio.Event()
        self._checks.follow(list(instances))
        self.actors.follow(instances)
        if not self._is_reachable:
            self._is_reachable = True
            self._since_ns = self._clock.now_ns()
            self._cause = None
        # A look that finds nothing new wakes no keeper: with hundreds of nodes it would never rest.
        if (True, self._instances, self._images, self._usb) != before:
            self._changed.set()

    def _lost(self, cause: Cause) -> None:
        if self._is_reachable or self._cause is None:
            self._is_reachable = False
            self._since_ns = self._clock.now_ns()
        self._cause = cause
        self._checks.follow([])
        self._changed.set()

    def _observed(self, one: EngineInstance) -> ObservedInstance:
        checked = self._checks.health(one)
        return ObservedInstance(
            id=one.id,
            digest=one.digest,
            revision=one.revision,
            change=one.change,
            health=checked.health,
            since_ns=checked.since_ns,
            started_ns=one.since_ns,
            exit_status=one.exit_status,
            crashes=one.crashes,
            reason=checked.reason,
            drift=(*one.drift, *moved_usb(one.devices, self._usb or (), self.name)) if one.devices else one.drift,
            engine_id=one.engine_id,
            host=one.host,
            grace_s=one.spec.grace_s,
        )

    async def _carry_out(self, action: FleetAction) -> None:
        try:
            if action.kind is FleetActionKind.PULL:
                await self._pull(action.image)
            elif action.instance:
                await self._act(action, action.instance)
            with suppress(LinkError):
                await self._look()
        finally:
            if action.instance:
                self.busy.pop(action.instance, None)
            self.pulling.pop(action.image, None)
            self._changed.set()

    def _pulled(self, image: str, done: int, whole: int) -> None:
        """Progress of a pull: told at most every PROGRESS_S."""
        if before := self.pulling.get(image):
            self.pulling[image] = msgspec.structs.replace(before, done_bytes=done, whole_bytes=whole)
        now_s = self._clock.monotonic()
        if now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            self._changed.set()

    async def _pull(self, image: str) -> None:
        try:
            async with self._pulls:
                await self._engine.pull(image, partial(self._pulled, image))
        except CountingRoomError as error:
            before = self.failed_pulls.get(image)
            self.failed_pulls[image] = self._attempt(error.cause, before)
            self._lines(f"{self.name}: {image} could not be pulled: {error.cause.message}")
        else:
            self.failed_pulls.pop(image, None)

    async def _act(self, action: FleetAction, id: InstanceId) -> None:
        try:
            check_lease(self._may_act, f"fleet.{self.name}")
            if action.kind is FleetActionKind.REMOVE:
                await self._engine.remove(id, action.grace_s)
            elif action.kind is FleetActionKind.START:
                await self._engine.start(id)
            elif action.resolved:
                order = MakeOrder(
                    id=id,
                    spec=action.resolved.spec,
                    digest=action.resolved.digest,
                    revision=action.revision,
                    change=action.change,
                    secrets=await read_secrets(id, action.resolved.spec.secrets),
                    devices=await self._devices(action.resolved.spec),
                )
                if action.kind is FleetActionKind.MAKE:
                    await self._engine.make(order)
                else:
                    await self._engine.replace(order, action.grace_s)
        except LinkError as error:
            # The node counts as lost until it answers. Whether the action was carried out is seen then.
            self.interrupted.add(id)
            self._lost(error.cause)
        except CountingRoomError as error:
            self.failed_actions[id] = self._attempt(error.cause, self.failed_actions.get(id))
            self._lines(f"{id}: {action.kind} failed: {error.cause.message}")
        except Exception as error:
            _log.exception("fleet: %s of %s failed", action.kind, id)
            self.failed_actions[id] = self._attempt(_fault(str(id), error), self.failed_actions.get(id))
        else:
            self.failed_actions.pop(id, None)
            self._lines(f"{id}: {_DONE[action.kind]}, {action.why}")

    async def _devices(self, spec: ServiceSpec) -> dict[str, tuple[str, ...]]:
        """Where the USB devices of an instance are at this moment. DeviceError where one is not there."""
        names = [device for device in spec.devices if is_usb(device)]
        if names and self._read_usb:
            self._usb = tuple(await self._read_usb())
        return {name: find_usb(name, self._usb, self.name).paths for name in names}

    def _attempt(self, cause: Cause, before: Attempt | None) -> Attempt:
        return Attempt(cause=cause, at_ns=self._clock.now_ns(), count=before.count + 1 if before else 1)

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._checks.close()
        await self.actors.close()
        with suppress(CountingRoomError, TimeoutError):
            async with within(self._clock, 2.0):
                await self._engine.close()


_DONE = {
    FleetActionKind.MAKE: "made",
    FleetActionKind.REPLACE: "replaced",
    FleetActionKind.START: "started again",
    FleetActionKind.REMOVE: "ended",
}


def _fault(name: str, error: Exception) -> Cause:
    """An error that an adapter should have told as one of ours."""
    return Cause(
        code="engine",
        message=f"{type(error).__name__}: {error}",
        source=f"fleet.{name}",
        suggestion="see the log of the role fleet, and report it",
    )


async def first_look(clock: Clock, nodes: Collection[Node], changed: asyncio.Event) -> None:
    """Wait until each node was looked at, for FIRST_LOOK_S at most: one that was not asked yet is not lost, and an
    instance that was not checked yet is not unhealthy."""
    with suppress(TimeoutError):
        async with within(clock, FIRST_LOOK_S):
            while not all(node.was_looked_at for node in nodes):
                changed.clear()
                await changed.wait()

"""An engine of the fleet in memory. Its instances do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import DeviceError, LinkError, NotFound
from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.engines.port import EngineFacts, EngineInstance, LogLine, MakeOrder, Progress


class FakeEngine:
    """One node."""

    def __init__(self, clock: Clock) -> None:
        self.made: list[MakeOrder] = []
        """Every order that was carried out."""
        self.present: dict[InstanceId, EngineInstance] = {}
        self.stock: set[str] = set()
        """Images on the node."""
        self.registry: set[str] = set()
        """Images that can be pulled."""
        self.away = False
        """It does not answer."""
        self.takes_s = 0.0
        """Time for each action."""
        self.broken: set[str] = set()
        """Images, or first words of commands, that cannot be started."""
        self.unhealthy: set[str] = set()
        """Images, or first words of commands, whose health check fails."""
        self.output: dict[InstanceId, list[LogLine]] = {}
        """What its instances have written."""
        self.may_act: MayAct = lambda: True
        self._said = asyncio.Event()
        self._clock = clock
        self._news = asyncio.Event()

    async def connect(self) -> EngineFacts:
        self._answer()
        return EngineFacts(engine="fake", boot="1")

    async def instances(self) -> Sequence[EngineInstance]:
        self._answer()
        return tuple(self.present.values())

    async def images(self) -> frozenset[str]:
        self._answer()
        return frozenset(self.stock)

    async def pull(self, image: str, progress: Progress) -> None:
        for tenths in (1, 4):
            await self._work()
            progress(tenths * 4_000_000, 40_000_000)
        await self._work()
        if image not in self.registry:
            raise DeviceError(f"manifest of {image} unknown", source="fake", code="no_image")
        self.stock.add(image)
        self.tell()

    async def make(self, order: MakeOrder) -> None:
        await self._work()
        check_lease(self.may_act, "fake")
        self._check(order)
        self.made.append(order)
        self.present[order.id] = EngineInstance(
            id=order.id,
            digest=order.digest,
            revision=order.revision,
            change=order.change,
            is_running=True,
            since_ns=self._clock.now_ns(),
            spec=order.spec,
            devices=order.devices,
            engine_id=str(len(self.made)),
        )
        self.say(order.id, " ".join(order.spec.command) or order.spec.image)
        self.tell()

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        await self._work()
        check_lease(self.may_act, "fake")
        self._check(order)
        await self.make(order)

    async def start(self, id: InstanceId) -> None:
        await self._work()
        check_lease(self.may_act, "fake")
        one = self._find(id)
        self.present[id] = msgspec.structs.replace(one, is_running=True, since_ns=self._clock.now_ns())
        self.tell()

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        await self._work()
        check_lease(self.may_act, "fake")
        self.present.pop(id, None)
        self.tell()

    async def logs(
        self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False
    ) -> AsyncGenerator[LogLine]:
        self._answer()
        self._find(id)
        there = self.output.setdefault(id, [])
        place = max(len(there) - tail, 0)
        while True:
            for line in there[place:]:
                if line.time_ns >= since_ns:
                    yield line
            place = len(there)
            if not follow:
                return
            self._said.clear()
            await self._said.wait()
            self._answer()
            if id not in self.present or not self.present[id].is_running:
                return

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        self._answer()
        bad = _name(self._find(id)) in self.unhealthy
        return (1, "no camera with serial 0A12-77") if bad else (0, "")

    async def changes(self) -> AsyncGenerator[None]:
        while True:
            await self._news.wait()
            self._news.clear()
            self._answer()
            yield

    async def close(self) -> None:
        """Has no effect: there is no connection."""

    # What a test does.

    def tell(self) -> None:
        """Something changed."""
        self._news.set()

    def say(self, id: InstanceId, text: str) -> None:
        """An instance writes a line."""
        self.output.setdefault(id, []).append(LogLine(self._clock.now_ns(), text))
        self._said.set()

    def end(self, id: InstanceId, status: int) -> None:
        """The program of an instance ends by itself."""
        one = self.present[id]
        self.present[id] = msgspec.structs.replace(
            one, is_running=False, since_ns=self._clock.now_ns(), exit_status=status, crashes=one.crashes + 1
        )
        self._said.set()
        self.tell()

    def _answer(self) -> None:
        if self.away:
            raise LinkError("no answer", source="fake")

    async def _work(self) -> None:
        self._answer()
        await self._clock.sleep(self.takes_s)
        self._answer()

    def _check(self, order: MakeOrder) -> None:
        name = order.spec.image or order.spec.command[0]
        if name in self.broken:
            raise DeviceError(f"{name} cannot be started", source="fake", code="not_started")

    def _find(self, id: InstanceId) -> EngineInstance:
        if id not in self.present:
            raise NotFound(f"there is no instance {id}", source="fake")
        return self.present[id]


def _name(one: EngineInstance) -> str:
    return one.spec.image or one.spec.command[0]

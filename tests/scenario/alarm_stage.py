"""The alarm department on the memory bus with a virtual clock. A test plays devices, partitions and processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from msgspec import structs

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.service import AlarmService
from countingroom.alarms.interlocks.interlock_keeper import InterlockStore
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.presence import heartbeat
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.commands.alarms import listed
from countingroom.core.errors import Cause, Conflict, LinkError
from countingroom.core.messages import (
    Catalogue,
    Command,
    DeviceState,
    Event,
    EventKind,
    Link,
    Readings,
    Reply,
    decode,
    encode,
)
from countingroom.core.partitions import PartitionState
from countingroom.core.points import Limits, Point
from countingroom.core.policy import Principal, Role
from countingroom.core.values import Quality, Scalar
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox

BATH = Point(name="bath", label="Bath", unit="degC", limits=Limits(warning_high=30.0, alarm_high=35.0))
PUMP = Point(name="pump", label="Pump fault", severity=2, description="the pump has failed")
VOLTAGE = Point(name="1.v", channel="1", column="v", label="V mon", unit="V", limits=Limits(alarm_low=4.0))
CHILLER = Catalogue(device="chiller", title="Chiller", driver="fake", group="Cooling", points=(BATH, PUMP, VOLTAGE))


class MemoryAlarms:
    """The saved alarms. It outlives an engine, as a database does."""

    def __init__(self) -> None:
        self.saved: dict[str, SavedAlarm] = {}
        self.rows: list[AlarmEntry] = []
        self.is_away = False
        self.hangs = ""
        """The call that has no answer: `load` or `history`."""
        self.outbox: MemoryOutbox | None = None
        self._writer = 0

    async def take_over(self, name: str) -> int:
        self._answer()
        self._writer += 1
        if self.outbox:
            self.outbox.writer = self._writer
        return self._writer

    async def load(self) -> tuple[SavedAlarm, ...]:
        self._answer()
        await self._hang("load")
        return tuple(self.saved.values())

    async def save(
        self,
        writer: int,
        changed: Sequence[SavedAlarm] = (),
        entries: Sequence[AlarmEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        self._answer()
        if writer != self._writer:
            raise Conflict("another has taken over", source="alarms", code="superseded")
        self.saved |= {one.id: one for one in changed}
        self.rows += [structs.replace(row, sequence=len(self.rows) + n) for n, row in enumerate(entries, 1)]

    async def history(self, wanted: AlarmHistoryFilter) -> tuple[AlarmEntry, ...]:
        self._answer()
        await self._hang("history")
        found = [
            row
            for row in reversed(self.rows)
            if (not wanted.alarm or row.alarm == wanted.alarm)
            and (not wanted.kinds or row.kind in wanted.kinds)
            and (wanted.from_ns is None or row.time_ns >= wanted.from_ns)
        ]
        return tuple(found[: wanted.limit])

    async def occurrences(self, of: str, since_ns: int) -> int:
        self._answer()
        kinds = (HistoryKind.ANNOUNCED, HistoryKind.ACTIVATED)
        return sum(row.alarm == of and row.kind in kinds and row.time_ns >= since_ns for row in self.rows)

    async def discard(self, before_ns: int, most: int = 1_000_000) -> int:
        self._answer()
        return 0

    def _answer(self) -> None:
        if self.is_away:
            raise LinkError("the disk is full", source="storage", code="disk_full")

    async def _hang(self, call: str) -> None:
        if self.hangs == call:
            await asyncio.Event().wait()


class PlainDefinitions:
    """Definitions of a description without a section `alarms`."""

    longest_shelf_s: Mapping[int, float] = {1: 3600.0, 2: 3600.0, 3: 3600.0, 4: 3600.0}

    def __init__(self, **changes: Any) -> None:
        self.section = AlarmsSection()
        self._changes = changes

    def of_device(self, catalogue: Catalogue) -> Iterator[AlarmDefinition]:
        device = catalogue.device
        for id in (f"device.{device}.state", f"device.{device}.link"):
            plain = AlarmDefinition(id=id, title=catalogue.title, area="cooling", device=device)
            yield structs.replace(plain, **self._changes)
        for channel in ("1", "2"):
            yield AlarmDefinition(
                id=f"channel.{device}.{channel}", title=catalogue.title, device=device, channel=channel
            )
        for point in catalogue.points:
            if (found := self.of_point(catalogue, point)) is not None:
                yield found

    def of_point(self, catalogue: Catalogue, point: Point) -> AlarmDefinition | None:
        plain = AlarmDefinition(
            id=f"point.{catalogue.device}.{point.name}",
            title=f"{catalogue.title} / {point.label}",
            area="cooling/chiller",
            device=catalogue.device,
            channel=point.channel,
            point=point.name,
        )
        return structs.replace(plain, **self._changes)

    def of_partition(self, partition: str, systems: Iterable[str], title: str = "") -> Iterator[AlarmDefinition]:
        for kind in ("owner", "goal"):
            yield AlarmDefinition(id=f"partition.{partition}.{kind}", title=partition, partition=partition)
        for system in systems:
            yield AlarmDefinition(id=f"member.{partition}.{system}", title=system, partition=partition, system=system)

    def of_role(self, role: str) -> Iterator[AlarmDefinition]:
        yield AlarmDefinition(id=f"role.{role}", title=f"process {role}", role=role)

    def of_keeper(self) -> Iterator[AlarmDefinition]:
        yield from ()

    def of_node(self, node: str) -> Iterator[AlarmDefinition]:
        yield from ()

    def of_service(self, service: str) -> Iterator[AlarmDefinition]:
        yield from ()

    def of_told(self) -> Iterator[AlarmDefinition]:
        yield from ()

    def of_customs(self) -> Iterator[AlarmDefinition]:
        yield from ()

    def of_interlocks(self) -> Iterator[AlarmDefinition]:
        yield from ()


class AlarmStage:
    """The bus with one device, and engines that are started and killed."""

    def __init__(self, *, roles: Sequence[str] = (), section: dict[str, Any] | None = None, **changes: Any) -> None:
        """`section`: the section `alarms` of the description; None: all alarms are plain, with these changes."""
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.store = MemoryAlarms()
        self.interlocks: InterlockStore | None = None
        self.definitions = (
            PlainDefinitions(**changes) if section is None else Definitions(AlarmsSection.model_validate(section))
        )
        self.outbox = self.store.outbox = MemoryOutbox(self.clock, self.store.rows)
        self.buses: dict[str, MemoryBus] = {}
        """Instance of an engine -> its connection."""
        self.roles: dict[str, Role] = {}
        """User -> role, of those that are not experts."""
        self._needed = roles
        self.perhaps: Sequence[str] = ()
        """Processes that the experiment may need."""
        self.existing: frozenset[str] | None = None
        """All partitions; None: the engine does not know them."""
        self.parts: dict[str, Any] = {}
        """Further parts of an engine, by their names in `AlarmService`."""
        self.described: tuple[str, ...] | None = None
        """Devices of the description."""
        self.warnings: Callable[[], list[str]] = list
        """Warnings of the engine that began last."""
        self._sequence = 0

    async def prepare(self) -> None:
        await prepare(self.bus, max_bytes=1 << 24)
        await self.put(CHILLER)
        await self.state()

    @asynccontextmanager
    async def engine(self, instance: str = "main") -> AsyncGenerator[asyncio.Task[None]]:
        """An engine, until the end of the block or of its task."""
        bus = self.buses[instance] = self.bus.client()
        service = AlarmService(
            bus,
            self.clock,
            self.store,
            self.definitions,
            self._principal,
            roles=self._needed,
            perhaps=self.perhaps,
            partitions=None if self.existing is None else self._partitions,
            devices=self.described,
            instance=instance,
            outbox=self.outbox,
            experiment="bench",
            **self.parts,
            interlocks=self.interlocks,
        )
        self.warnings = service.warnings
        task = asyncio.create_task(service.run())
        try:
            await self.clock.advance(0.1)
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await task
            await bus.close()

    @asynccontextmanager
    async def host(
        self, *targets: str, role: str = "devices", conditions: Mapping[str, str] | None = None
    ) -> AsyncGenerator[None]:
        """A process that sends heartbeats."""
        task = asyncio.create_task(
            heartbeat(
                self.bus,
                self.clock,
                role=role,
                instance="main",
                boot=uuid4().hex,
                targets=targets,
                conditions=lambda: conditions or {},
            )
        )
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def put(self, catalogue: Catalogue) -> None:
        await self.bus.put("state", subjects.catalogue_key(catalogue.device), encode(catalogue))

    async def state(self, channel: str = "", **changes: Any) -> None:
        state = DeviceState(
            device="chiller",
            channel=channel,
            state="ON",
            common="on",
            link=Link.CONNECTED,
            since_ns=self.clock.now_ns(),
        )
        key = subjects.channel_key("chiller", channel) if channel else subjects.device_key("chiller")
        await self.bus.put("state", key, encode(structs.replace(state, **changes)))

    async def partition(self, state: PartitionState) -> None:
        await self.bus.put("state", subjects.partition_key(state.partition), encode(state))

    async def read(
        self,
        quality: Quality = Quality.GOOD,
        *,
        full: bool = False,
        alarms: dict[str, int] | None = None,
        **points: Scalar,
    ) -> None:
        """Readings of the chiller; `1_v` stands for `1.v`."""
        self._sequence += 1
        now_ns, count = self.clock.now_ns(), len(points)
        message = Readings(
            device="chiller",
            boot="b1",
            sequence=self._sequence,
            full=full,
            sent_ns=now_ns,
            points=[name.removeprefix("ch").replace("_", ".") for name in points],
            values=list(points.values()),
            qualities=[int(quality)] * count,
            device_ns=[now_ns] * count,
            received_ns=[now_ns] * count,
            alarms=alarms or {},
        )
        await self.bus.append(subjects.readings("chiller", full=full), encode(message))
        await self.clock.advance(0.01)

    async def alarms(self) -> dict[str, AlarmState]:
        """The published alarms, by id."""
        await self.clock.advance(0)
        found: dict[str, AlarmState] = {}
        async with self.bus.watch("state", "alarm.>") as items:
            async for item in items:
                if (data := getattr(item, "data", None)) is not None:
                    state = decode(data, AlarmState)
                    found[state.id] = state
                elif not hasattr(item, "key"):
                    break
        return found

    async def shown(self) -> dict[str, str]:
        """Alarm -> its shown state."""
        return {id: state.shown.value for id, state in (await self.alarms()).items()}

    async def events(self) -> list[Event]:
        """The stored events about alarms, without those about commands."""
        await self.clock.advance(0)
        found: list[Event] = []
        async with self.bus.replay("events", subjects="events.alarms.*", follow=False) as stored:
            async for message in stored:
                event = decode(message.data, Event)
                if event.source != subjects.ALARMS:
                    found.append(event)
        return found

    async def endings(self) -> list[str]:
        """What the closing events of commands say."""
        await self.clock.advance(0.1)
        async with self.bus.replay("events", subjects="events.alarms.*", follow=False) as stored:
            found = [decode(message.data, Event) async for message in stored]
        return [event.message for event in found if event.kind is EventKind.DONE]

    async def told(self) -> list[str]:
        """What the events tell: `announced chiller`."""
        return [f"{event.action} {event.data['alarm']}" for event in await self.events()]

    async def command(
        self, action: str, *, user: str = "anna", id: str = "", target: str = subjects.ALARMS, **arguments: Scalar
    ) -> Cause | None:
        """Give a command; the cause where it is refused. `alarms` may be a dict."""
        now_ns = self.clock.now_ns()
        command = Command(
            id=id or uuid4().hex, action=action, arguments=arguments, issued_ns=now_ns, deadline_ns=now_ns + 10**10
        )
        subject = subjects.command(user, "alarms", target)
        asking = asyncio.create_task(self.bus.request(subject, encode(command), timeout_s=5))
        await self.clock.advance(0.01)
        while not asking.done():
            await self.clock.advance(0.1)
        reply = decode((await asking).data, Reply)
        return reply.cause

    async def acknowledge(self, *, user: str = "anna", comment: str = "", **seen: int) -> Cause | None:
        """`bath=1`: the alarm of the point, in the occurrence that was seen."""
        alarms = {f"point.chiller.{name}": occurrence for name, occurrence in seen.items()}
        return await self.command("acknowledge", user=user, alarms=listed(alarms), comment=comment)

    async def _partitions(self) -> frozenset[str]:
        return self.existing or frozenset()

    async def _principal(self, user: str, target: str) -> Principal:
        return Principal(name=user, role=self.roles.get(user, Role.EXPERT))

"""A restore of a snapshot: one command after the other, stopped at any moment, and what a dead process leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.bus.streams import prepare
from countingroom.console.auth.requester import Requester
from countingroom.console.snapshots.restorer import Restorer
from countingroom.core.accounts import AuditEntry
from countingroom.core.errors import Cause, Conflict, LinkError
from countingroom.core.messages import Command, Event, EventKind, Reply, decode
from countingroom.core.policy import Principal, Role
from countingroom.core.snapshots.progress import KEY, PointEnd, PointResult, Restore, RestoreEnd, RestoreProgress
from countingroom.core.snapshots.restore_plan import PlannedWrite, RestorePlan
from countingroom.core.values import Scalar
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

ANNA = Requester(principal=Principal(name="anna", role=Role.EXPERT))
NO = Cause(code="interlock", message="HV is held", suggestion="reset it")


def plan(*points: str) -> RestorePlan:
    """Writes of these points, `<device>.<point>`."""
    writes = tuple(
        PlannedWrite(device=device, point=point, old=1.0, new=2.0, wait_s=20.0, reason="step 0")
        for device, _, point in (one.partition(".") for one in points)
    )
    return RestorePlan(snapshot="good", writes=writes, left=(), digest="d")


class Devices:
    """Device hosts that do what the test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, dict[str, Scalar]]] = []
        self.answers: dict[str, Callable[[Command], tuple[Reply, Event | None]]] = {}
        self.silent: set[str] = set()
        self.came = asyncio.Event()

    async def send(self, device: str, command: Command, wait_s: float, /, *, user: str) -> tuple[Reply, Event | None]:
        point = f"{device}.{command.arguments['point']}"
        self.sent.append((user, point, command.action, command.arguments))
        self.came.set()
        if point in self.silent:
            await asyncio.Event().wait()
        return self.answers.get(point, done)(command)

    @property
    def points(self) -> list[str]:
        return [point for _, point, _, _ in self.sent]


def _event(command: Command, kind: EventKind, cause: Cause | None = None) -> Event:
    return Event(
        id="e", kind=kind, time_ns=1, department="devices", source="a", message="", command_id=command.id, cause=cause
    )


def done(command: Command) -> tuple[Reply, Event | None]:
    return Reply(id=command.id, accepted=True), _event(command, EventKind.DONE)


def failed(command: Command) -> tuple[Reply, Event | None]:
    return Reply(id=command.id, accepted=True), _event(command, EventKind.FAILED, NO)


def refused(command: Command) -> tuple[Reply, Event | None]:
    return Reply(id=command.id, accepted=False, cause=NO), None


def no_end(command: Command) -> tuple[Reply, Event | None]:
    return Reply(id=command.id, accepted=True), None


def unanswered(command: Command) -> tuple[Reply, Event | None]:
    raise LinkError("no process answers", code="unreachable", source="bus")


class Bench:
    """The devices, a database, and consoles one after the other."""

    def __init__(self, clock: FakeClock, bus: MemoryBus, database: Database) -> None:
        self.clock = clock
        self.bus = bus
        self.database = database
        self.devices = Devices()
        self.audit: list[AuditEntry] = []
        self.denied: Cause | None = None

    @asynccontextmanager
    async def console(self) -> AsyncGenerator[Restorer]:
        """A process that restores; killed at the end without a word."""
        bus = self.bus.client()
        publisher = Publisher(bus, self.clock, "console")
        restorer = Restorer(
            bus,
            self.clock,
            self.database.snapshots,
            publisher,
            send=self.devices.send,
            permit=self.may,
            audit=self.audit.append,
            process="console 1",
        )
        tasks = [asyncio.create_task(restorer.run()), asyncio.create_task(publisher.run())]
        try:
            yield restorer
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await bus.close()

    async def may(self, requester: Requester, write: PlannedWrite) -> Cause | None:
        """Why the user may not do it."""
        return self.denied

    async def end(self, id: str) -> RestoreEnd:
        """Its end, as it is recorded."""
        for _ in range(100):
            found = await self.database.snapshots.restore(id)
            if found.end is not RestoreEnd.RUNNING:
                return found.end
            await self.clock.advance(0.1)
        raise TimeoutError

    async def ends(self, id: str) -> list[PointEnd]:
        """What became of each point, as it is recorded."""
        return [one.end for one in (await self.database.snapshots.restore(id)).results]


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    database = Database("sqlite://", clock=clock)
    await database.open()
    yield Bench(clock, bus, database)
    await database.close()
    await bus.close()


async def test_points_are_written_one_after_the_other_as_the_user_and_all_of_it_is_recorded(bench: Bench) -> None:
    async with bench.console() as console:
        begun = await console.start(plan("a.x", "a.y", "b.z"), ANNA, "after the power cut", keeps_going=False)
        assert await bench.end(begun.id) is RestoreEnd.DONE
    assert [(user, point) for user, point, _, _ in bench.devices.sent] == [
        ("anna", "a.x"),
        ("anna", "a.y"),
        ("anna", "b.z"),
    ]
    assert await bench.ends(begun.id) == [PointEnd.RESTORED] * 3
    assert [(one.who, one.target, one.arguments["value"], one.outcome) for one in bench.audit] == [
        ("anna", "device.a", 2.0, "accepted"),
        ("anna", "device.a", 2.0, "accepted"),
        ("anna", "device.b", 2.0, "accepted"),
    ]
    actions = await bench.database.snapshots.actions("good")
    assert [(one.who, one.what, one.reason) for one in actions] == [
        ("anna", "end", ""),
        ("anna", "restore", "after the power cut"),
    ]
    entry = await bench.bus.get("state", KEY)
    assert entry is not None
    assert entry.data is not None
    told = decode(entry.data, RestoreProgress)
    assert (told.end, told.message) == (RestoreEnd.DONE, "3 of 3 points restored")
    assert await bench.bus.holder("restore") == ""


@pytest.mark.parametrize("turns", range(12))
async def test_a_console_that_ends_right_after_a_restore_leaves_its_lease_free(bench: Bench, turns: int) -> None:
    """Whichever of its last steps the end of the console interrupts."""
    async with bench.console() as console:
        begun = await console.start(plan("a.x"), ANNA, "after the power cut", keeps_going=False)
        while (await bench.database.snapshots.restore(begun.id)).end is RestoreEnd.RUNNING:
            await bench.clock.advance(0.1)
        for _ in range(turns):
            await asyncio.sleep(0)
    assert await bench.bus.holder("restore") == ""


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (refused, PointEnd.REFUSED),
        (failed, PointEnd.FAILED),
        (no_end, PointEnd.UNKNOWN),
        (unanswered, PointEnd.FAILED),
    ],
)
async def test_it_ends_at_the_first_failure_or_leaves_its_device_alone(
    bench: Bench, answer: Callable[[Command], tuple[Reply, Event | None]], end: PointEnd
) -> None:
    bench.devices.answers["a.x"] = answer
    async with bench.console() as console:
        first = await console.start(plan("a.x", "a.y", "b.z"), ANNA, "r", keeps_going=False)
        assert await bench.end(first.id) is RestoreEnd.INCOMPLETE
        assert await bench.ends(first.id) == [end, PointEnd.NOT_TRIED, PointEnd.NOT_TRIED]
        second = await console.start(plan("a.x", "a.y", "b.z"), ANNA, "r", keeps_going=True)
        assert await bench.end(second.id) is RestoreEnd.INCOMPLETE
        assert await bench.ends(second.id) == [end, PointEnd.NOT_TRIED, PointEnd.RESTORED]
    assert bench.devices.points == ["a.x", "a.x", "b.z"]


async def test_a_stop_gets_through_while_a_device_is_silent(bench: Bench) -> None:
    bench.devices.silent.add("a.y")
    async with bench.console() as console:
        begun = await console.start(plan("a.x", "a.y", "b.z"), ANNA, "r", keeps_going=True)
        while bench.devices.points != ["a.x", "a.y"]:
            bench.devices.came.clear()
            await bench.devices.came.wait()
        with pytest.raises(Conflict, match="restore of good by anna is under way"):
            await console.start(plan("c.z"), ANNA, "r", keeps_going=False)
        await console.stop(begun.id, "bert")
        assert await bench.end(begun.id) is RestoreEnd.STOPPED
        found = await bench.database.snapshots.restore(begun.id)
        assert found.cause is not None
        assert found.cause.message == "stopped by bert"
        assert [one.end for one in found.results] == [PointEnd.RESTORED, PointEnd.UNKNOWN, PointEnd.NOT_TRIED]
        with pytest.raises(Conflict, match="not under way"):
            await console.stop(begun.id, "bert")


async def test_rights_that_are_lost_meanwhile_count_for_the_next_point(bench: Bench) -> None:
    bench.denied = Cause(code="denied", message="anna is a viewer", suggestion="ask")
    async with bench.console() as console:
        begun = await console.start(plan("a.x"), ANNA, "r", keeps_going=False)
        assert await bench.end(begun.id) is RestoreEnd.INCOMPLETE
    assert bench.devices.sent == []


async def test_a_process_that_ends_in_the_middle_leaves_a_record_and_nothing_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.devices.silent.add("a.y")
    async with bench.console() as console:
        begun = await console.start(plan("a.x", "a.y", "b.z"), ANNA, "r", keeps_going=True)
        while bench.devices.points != ["a.x", "a.y"]:
            bench.devices.came.clear()
            await bench.devices.came.wait()
        # As after kill -9: it writes nothing any more.
        monkeypatch.setattr(console, "_end_with_process", _nothing)
    assert (await bench.database.snapshots.restore(begun.id)).end is RestoreEnd.RUNNING
    bench.devices.silent.clear()
    async with bench.console():
        assert await bench.end(begun.id) is RestoreEnd.INTERRUPTED
        assert await bench.ends(begun.id) == [PointEnd.RESTORED, PointEnd.UNKNOWN, PointEnd.NOT_TRIED]
    assert bench.devices.points == ["a.x", "a.y"]
    entry = await bench.bus.get("state", KEY)
    assert entry is not None
    assert entry.data is not None
    assert decode(entry.data, RestoreProgress).end is RestoreEnd.INTERRUPTED


async def _nothing(*_: object) -> None:
    """Instead of the last words of a process."""


async def test_two_consoles_do_not_restore_at_the_same_time(bench: Bench) -> None:
    bench.devices.silent.add("a.x")
    async with bench.console() as one, bench.console() as other:
        begun = await one.start(plan("a.x"), ANNA, "r", keeps_going=False)
        with pytest.raises(Conflict, match="under way"):
            await other.start(plan("b.z"), ANNA, "r", keeps_going=False)
        await one.stop(begun.id, "anna")
        assert await bench.end(begun.id) is RestoreEnd.STOPPED


async def test_a_stop_while_the_record_is_written_lets_no_command_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.console() as console:
        keep = bench.database.snapshots.keep_point

        async def stopped_meanwhile(restore: str, number: int, result: PointResult) -> None:
            await keep(restore, number, result)
            if result.end is PointEnd.UNDER_WAY:
                await console.stop(restore, "bert")

        monkeypatch.setattr(bench.database.snapshots, "keep_point", stopped_meanwhile)
        begun = await console.start(plan("a.x", "a.y"), ANNA, "r", keeps_going=True)
        assert await bench.end(begun.id) is RestoreEnd.STOPPED
        assert await bench.ends(begun.id) == [PointEnd.NOT_TRIED] * 2
    assert (bench.devices.sent, bench.audit) == ([], [])


async def test_another_console_stops_it_and_knows_when_none_carries_it_out(bench: Bench) -> None:
    bench.devices.silent.add("a.x")
    async with bench.console() as one, bench.console() as other:
        begun = await one.start(plan("a.x", "a.y"), ANNA, "r", keeps_going=False)
        await bench.devices.came.wait()
        await other.stop(begun.id, "bert")
        assert await bench.end(begun.id) is RestoreEnd.STOPPED
        cause = (await bench.database.snapshots.restore(begun.id)).cause
        assert cause is not None
        assert cause.message == "stopped by bert"
        with pytest.raises(Conflict, match="not under way"):
            await other.stop(begun.id, "bert")


async def test_an_end_that_the_database_refuses_blocks_no_further_restore(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = bench.database.snapshots.end_restore

    async def refuse(restore: Restore) -> None:
        raise Conflict("the database refuses the change", source="storage")

    async with bench.console() as console:
        monkeypatch.setattr(bench.database.snapshots, "end_restore", refuse)
        await console.start(plan("a.x"), ANNA, "r", keeps_going=False)
        async with asyncio.timeout(PATIENCE_S):
            while console.present:
                await bench.database.snapshots.unfinished()  # the database has its turn
        monkeypatch.setattr(bench.database.snapshots, "end_restore", end)
        assert await bench.end((await console.start(plan("b.z"), ANNA, "r", keeps_going=False)).id) is RestoreEnd.DONE

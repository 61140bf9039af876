"""A further store gets each sample once, whatever happens to it, to the bus and to the process; and delays nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.history_stores import StoreHealth
from countingroom.core.messages import Event, Readings, decode, encode
from countingroom.history.columns import Columns
from countingroom.history.notes import Notes
from countingroom.history.port import Position
from countingroom.history.stores import follower as following
from countingroom.history.stores.follower import Follower
from countingroom.history.writer import Writer
from countingroom.testing.clock import FakeClock
from tests.memory_further_store import MemoryFurtherStore
from tests.memory_store import MemoryStore
from tests.patience import PATIENCE_S

LARGE = 1 << 30


class Stage:
    """A bus with a history on it, and a further store that is followed while `running`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.default = MemoryStore()
        self.further = MemoryFurtherStore()
        self.follower: Follower | None = None
        self.timeout_s = 1e6
        self.sent = 0

    async def send(self, count: int, *, again: bool = False) -> None:
        for _ in range(count):
            self.sent += not again
            await self.bus.append(subjects.readings("caen", full=False), encode(self._readings(self.sent)))

    def _readings(self, number: int) -> Readings:
        time = self.clock.now_ns()
        return Readings(
            device="caen",
            boot="b",
            sequence=number,
            full=False,
            sent_ns=1_700_000_000_000_000_000 + number,
            points=["v", "w"],
            values=[float(number), -float(number)],
            qualities=[0, 0],
            device_ns=[time, time],
            received_ns=[time, time],
        )

    async def trim(self, max_bytes: int = 1) -> None:
        """The stream forgets what is older."""
        for limit in (max_bytes, LARGE):
            await self.bus.ensure_stream(subjects.READINGS_STREAM, ["readings.>"], max_bytes=limit)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Follower]:
        notes = Notes(self.bus, self.clock)
        with ThreadPoolExecutor(1) as threads:
            follower = self.follower = Follower(
                self.bus,
                self.clock,
                self.default,
                notes,
                self.further,
                name="site",
                kind="memory",
                flush_s=0.5,
                timeout_s=self.timeout_s,
            )
            writer = Writer(self.bus, self.clock, self.default, notes, threads, flush_s=0.5)
            tasks = [asyncio.create_task(one) for one in (notes.run(), writer.run(), follower.run())]
            try:
                yield follower
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Let time pass until both stores have all that was sent."""
        end = 2 * self.sent
        async with asyncio.timeout(PATIENCE_S):
            while len(rows(self.default)) < end or len(rows(self.further)) < end or self.is_behind():
                await self.pass_time()
        await self.pass_time()

    async def pass_time(self, seconds: float = 0.6) -> None:
        await self.clock.advance(seconds)
        await asyncio.sleep(0.001)

    def is_behind(self) -> bool:
        return self.follower is not None and self.follower.present().behind_since_ns is not None

    async def notes(self) -> list[str]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            return [decode(message.data, Event).message async for message in stored]


def rows(store: MemoryStore | MemoryFurtherStore) -> list[tuple[str, float]]:
    found = store.samples(("caen.v", "caen.w"), 0, 2**62, limit=2**62)
    return sorted(zip(found.names, found.number.tolist(), strict=True))


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await streams.prepare(made.bus)
    return made


def equal(stage: Stage) -> bool:
    return rows(stage.default) == rows(stage.further)


async def test_it_gets_what_the_bus_has(stage: Stage) -> None:
    async with stage.running() as follower:
        await stage.send(1500)
        await stage.settle()
        state = follower.present()
    assert equal(stage)
    assert (state.health, state.sequence) == (StoreHealth.FOLLOWING, 1500)
    assert state.values >= 3000, "a new store is compared with what the default store has already"
    assert (state.behind_messages, state.behind_since_ns, state.problem) == (0, None, "")
    assert await stage.notes() == []


async def test_one_that_is_down_tells_it_once_and_is_caught_up(stage: Stage) -> None:
    stage.further.is_down = True
    async with stage.running() as follower:
        await stage.send(10)
        for _ in range(200):
            await stage.pass_time()
        down = follower.present()
        assert len(rows(stage.default)) == 20, "the default store does not wait for it"
        assert (down.health, down.problem) == (StoreHealth.FAILING, "the store is away")
        assert down.behind_messages == 10
        assert down.lag_s(stage.clock.now_ns()) > 60
        assert down.is_late(stage.clock.now_ns())
        assert follower.failures < 20, "the pauses grow"
        stage.further.is_down = False
        await stage.settle()
        state = follower.present()
    assert equal(stage)
    assert (state.health, state.last_problem) == (StoreHealth.FOLLOWING, "the store is away")
    assert await stage.notes() == [
        "the store site of the history cannot be written now",
        "the store site is written again",
    ]


async def test_a_commit_with_an_unknown_outcome_is_not_doubled(stage: Stage) -> None:
    lost = iter(range(3))

    def break_line(call: str) -> None:
        if call == "append" and next(lost, None) is not None:
            raise LinkError("the line broke", code="store_failed")

    stage.further.after = break_line
    async with stage.running():
        for _ in range(5):
            await stage.send(7)
            await stage.settle()
    assert equal(stage)


async def test_one_that_is_restored_from_a_backup_is_filled_from_the_bus(stage: Stage) -> None:
    async with stage.running():
        await stage.send(20)
        await stage.settle()
        backup = stage.further.backup()
        await stage.send(20)
        await stage.settle()
        stage.further.restore(backup)
        await stage.send(1)
        await stage.settle()
    assert equal(stage)
    assert "the store site went back from message 40 to 20; it is filled from there" in await stage.notes()


async def test_what_the_bus_has_no_longer_comes_from_the_default_store(stage: Stage) -> None:
    async with stage.running():
        await stage.send(20)
        await stage.settle()
    backup = stage.further.backup()
    async with stage.running():
        await stage.send(300)
        await stage.settle()
        stage.further.restore(backup)
        await stage.trim()
        await stage.send(3)
        await stage.settle()
    assert equal(stage)
    assert stage.further.position() == stage.default.position()


async def test_a_new_store_gets_the_past_too(stage: Stage) -> None:
    async with stage.running():
        await stage.send(300)
        await stage.settle()
    await stage.trim()
    stage.further = MemoryFurtherStore()
    async with stage.running():
        await stage.send(1)
        await stage.settle()
    assert equal(stage)


async def test_what_comes_while_it_is_filled_is_not_doubled(stage: Stage) -> None:
    async with stage.running():
        await stage.send(30)
        await stage.settle()
    await stage.trim()
    stage.further = MemoryFurtherStore()
    begun, go_on = threading.Event(), threading.Event()

    def wait(call: str) -> None:
        if call == "fill":
            begun.set()
            go_on.wait(PATIENCE_S)

    stage.further.before = wait
    async with stage.running():
        async with asyncio.timeout(PATIENCE_S):
            while not begun.is_set():
                await stage.pass_time()
            await stage.send(5)
            while len(rows(stage.default)) < 70:
                await stage.pass_time()
        go_on.set()
        await stage.settle()
        await stage.send(5)
        await stage.settle()
    assert equal(stage)


async def test_what_neither_has_is_told_with_from_and_to(stage: Stage) -> None:
    async with stage.running():
        await stage.send(3)
        await stage.settle()
    await stage.clock.advance(3600)
    await stage.send(5)
    await stage.trim()
    await stage.clock.advance(3600)
    await stage.send(2)
    async with stage.running():
        async with asyncio.timeout(PATIENCE_S):
            while stage.further.position().sequence < 10 or stage.is_behind():
                await stage.pass_time()
        await stage.pass_time()
    assert equal(stage)
    (told,) = [note for note in await stage.notes() if "site" in note]
    assert told.startswith("5 messages from 2023-11-14T22:13:2")
    assert "cannot be had for the store site" in told


async def test_a_stream_that_was_created_anew_loses_nothing(stage: Stage) -> None:
    async with stage.running():
        await stage.send(40)
        await stage.settle()
    await stage.clock.advance(10)
    stage.bus = MemoryBus(stage.clock)
    await streams.prepare(stage.bus)
    await stage.send(5)
    async with stage.running():
        await stage.settle()
        await stage.send(50)
        await stage.settle()
    assert equal(stage)


async def test_a_message_that_a_host_sent_twice_is_stored_once_also_by_the_next_process(stage: Stage) -> None:
    async with stage.running():
        await stage.send(5)
        await stage.send(1, again=True)
        await stage.settle()
    backup = stage.further
    assert len(rows(backup)) == 10
    await stage.send(1, again=True)
    async with stage.running():
        await stage.send(1)
        await stage.settle()
    assert len(rows(stage.further)) == 12


async def test_one_that_hangs_is_aborted_at_its_deadline_and_no_other_call_begins(stage: Stage) -> None:
    stage.timeout_s = 5.0
    go_on = threading.Event()

    def hang(call: str) -> None:
        if call == "append":
            go_on.wait(PATIENCE_S)

    stage.further.before = hang
    async with stage.running() as follower:
        await stage.send(4)
        async with asyncio.timeout(PATIENCE_S):
            while "hangs" not in follower.present().problem:
                await stage.pass_time()
        assert stage.further.aborted
        assert len(rows(stage.default)) == 8
        stage.timeout_s = 1e6
        go_on.set()
        await stage.settle()
    assert equal(stage)


async def test_one_that_is_too_slow_for_a_batch_gets_less_at_once(stage: Stage) -> None:
    class Slow(MemoryFurtherStore):
        """It takes 200 samples within the deadline."""

        refused = 0
        _aborted = threading.Event()

        def append(self, columns: Columns, position: Position, *, after: Position) -> None:
            self._take(columns)
            super().append(columns, position, after=after)

        def fill(self, columns: Columns) -> None:
            self._take(columns)
            super().fill(columns)

        def _take(self, columns: Columns) -> None:
            if len(columns) > 200:
                self.refused += 1
                self._aborted.wait(PATIENCE_S)
                self._aborted.clear()
                raise LinkError("canceling statement due to user request", code="store_failed")

        def abort(self) -> None:
            self._aborted.set()

    stage.further = slow = Slow()
    stage.timeout_s = 5.0
    for _ in range(40):
        await stage.send(10)
        await stage.clock.advance(0.01)
    async with stage.running():
        await stage.settle()
    assert rows(stage.further) == rows(stage.default)
    assert slow.refused


async def test_an_unexpected_error_of_an_adapter_is_told_and_tried_again(stage: Stage) -> None:
    def fail(call: str) -> None:
        if not stage.clock.monotonic() > 20:
            raise ValueError("odd")

    stage.further.before = fail
    async with stage.running() as follower:
        await stage.send(4)
        await stage.pass_time()
        assert follower.present().problem == "ValueError: odd"
        await stage.settle()
    assert equal(stage)


STEPS = st.lists(
    st.sampled_from(
        ("send", "many", "trim", "trim all", "backup", "restore", "down", "up", "break", "process", "time")
    ),
    min_size=4,
    max_size=16,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_whatever_happens_in_the_end_both_have_the_same(steps: list[str]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[str]) -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    backup = stage.further.backup()
    breaks = 0

    def break_line(call: str) -> None:
        nonlocal breaks
        if breaks:
            breaks -= 1
            raise LinkError("the line broke", code="store_failed")

    stage.further.after = break_line
    while steps:
        async with stage.running():
            while steps:
                match steps.pop(0):
                    case "send":
                        await stage.send(2)
                    case "many":
                        await stage.send(40)
                    case "trim" | "trim all" as how:
                        # The default store has what the bus forgets: otherwise it is lost to both.
                        async with asyncio.timeout(PATIENCE_S):
                            while len(rows(stage.default)) < 2 * stage.sent:
                                await stage.pass_time()
                        await stage.trim(1 if how == "trim all" else 1500)
                    case "backup":
                        backup = stage.further.backup()
                    case "restore":
                        stage.further.restore(backup)
                        backup = stage.further.backup()
                    case "down":
                        stage.further.is_down = True
                    case "up":
                        stage.further.is_down = False
                    case "break":
                        breaks += 1
                    case "process":
                        break
                    case _:
                        await stage.pass_time(2.0)
    stage.further.is_down = False
    async with stage.running():
        await stage.send(1)
        await stage.settle()
    assert rows(stage.default) == rows(stage.further)


def test_the_pauses_have_a_limit() -> None:
    assert following.LONGEST_PAUSE_S <= 60

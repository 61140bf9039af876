"""After any operations in any order the memory bus agrees with a plain model of dicts and lists."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.memory.stream import DUPLICATE_WINDOW_S
from countingroom.bus.port import Consumer, Lease
from countingroom.core.errors import Conflict, LinkError
from countingroom.testing.clock import FakeClock
from tests.examples import examples

T = TypeVar("T")
TTL_S = 90.0

keys = st.sampled_from(["a", "b", "a.x", "b.x", "a.x.y"])
values = st.binary(max_size=4)
names = st.sampled_from(["history", "alarms"])
leases = st.sampled_from(["control", "partition"])


class Machine(RuleBasedStateMachine):
    """A memory bus with two clients, on a loop and a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.other = self.bus.client()

    def teardown(self) -> None:
        self.do(self.other.close())
        self.do(self.bus.close())
        self.loop.close()

    def do(self, action: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(action)

    def do_in_time(self, action: Coroutine[Any, Any, T], seconds: float) -> T:
        async def run() -> T:
            task = asyncio.ensure_future(action)
            await self.clock.advance(seconds)
            return await task

        return self.do(run())


class Streams(Machine):
    """One stream, and consumers of it that come again."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[tuple[str, bytes]] = []
        self.ids: dict[str, tuple[int, float]] = {}
        self.acknowledged: dict[str, int] = {}
        self.fetched: dict[str, int] = {}
        self.consumers: dict[str, Consumer] = {}
        self.do(self.bus.ensure_stream("s", ["s.>"], max_bytes=1 << 20))

    @rule(key=keys, value=values)
    def append(self, key: str, value: bytes) -> None:
        self.stored.append((f"s.{key}", value))
        assert self.do(self.bus.append(f"s.{key}", value)) == len(self.stored)

    @rule(key=keys, value=values, message_id=st.sampled_from(["1", "2", "3"]))
    def append_once(self, key: str, value: bytes, message_id: str) -> None:
        twin = self.ids.get(message_id)
        sequence = self.do(self.bus.append(f"s.{key}", value, message_id=message_id))
        if twin and self.clock.monotonic() - twin[1] < DUPLICATE_WINDOW_S:
            assert sequence == twin[0]
        else:
            self.stored.append((f"s.{key}", value))
            self.ids[message_id] = sequence, self.clock.monotonic()
            assert sequence == len(self.stored)

    @rule(seconds=st.sampled_from([1.0, 60.0, 121.0]))
    def wait(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @rule(name=names)
    def open_consumer(self, name: str) -> None:
        self.consumers[name] = self.do(self.bus.consumer("s", name))
        self.fetched[name] = self.acknowledged.setdefault(name, 0)

    @precondition(lambda self: self.consumers)
    @rule(name=names, most=st.integers(1, 5))
    def fetch(self, name: str, most: int) -> None:
        if name in self.consumers:
            got = self.do_in_time(self.consumers[name].fetch(most, timeout_s=1), 1)
            begin = self.fetched[name]
            self.fetched[name] = min(begin + most, len(self.stored))
            assert [(one.subject, one.data) for one in got] == self.stored[begin : self.fetched[name]]
            assert self.do(self.consumers[name].pending()) == len(self.stored) - self.fetched[name]

    @precondition(lambda self: self.consumers)
    @rule(name=names, back=st.integers(0, 3), reopen=st.booleans())
    def acknowledge(self, name: str, back: int, reopen: bool) -> None:
        if name in self.consumers and self.fetched[name] > back:
            self.do(self.consumers[name].acknowledge(self.fetched[name] - back))
            self.acknowledged[name] = max(self.acknowledged[name], self.fetched[name] - back)
            if reopen:
                self.open_consumer(name)

    @rule(start=st.integers(1, 10), pattern=st.sampled_from([">", "s.*", "s.a.>", "s.*.x"]), each=st.booleans())
    def replay(self, start: int, pattern: str, each: bool) -> None:
        def matches(subject: str) -> bool:
            tokens = subject.split(".")
            return {
                ">": True,
                "s.*": len(tokens) == 2,
                "s.a.>": len(tokens) > 2 and tokens[1] == "a",
                "s.*.x": len(tokens) == 3 and tokens[2] == "x",
            }[pattern]

        async def read() -> list[int]:
            async with self.bus.replay(
                "s", subjects=pattern, from_sequence=start, last_per_subject=each, follow=False
            ) as messages:
                return [one.sequence async for one in messages]

        wanted = [n for n, (subject, _) in enumerate(self.stored, 1) if matches(subject)]
        if each:
            last = {subject: n for n, (subject, _) in enumerate(self.stored, 1)}
            wanted = [n for n in wanted if last[self.stored[n - 1][0]] == n]
        else:
            wanted = [n for n in wanted if n >= start]
        assert self.do(read()) == wanted


class Buckets(Machine):
    """One bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.present: dict[str, tuple[int, bytes | None]] = {}
        self.revision = 0
        self.do(self.bus.ensure_bucket("k"))

    @rule(key=keys, value=values)
    def put(self, key: str, value: bytes) -> None:
        revision = self.do(self.bus.put("k", key, value))
        assert revision > self.revision
        self.revision = revision
        self.present[key] = (revision, value)

    @rule(key=keys, value=values, off=st.sampled_from([0, -1, 1, None]))
    def put_expecting(self, key: str, value: bytes, off: int | None) -> None:
        there, data = self.present.get(key, (0, None))
        expected = 0 if off is None else max(0, there + off)
        fits = expected == there or (expected == 0 and data is None)
        try:
            revision = self.do(self.bus.put("k", key, value, expected=expected))
        except Conflict:
            assert not fits
        else:
            assert fits
            self.revision = revision
            self.present[key] = (revision, value)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.do(self.bus.delete("k", key))
        self.revision += 1
        self.present[key] = self.revision, None

    @invariant()
    def every_key_is_as_written(self) -> None:
        for key, (revision, data) in self.present.items():
            entry = self.do(self.bus.get("k", key))
            assert (entry and (entry.revision, entry.data)) == (None if data is None else (revision, data))


class Leases(Machine):
    """Two leases and two clients, of which the other's link is cut now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, int] = {}
        self.holding: dict[str, Lease] = {}
        self.others: set[str] = set()
        self.cut_s = float("inf")

    def run_out(self) -> None:
        if self.clock.monotonic() >= self.cut_s + TTL_S:
            for name in self.others:
                assert self.holding.pop(name).lost
            self.others.clear()

    @rule(seconds=st.sampled_from([1.0, 60.0, 121.0]))
    def wait(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @rule()
    def cut(self) -> None:
        if self.other.connected:
            self.other.cut()
            self.cut_s = self.clock.monotonic()

    @rule()
    def mend(self) -> None:
        self.run_out()
        self.other.mend()
        self.cut_s = float("inf")

    @rule(name=leases, by_other=st.booleans())
    def acquire(self, name: str, by_other: bool) -> None:
        self.run_out()
        bus = self.other if by_other else self.bus
        try:
            lease = self.do(bus.acquire(name, ttl_s=TTL_S, holder="x"))
        except LinkError:
            assert not bus.connected
        except Conflict:
            assert name in self.holding
        else:
            assert name not in self.holding
            assert lease.token > self.tokens.get(name, 0)
            self.tokens[name], self.holding[name] = lease.token, lease
            if by_other:
                self.others.add(name)

    @rule(name=leases)
    def release(self, name: str) -> None:
        self.run_out()
        if name in self.holding and (name not in self.others or self.other.connected):
            lease = self.holding.pop(name)
            self.others.discard(name)
            self.do(lease.release())
            assert lease.lost

    @invariant()
    def who_holds_a_lease_has_not_lost_it(self) -> None:
        self.run_out()
        assert not any(lease.lost for lease in self.holding.values())
        assert self.do(self.bus.holders()).keys() == self.holding.keys()


_settings = settings(max_examples=examples(80, part=3), stateful_step_count=30, deadline=None)
TestStreams, TestBuckets, TestLeases = Streams.TestCase, Buckets.TestCase, Leases.TestCase
TestStreams.settings = TestBuckets.settings = TestLeases.settings = _settings

"""Contract of the bus: each implementation of the port behaves the same. Every sentence of port.py has its test."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from countingroom.app.child_process import launch
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus, Current, Entry, Message, Stale, Stored
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.errors import Conflict, CountingRoomError, LinkError, RequestError
from tests.contract.bus.clients import LinkedClients, MemoryClients, NatsClients
from tests.patience import PATIENCE_S

T = TypeVar("T")
_names = itertools.count(1)
MIB = 1 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    directory: Path = tmp_path_factory.mktemp("bus")
    server = EmbeddedServer(directory, description=BusSection())
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.server)])
async def clients(request: pytest.FixtureRequest, server: EmbeddedServer) -> AsyncIterator[LinkedClients]:
    made: LinkedClients = MemoryClients() if request.param == "memory" else NatsClients(server.port, server.login())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def bus(clients: LinkedClients) -> Bus:
    return await clients.client()


@pytest_asyncio.fixture
async def other(clients: LinkedClients) -> Bus:
    return await clients.client()


@pytest.fixture
def name() -> str:
    """Of a stream, bucket or lease that only this test uses."""
    return f"t{next(_names)}"


@pytest_asyncio.fixture
async def stream(bus: Bus, name: str) -> str:
    await bus.ensure_stream(name, [f"{name}.>"], max_bytes=MIB)
    return name


@pytest_asyncio.fixture
async def bucket(bus: Bus, name: str) -> str:
    await bus.ensure_bucket(name, max_bytes=MIB)
    return name


async def soon(awaitable: Awaitable[T]) -> T:
    """Its result, within a time that is long for any bus."""
    async with asyncio.timeout(PATIENCE_S):
        return await awaitable


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def take(source: AsyncIterator[T], count: int) -> list[T]:
    return [await soon(anext(source)) for _ in range(count)]


async def cut(clients: LinkedClients, bus: Bus) -> None:
    await clients.cut(bus)
    await until(lambda: not bus.connected)


async def mend(clients: LinkedClients, bus: Bus) -> None:
    await clients.mend(bus)
    await until(lambda: bus.connected)


async def there_and_back(bus: Bus) -> None:
    """What this client sent before has been dealt with by the server, and what was for it has come."""
    with pytest.raises(LinkError, match="no process answers"):
        await bus.request("nobody.listens.here", b"", timeout_s=PATIENCE_S)


async def shout(message: Message) -> bytes:
    return message.data.upper()


async def _keys_until_current(entries: AsyncIterator[Entry | Current | Stale]) -> set[str]:
    keys: set[str] = set()
    async for entry in entries:
        if isinstance(entry, Current):
            break
        if isinstance(entry, Entry):
            keys.add(entry.key)
    return keys


def data(stored: list[Stored]) -> list[bytes]:
    return [one.data for one in stored]


class TestLiveMessages:
    async def test_a_subscriber_hears_what_is_published_after_it_entered(self, bus: Bus, other: Bus, name: str) -> None:
        await bus.publish(f"{name}.a", b"before")
        await there_and_back(bus)
        async with other.subscribe(f"{name}.a") as heard:
            await bus.publish(f"{name}.a", b"after")
            assert await soon(anext(heard)) == Message(subject=f"{name}.a", data=b"after")

    async def test_a_publisher_hears_itself(self, bus: Bus, name: str) -> None:
        async with bus.subscribe(name) as heard:
            await bus.publish(name, b"x")
            assert (await soon(anext(heard))).data == b"x"

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("a.b", ["a.b"]),
            ("a.*", ["a.b", "a.c"]),
            ("a.>", ["a.b", "a.c", "a.b.c"]),
            ("*.b", ["a.b", "b.b"]),
            ("*.b.*", ["a.b.c"]),
        ],
    )
    async def test_a_star_is_one_token_and_an_arrow_the_rest(
        self, bus: Bus, name: str, pattern: str, expected: list[str]
    ) -> None:
        async with bus.subscribe(f"{name}.{pattern}") as heard, bus.subscribe(f"{name}.end") as end:
            for subject in ("a", "a.b", "a.c", "b.b", "a.b.c", "end"):
                await bus.publish(f"{name}.{subject}", b"")
            await soon(anext(end))
            got = [(await soon(anext(heard))).subject for _ in expected]
            assert got == [f"{name}.{subject}" for subject in expected]

    async def test_every_subscriber_hears_every_message(self, bus: Bus, other: Bus, name: str) -> None:
        async with bus.subscribe(name) as first, other.subscribe(name) as second, other.subscribe(name) as third:
            await bus.publish(name, b"x")
            for heard in (first, second, third):
                assert (await soon(anext(heard))).data == b"x"

    async def test_after_leaving_nothing_comes(self, bus: Bus, name: str) -> None:
        async with bus.subscribe(name) as left:
            pass
        async with bus.subscribe(name) as heard:
            await bus.publish(name, b"x")
            await soon(anext(heard))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(left)

    async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(self, bus: Bus, name: str) -> None:
        async with bus.subscribe(name, limit=10) as slow, bus.subscribe(name) as quick:
            for number in range(30):
                await bus.publish(name, str(number).encode())
            await take(quick, 30)
            await until(lambda: slow.dropped == 20)
            assert [one.data for one in await take(slow, 10)] == [str(n).encode() for n in range(20, 30)]

    async def test_a_subscription_survives_a_lost_link(
        self, clients: LinkedClients, bus: Bus, other: Bus, name: str
    ) -> None:
        async with other.subscribe(name) as heard:
            await cut(clients, other)
            await bus.publish(name, b"lost")
            await there_and_back(bus)
            await mend(clients, other)
            await bus.publish(name, b"back")
            assert (await soon(anext(heard))).data == b"back"

    async def test_closing_the_bus_ends_its_subscriptions(self, bus: Bus, name: str) -> None:
        async with bus.subscribe(name) as heard:
            await bus.close()
            assert [one async for one in heard] == []
        assert not bus.connected


class TestRequests:
    async def test_an_answer_comes_back(self, bus: Bus, other: Bus, name: str) -> None:
        async with other.respond(f"{name}.*", shout):
            assert (await soon(bus.request(f"{name}.a", b"hello", timeout_s=PATIENCE_S))).data == b"HELLO"

    async def test_it_fails_at_once_when_nobody_listens(self, bus: Bus, name: str) -> None:
        with pytest.raises(LinkError) as caught:
            await soon(bus.request(name, b"", timeout_s=600))
        assert caught.value.cause.code == "no_responders"

    async def test_it_fails_at_once_when_the_one_who_answered_has_left(self, bus: Bus, other: Bus, name: str) -> None:
        async with other.respond(name, shout):
            await soon(bus.request(name, b"", timeout_s=PATIENCE_S))
        with pytest.raises(LinkError, match="no process answers"):
            await soon(bus.request(name, b"", timeout_s=600))

    async def test_silence_is_a_link_error_after_the_timeout(self, bus: Bus, name: str) -> None:
        asked = asyncio.Event()

        async def silent(_: Message) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        async with bus.respond(name, silent):
            with pytest.raises(LinkError) as caught:
                await soon(bus.request(name, b"", timeout_s=0.1))
            await soon(asked.wait())  # on a busy machine it comes later than the answer was waited for
        assert caught.value.cause.code == "no_answer"

    async def test_a_failing_handler_is_logged_and_stays_silent(
        self, bus: Bus, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fails(message: Message) -> bytes:
            if message.data == b"bad":
                raise ValueError("no")
            return b"good"

        async with bus.respond(name, fails):
            with pytest.raises(LinkError):
                await soon(bus.request(name, b"bad", timeout_s=0.1))
            assert (await soon(bus.request(name, b"good", timeout_s=PATIENCE_S))).data == b"good"
        assert f"the handler of a request on {name} failed" in caplog.text

    async def test_of_many_requests_each_has_its_own_outcome_as_it_comes(self, bus: Bus, other: Bus, name: str) -> None:
        held = asyncio.Event()

        async def answer(message: Message) -> bytes:
            if message.subject.endswith(".100"):
                await held.wait()
            return message.data + b"!"

        outcomes: dict[int, bytes | str] = {}

        def take(place: int, outcome: Message | CountingRoomError) -> None:
            outcomes[place] = outcome.data if isinstance(outcome, Message) else outcome.cause.code

        requests = [(f"{name}.{number}", b"%d" % number) for number in range(200)]
        requests[7] = (f"nobody.{name}", b"")
        async with other.respond(f"{name}.*", answer), asyncio.TaskGroup() as group:
            asked = group.create_task(bus.request_each(iter(requests), take, timeout_s=600))
            await until(lambda: len(outcomes) == 199)
            assert not asked.done()
            held.set()
            await soon(asked)
        assert outcomes == {place: b"%d!" % place for place in range(200)} | {7: "no_responders"}

    async def test_of_many_requests_those_without_an_answer_fail_after_the_timeout(self, bus: Bus, name: str) -> None:
        async def some(message: Message) -> bytes:
            if message.data == b"silent":
                await asyncio.Event().wait()
            return message.data

        outcomes: dict[int, bytes | str] = {}

        def take(place: int, outcome: Message | CountingRoomError) -> None:
            outcomes[place] = outcome.data if isinstance(outcome, Message) else outcome.cause.code

        async with bus.respond(name, some):
            await soon(bus.request_each([(name, b"a"), (name, b"silent"), (name, b"b")], take, timeout_s=1))
        assert outcomes == {0: b"a", 1: "no_answer", 2: b"b"}
        await soon(bus.request_each([], take, timeout_s=600))

    async def test_requests_that_are_sent_after_the_timeout_of_all_have_it_too(self, bus: Bus, name: str) -> None:
        async def silent(_: Message) -> bytes:
            return await asyncio.Event().wait() and b""

        def requests() -> Iterator[tuple[str, bytes]]:
            end_s = time.monotonic() + 0.2
            while time.monotonic() < end_s:  # the timeout is over while they are being sent
                pass
            for _ in range(200):
                yield name, b""

        outcomes: dict[int, str] = {}

        def take(place: int, outcome: Message | CountingRoomError) -> None:
            outcomes[place] = outcome.cause.code if isinstance(outcome, CountingRoomError) else "answered"

        async with bus.respond(name, silent):
            await soon(bus.request_each(requests(), take, timeout_s=0.1))
        assert outcomes == dict.fromkeys(range(200), "no_answer")

    async def test_more_than_the_concurrency_wait(self, bus: Bus, other: Bus, name: str) -> None:
        running, most, go = 0, 0, asyncio.Event()

        async def slow(_: Message) -> bytes:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go.wait()
            running -= 1
            return b""

        async with other.respond(name, slow, concurrency=3), asyncio.TaskGroup() as group:
            asked = [group.create_task(bus.request(name, b"", timeout_s=PATIENCE_S)) for _ in range(10)]
            await until(lambda: running == 3)
            await there_and_back(other)  # the rest would have begun if it could
            assert running == 3
            go.set()
            await soon(asyncio.gather(*asked))
        assert most == 3

    async def test_of_several_responders_one_answers(self, bus: Bus, other: Bus, name: str) -> None:
        answered: list[str] = []

        async def first(_: Message) -> bytes:
            answered.append("first")
            return b""

        async def second(_: Message) -> bytes:
            answered.append("second")
            return b""

        async with bus.respond(name, first), other.respond(name, second):
            for _ in range(10):
                await soon(bus.request(name, b"", timeout_s=PATIENCE_S))
        assert len(answered) == 10

    async def test_a_responder_survives_a_lost_link(
        self, clients: LinkedClients, bus: Bus, other: Bus, name: str
    ) -> None:
        async with other.respond(name, shout):
            await cut(clients, other)
            await mend(clients, other)
            assert (await soon(bus.request(name, b"x", timeout_s=PATIENCE_S))).data == b"X"


class TestLostLink:
    async def test_a_stream_begins_at_a_number_and_tells_its_last_one(self, bus: Bus, name: str) -> None:
        with pytest.raises(LinkError, match="there is no stream"):
            await bus.last_sequence(name)
        await bus.ensure_stream(name, [f"{name}.>"], max_bytes=MIB, first_sequence=41)
        assert await bus.last_sequence(name) == 40
        assert await bus.append(f"{name}.a", b"first") == 41
        await bus.ensure_stream(name, [f"{name}.>"], max_bytes=MIB)
        assert await bus.last_sequence(name) == 41

    async def test_everything_that_sends_fails_at_once_and_nothing_is_sent_later(
        self, clients: LinkedClients, bus: Bus, other: Bus, stream: str
    ) -> None:
        name = stream
        await bus.ensure_bucket(name, max_bytes=MIB)
        async with other.subscribe(f"live.{name}") as heard:
            await cut(clients, bus)
            for action in (
                bus.publish(f"live.{name}", b"late"),
                bus.request(f"live.{name}", b"late", timeout_s=600),
                bus.append(f"{name}.a", b"late"),
                bus.put(name, "key", b"late"),
                bus.get(name, "key"),
                bus.delete(name, "key"),
                bus.acquire(name, ttl_s=5, holder="late"),
                bus.holders(),
                bus.holder(name),
            ):
                with pytest.raises(LinkError):
                    await soon(action)
            for many in (
                bus.append_many([(f"{name}.a", b"late", "")] * 2),
                bus.put_many(name, [("key", b"late"), ("key", None)]),
            ):
                assert [type(one) for one in await soon(many)] == [LinkError] * 2
            await mend(clients, bus)
            await bus.publish(f"live.{name}", b"now")
            assert (await soon(anext(heard))).data == b"now"
        assert await bus.append(f"{name}.a", b"first") == 1
        assert await bus.get(name, "key") is None

    async def test_the_link_callback_tells_when_it_comes_and_goes(self, clients: LinkedClients, bus: Bus) -> None:
        told: list[bool] = []
        bus.on_link(told.append)
        assert bus.connected
        await cut(clients, bus)
        await until(lambda: told == [False])
        await mend(clients, bus)
        await until(lambda: told == [False, True])

    async def test_a_request_under_way_ends_when_the_link_goes(
        self, clients: LinkedClients, bus: Bus, other: Bus, name: str
    ) -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow(_: Message) -> bytes:
            asked.set()
            await go.wait()
            return b""

        async with other.respond(name, slow), asyncio.TaskGroup() as group:
            request = group.create_task(_link_error(bus.request(name, b"", timeout_s=600)))
            await soon(asked.wait())
            await cut(clients, bus)
            assert await soon(request)

    async def test_many_writes_under_way_end_when_the_link_goes(
        self, clients: LinkedClients, bus: Bus, bucket: str
    ) -> None:
        writing = asyncio.create_task(bus.put_many(bucket, [(f"k{number}", b"x" * 500) for number in range(1000)]))
        await asyncio.sleep(0)
        await cut(clients, bus)
        outcomes = await soon(writing)
        assert len(outcomes) == 1000
        assert all(isinstance(one, int | LinkError) for one in outcomes)
        await mend(clients, bus)
        assert isinstance((await soon(bus.put_many(bucket, [("after", b"1")])))[0], int)

    async def test_a_request_under_way_ends_when_the_bus_is_closed(self, bus: Bus, other: Bus, name: str) -> None:
        asked = asyncio.Event()

        async def silent(_: Message) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        async with other.respond(name, silent), asyncio.TaskGroup() as group:
            request = group.create_task(_link_error(bus.request(name, b"", timeout_s=600)))
            await soon(asked.wait())
            await bus.close()
            assert await soon(request)


async def _link_error(action: Awaitable[object]) -> bool:
    try:
        await action
    except LinkError:
        return True
    return False


class TestStreams:
    async def test_what_is_appended_is_numbered_over_the_whole_stream(self, bus: Bus, stream: str) -> None:
        assert [await bus.append(f"{stream}.{key}", b"") for key in "abab"] == [1, 2, 3, 4]

    async def test_the_same_message_id_is_stored_once(self, bus: Bus, other: Bus, stream: str) -> None:
        assert await bus.append(f"{stream}.a", b"1", message_id="one") == 1
        assert await bus.append(f"{stream}.a", b"2", message_id="two") == 2
        assert await other.append(f"{stream}.a", b"1", message_id="one") == 1
        assert await other.append(f"{stream}.a", b"3") == 3

    async def test_a_subject_that_no_stream_covers_is_a_link_error(self, bus: Bus, name: str) -> None:
        with pytest.raises(LinkError) as caught:
            await soon(bus.append(f"{name}.a", b""))
        assert caught.value.cause.code == "no_stream"

    async def test_who_subscribes_hears_what_is_appended(self, bus: Bus, other: Bus, stream: str) -> None:
        async with other.subscribe(f"{stream}.>") as heard:
            await bus.append(f"{stream}.a", b"x")
            assert (await soon(anext(heard))).data == b"x"

    async def test_many_appends_in_flight_are_all_stored(self, bus: Bus, stream: str) -> None:
        sequences = await soon(asyncio.gather(*(bus.append(f"{stream}.a", b"x") for _ in range(500))))
        assert sorted(sequences) == list(range(1, 501))

    async def test_many_are_appended_in_their_order_and_an_id_once(self, bus: Bus, other: Bus, stream: str) -> None:
        assert await bus.append_many([]) == []
        many = [(f"{stream}.{number % 7}", b"%d" % number, f"id{number}") for number in range(300)]
        assert await soon(bus.append_many(many)) == list(range(1, 301))
        assert await soon(other.append_many([many[4], (f"{stream}.a", b"new", "")])) == [5, 301]
        async with other.replay(stream, follow=False) as messages:
            assert [one.data async for one in messages] == [*(one for _, one, _ in many), b"new"]

    async def test_of_many_appends_each_has_its_own_outcome(self, bus: Bus, stream: str, name: str) -> None:
        outcomes = await soon(
            bus.append_many([(f"{stream}.a", b"1", ""), (f"none.{name}", b"2", ""), (f"{stream}.b", b"3", "")])
        )
        assert [outcomes[0], outcomes[2]] == [1, 2]
        assert isinstance(outcomes[1], LinkError)
        assert outcomes[1].cause.code == "no_stream"

    async def test_a_full_stream_forgets_its_oldest(self, bus: Bus, name: str) -> None:
        await bus.ensure_stream(name, [f"{name}.>"], max_bytes=100_000)
        for _ in range(30):
            await bus.append(f"{name}.a", b"x" * 10_000)
        async with bus.replay(name, follow=False) as messages:
            kept = [one.sequence async for one in messages]
        assert kept == list(range(kept[0], 31))
        assert 5 <= len(kept) <= 10

    async def test_a_stream_can_be_adapted(self, bus: Bus, stream: str) -> None:
        await bus.append(f"{stream}.a", b"x")
        await bus.ensure_stream(stream, [f"{stream}.>", f"more.{stream}"], max_bytes=2 * MIB)
        assert await bus.append(f"more.{stream}", b"y") == 2


class TestReplay:
    async def test_it_gives_what_is_stored_and_then_what_comes(self, bus: Bus, other: Bus, stream: str) -> None:
        await bus.append(f"{stream}.a", b"1")
        await bus.append(f"{stream}.b", b"2")
        async with other.replay(stream) as messages:
            first, second = await take(messages, 2)
            assert (first.subject, first.data, first.sequence) == (f"{stream}.a", b"1", 1)
            assert second.sequence == 2
            assert 0 <= second.stored_ns - first.stored_ns < 10**10
            await bus.append(f"{stream}.c", b"3")
            assert data(await take(messages, 1)) == [b"3"]

    async def test_it_begins_where_it_is_told(self, bus: Bus, stream: str) -> None:
        for number in range(5):
            await bus.append(f"{stream}.a", str(number).encode())
        async with bus.replay(stream, from_sequence=4, follow=False) as messages:
            assert [one.data async for one in messages] == [b"3", b"4"]
        async with bus.replay(stream, from_sequence=6) as messages:
            await bus.append(f"{stream}.a", b"5")
            assert data(await take(messages, 1)) == [b"5"]

    async def test_it_gives_only_the_subjects_asked_for(self, bus: Bus, stream: str) -> None:
        for key in ("a.x", "b.x", "a.y"):
            await bus.append(f"{stream}.{key}", key.encode())
        async with bus.replay(stream, subjects=f"{stream}.a.*", follow=False) as messages:
            assert [one.data async for one in messages] == [b"a.x", b"a.y"]

    async def test_the_last_of_each_subject_and_then_what_comes(self, bus: Bus, stream: str) -> None:
        for key, value in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4")):
            await bus.append(f"{stream}.{key}", value)
        async with bus.replay(stream, last_per_subject=True) as messages:
            assert data(await take(messages, 3)) == [b"2", b"3", b"4"]
            for value in (b"5", b"6"):
                await bus.append(f"{stream}.a", value)
            assert data(await take(messages, 2)) == [b"5", b"6"]
        async with bus.replay(stream, subjects=f"{stream}.a", last_per_subject=True, follow=False) as messages:
            assert [one.data async for one in messages] == [b"6"]

    async def test_without_following_it_ends_at_what_was_last_when_it_began(self, bus: Bus, stream: str) -> None:
        for number in range(3):
            await bus.append(f"{stream}.a", str(number).encode())
        async with bus.replay(stream, follow=False) as messages:
            await bus.append(f"{stream}.a", b"later")
            assert [one.data async for one in messages] == [b"0", b"1", b"2"]

    async def test_of_an_empty_stream_it_ends_at_once(self, bus: Bus, stream: str) -> None:
        async with bus.replay(stream, follow=False) as messages:
            assert [one async for one in messages] == []
        await bus.append(f"{stream}.a", b"")
        async with bus.replay(stream, subjects=f"{stream}.b", follow=False) as messages:
            assert [one async for one in messages] == []

    async def test_a_stream_that_is_not_there_is_a_link_error(self, bus: Bus, name: str) -> None:
        with pytest.raises(LinkError, match="no stream"):
            async with bus.replay(name):
                pass

    async def test_more_than_any_buffer_comes_in_order_and_without_holes(self, bus: Bus, stream: str) -> None:
        count = 3000
        for begin in range(0, count, 100):
            await asyncio.gather(*(bus.append(f"{stream}.a", b"x" * 100) for _ in range(begin, begin + 100)))
        async with bus.replay(stream, follow=False) as messages:
            assert [one.sequence async for one in messages] == list(range(1, count + 1))

    async def test_it_goes_on_without_holes_after_a_lost_link(
        self, clients: LinkedClients, bus: Bus, other: Bus, stream: str
    ) -> None:
        async with other.replay(stream) as messages:
            await bus.append(f"{stream}.a", b"1")
            assert data(await take(messages, 1)) == [b"1"]
            await cut(clients, other)
            await bus.append(f"{stream}.a", b"2")
            await bus.append(f"{stream}.a", b"3")
            await mend(clients, other)
            await bus.append(f"{stream}.a", b"4")
            assert data(await take(messages, 3)) == [b"2", b"3", b"4"]


class TestConsumers:
    async def test_fetch_gives_as_many_as_asked_in_order(self, bus: Bus, stream: str) -> None:
        for number in range(5):
            await bus.append(f"{stream}.a", str(number).encode())
        consumer = await bus.consumer(stream, "reader")
        assert data(await soon(consumer.fetch(3, timeout_s=PATIENCE_S))) == [b"0", b"1", b"2"]
        assert data(await soon(consumer.fetch(3, timeout_s=1.0))) == [b"3", b"4"]
        assert await soon(consumer.fetch(3, timeout_s=0.05)) == []

    async def test_fetch_waits_for_what_comes(self, bus: Bus, other: Bus, stream: str) -> None:
        consumer = await other.consumer(stream, "reader")
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(consumer.fetch(2, timeout_s=PATIENCE_S))
            await bus.append(f"{stream}.a", b"1")
            await bus.append(f"{stream}.a", b"2")
            assert data(await soon(fetching)) == [b"1", b"2"]

    async def test_what_was_not_acknowledged_comes_again(self, bus: Bus, other: Bus, stream: str) -> None:
        for number in range(1, 5):
            await bus.append(f"{stream}.a", str(number).encode())
        first = await bus.consumer(stream, "reader")
        await soon(first.fetch(3, timeout_s=PATIENCE_S))
        await first.acknowledge(2)
        second = await other.consumer(stream, "reader")
        assert [one.sequence for one in await soon(second.fetch(2, timeout_s=PATIENCE_S))] == [3, 4]

    async def test_acknowledging_again_or_less_takes_nothing_back(self, bus: Bus, stream: str) -> None:
        for _ in range(3):
            await bus.append(f"{stream}.a", b"")
        first = await bus.consumer(stream, "reader")
        await soon(first.fetch(3, timeout_s=PATIENCE_S))
        for sequence in (2, 2, 1):
            await first.acknowledge(sequence)
        second = await bus.consumer(stream, "reader")
        assert [one.sequence for one in await soon(second.fetch(1, timeout_s=PATIENCE_S))] == [3]

    async def test_consumers_of_other_names_have_their_own_place(self, bus: Bus, stream: str) -> None:
        await bus.append(f"{stream}.a", b"1")
        first = await bus.consumer(stream, "first")
        await soon(first.fetch(1, timeout_s=PATIENCE_S))
        await first.acknowledge(1)
        second = await bus.consumer(stream, "second")
        assert data(await soon(second.fetch(1, timeout_s=PATIENCE_S))) == [b"1"]

    async def test_pending_counts_what_was_not_fetched(self, bus: Bus, stream: str) -> None:
        consumer = await bus.consumer(stream, "reader")
        assert await consumer.pending() == 0
        for _ in range(10):
            await bus.append(f"{stream}.a", b"")
        async with asyncio.timeout(PATIENCE_S):  # a server may count a message a moment after it is stored
            while await consumer.pending() != 10:
                await asyncio.sleep(0)
        await soon(consumer.fetch(4, timeout_s=PATIENCE_S))
        assert await consumer.pending() == 6

    async def test_it_goes_on_without_holes_after_a_lost_link(
        self, clients: LinkedClients, bus: Bus, other: Bus, stream: str
    ) -> None:
        consumer = await other.consumer(stream, "reader")
        await bus.append(f"{stream}.a", b"1")
        assert data(await soon(consumer.fetch(1, timeout_s=PATIENCE_S))) == [b"1"]
        await cut(clients, other)
        await bus.append(f"{stream}.a", b"2")
        assert await soon(consumer.fetch(1, timeout_s=0.1)) == []
        with pytest.raises(LinkError):
            await consumer.acknowledge(1)
        await mend(clients, other)
        await bus.append(f"{stream}.a", b"3")
        assert data(await soon(consumer.fetch(2, timeout_s=PATIENCE_S))) == [b"2", b"3"]
        await consumer.acknowledge(3)


class TestBuckets:
    async def test_a_key_is_read_as_it_was_written(self, bus: Bus, other: Bus, bucket: str) -> None:
        assert await bus.get(bucket, "a.b") is None
        revision = await bus.put(bucket, "a.b", b"1")
        assert await other.get(bucket, "a.b") == Entry(key="a.b", data=b"1", revision=revision)

    async def test_revisions_grow(self, bus: Bus, bucket: str) -> None:
        first = await bus.put(bucket, "a", b"1")
        second = await bus.put(bucket, "b", b"1")
        third = await bus.put(bucket, "a", b"2")
        assert first < second < third

    async def test_a_write_that_expects_another_revision_is_a_conflict(self, bus: Bus, other: Bus, bucket: str) -> None:
        first = await bus.put(bucket, "a", b"1", expected=0)
        second = await other.put(bucket, "a", b"2", expected=first)
        for expected in (0, first, second + 1):
            with pytest.raises(Conflict) as caught:
                await bus.put(bucket, "a", b"3", expected=expected)
            assert caught.value.cause.evidence["revision"] == second
        entry = await bus.get(bucket, "a")
        assert entry and entry.data == b"2"

    async def test_of_many_who_create_a_key_one_succeeds(self, bus: Bus, other: Bus, bucket: str) -> None:
        results = await asyncio.gather(
            *(client.put(bucket, "a", b"", expected=0) for client in (bus, other) * 10), return_exceptions=True
        )
        assert sum(isinstance(result, int) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 19

    async def test_a_deleted_key_is_gone_and_can_be_created_again(self, bus: Bus, bucket: str) -> None:
        first = await bus.put(bucket, "a", b"1")
        await bus.delete(bucket, "a")
        await bus.delete(bucket, "never")
        assert await bus.get(bucket, "a") is None
        with pytest.raises(Conflict):
            await bus.put(bucket, "a", b"2", expected=first)
        assert await bus.put(bucket, "a", b"2", expected=0) > first

    async def test_many_keys_are_written_and_deleted_in_their_order(self, bus: Bus, other: Bus, bucket: str) -> None:
        assert await bus.put_many(bucket, []) == []
        await bus.put(bucket, "gone", b"1")
        many: list[tuple[str, bytes | None]] = [(f"k{number % 200}", b"%d" % number) for number in range(300)]
        revisions = await soon(bus.put_many(bucket, [*many, ("gone", None), ("never", None)]))
        numbers = [one for one in revisions if isinstance(one, int)]
        assert len(numbers) == 302
        assert numbers == sorted(set(numbers))
        for key, data, revision in (("k7", b"207", numbers[207]), ("k150", b"150", numbers[150])):
            assert await other.get(bucket, key) == Entry(key=key, data=data, revision=revision)
        assert await other.get(bucket, "gone") is None
        assert await bus.put(bucket, "gone", b"again", expected=0) > numbers[-1]

    async def test_of_many_keys_each_has_its_own_outcome(self, bus: Bus, other: Bus, name: str) -> None:
        await bus.ensure_bucket(name, max_bytes=20_000)
        outcomes = await soon(bus.put_many(name, [("a", b"1"), ("b", b"x" * 100_000), ("c", b"2")]))
        assert isinstance(outcomes[1], RequestError)
        assert isinstance(outcomes[0], int)
        assert await other.get(name, "c") == Entry(key="c", data=b"2", revision=outcomes[0] + 1)
        for entry in (("a", b"1"), ("a", None)):
            assert [type(one) for one in await soon(bus.put_many(f"{name}none", [entry] * 2))] == [LinkError] * 2

    async def test_a_bucket_that_is_not_there_is_a_link_error(self, bus: Bus, name: str) -> None:
        for action in (bus.get(name, "a"), bus.put(name, "a", b"")):
            with pytest.raises(LinkError):
                await soon(action)

    async def test_an_empty_value_is_a_value(self, bus: Bus, bucket: str) -> None:
        await bus.put(bucket, "a", b"")
        entry = await bus.get(bucket, "a")
        assert entry and entry.data == b""

    async def test_ensuring_again_keeps_what_is_there(self, bus: Bus, bucket: str) -> None:
        await bus.put(bucket, "a", b"1")
        await bus.ensure_bucket(bucket, max_bytes=2 * MIB)
        assert await bus.get(bucket, "a")


class TestWatches:
    async def test_it_gives_what_is_there_then_current_then_changes(self, bus: Bus, other: Bus, bucket: str) -> None:
        for key in ("a", "b", "gone"):
            await bus.put(bucket, key, key.encode())
        await bus.delete(bucket, "gone")
        async with other.watch(bucket) as entries:
            first, second, current = await take(entries, 3)
            assert [isinstance(one, Entry) and one.key for one in (first, second)] == ["a", "b"]
            assert current == Current()
            revision = await bus.put(bucket, "a", b"new")
            await bus.delete(bucket, "b")
            changed, deleted = await take(entries, 2)
            assert changed == Entry(key="a", data=b"new", revision=revision)
            assert isinstance(deleted, Entry)
            assert (deleted.key, deleted.data) == ("b", None)
            assert deleted.revision > revision

    async def test_of_an_empty_bucket_current_comes_at_once(self, bus: Bus, bucket: str) -> None:
        async with bus.watch(bucket) as entries:
            assert await take(entries, 1) == [Current()]

    async def test_it_gives_only_the_keys_asked_for(self, bus: Bus, bucket: str) -> None:
        await bus.put(bucket, "device.a", b"1")
        await bus.put(bucket, "channel.a.0", b"2")
        async with bus.watch(bucket, "device.*") as entries:
            entry, current = await take(entries, 2)
            assert isinstance(entry, Entry)
            assert (entry.key, current) == ("device.a", Current())
            await bus.put(bucket, "channel.a.0", b"3")
            await bus.put(bucket, "device.b", b"4")
            (change,) = await take(entries, 1)
            assert isinstance(change, Entry)
            assert change.key == "device.b"

    async def test_the_last_change_of_every_key_comes(self, bus: Bus, other: Bus, bucket: str) -> None:
        async with other.watch(bucket) as entries:
            await take(entries, 1)
            for number in range(200):
                await bus.put(bucket, f"k{number % 5}", str(number).encode())
            seen: dict[str, bytes | None] = {}
            revision = 0
            while len(seen) < 5 or any(value != str(195 + int(key[1])).encode() for key, value in seen.items()):
                entry = await soon(anext(entries))
                assert isinstance(entry, Entry)
                assert entry.revision > revision
                revision, seen[entry.key] = entry.revision, entry.data

    async def test_a_snapshot_larger_than_any_buffer_is_whole(self, bus: Bus, bucket: str) -> None:
        await asyncio.gather(*(bus.put(bucket, f"k{number}", b"x") for number in range(1500)))
        async with bus.watch(bucket) as entries:
            snapshot: set[str] = set()
            while isinstance(entry := await soon(anext(entries)), Entry):
                snapshot.add(entry.key)
        assert entry == Current()
        assert len(snapshot) == 1500

    async def test_a_snapshot_taken_while_keys_change_is_whole(self, bus: Bus, other: Bus, bucket: str) -> None:
        await asyncio.gather(*(bus.put(bucket, f"k{number}", b"0") for number in range(300)))

        async def change() -> None:
            for number in range(300):
                await bus.put(bucket, f"k{number}", b"1")

        async with asyncio.TaskGroup() as group:
            changing = group.create_task(change())
            async with other.watch(bucket) as entries:
                snapshot: set[str] = set()
                while isinstance(entry := await soon(anext(entries)), Entry):
                    snapshot.add(entry.key)
            await changing
        assert len(snapshot) == 300

    async def test_a_lost_link_is_stale_and_then_a_new_snapshot(
        self, clients: LinkedClients, bus: Bus, other: Bus, bucket: str
    ) -> None:
        for key in ("kept", "changed", "gone"):
            await bus.put(bucket, key, b"1")
        async with other.watch(bucket) as entries:
            await take(entries, 4)
            await cut(clients, other)
            assert await take(entries, 1) == [Stale()]
            await bus.put(bucket, "changed", b"2")
            await bus.delete(bucket, "gone")
            await mend(clients, other)
            snapshot = await take(entries, 3)
            assert snapshot[-1] == Current()
            found = {one.key: one.data for one in snapshot if isinstance(one, Entry)}
            assert found == {"kept": b"1", "changed": b"2"}
            await bus.put(bucket, "kept", b"3")
            (change,) = await take(entries, 1)
            assert isinstance(change, Entry)
            assert change.data == b"3"

    async def test_a_reader_with_unread_entries_hears_of_a_lost_link_and_goes_on(
        self, clients: LinkedClients, bus: Bus, other: Bus, bucket: str
    ) -> None:
        """The loop of the reader once spun without end, and nothing else ran in its process."""
        await asyncio.gather(*(bus.put(bucket, f"k{number}", b"x") for number in range(1500)))
        async with other.watch(bucket) as entries:
            await take(entries, 1)
            for _ in range(5):
                await bus.put(bucket, "k0", b"y")  # meanwhile, more of the snapshot comes than is read at once
            await cut(clients, other)
            while not isinstance(await soon(anext(entries)), Stale):
                pass
            following = asyncio.create_task(_keys_until_current(entries))
            await asyncio.sleep(0)
            await mend(clients, other)
            assert len(await soon(following)) == 1500

    async def test_a_reader_that_looks_away_while_the_link_blinks_is_told(
        self, clients: LinkedClients, bus: Bus, bucket: str
    ) -> None:
        await bus.put(bucket, "a", b"1")
        async with bus.watch(bucket) as entries:
            await take(entries, 2)
            await cut(clients, bus)
            await mend(clients, bus)
            stale, entry, current = await take(entries, 3)
            assert (stale, current) == (Stale(), Current())
            assert isinstance(entry, Entry)


class TestLeases:
    @pytest_asyncio.fixture(
        params=[
            "memory",
            pytest.param("nats", marks=pytest.mark.server),
            pytest.param("nats with a process that renews", marks=pytest.mark.server),
        ]
    )
    async def clients(self, request: pytest.FixtureRequest, server: EmbeddedServer) -> AsyncIterator[LinkedClients]:
        made: LinkedClients = MemoryClients()
        if request.param != "memory":
            process = launch if "process" in request.param else None
            made = NatsClients(server.port, server.login(), launch_renewer=process)
        yield made
        await made.close()

    async def test_one_holds_it_and_the_other_is_told_who(self, bus: Bus, other: Bus, name: str) -> None:
        lease = await bus.acquire(name, ttl_s=10, holder="anna")
        assert (lease.name, lease.lost) == (name, False)
        with pytest.raises(Conflict, match="anna"):
            await other.acquire(name, ttl_s=10, holder="ben")
        assert (await other.holders())[name] == "anna"
        assert await other.holder(name) == "anna"

    async def test_a_released_lease_can_be_had_and_its_token_is_greater(self, bus: Bus, other: Bus, name: str) -> None:
        tokens: list[int] = []
        for client in (bus, other, bus):
            lease = await client.acquire(name, ttl_s=10, holder="x")
            tokens.append(lease.token)
            await lease.release()
            assert lease.lost
            await soon(lease.wait_lost())
            assert name not in await bus.holders()
            assert await bus.holder(name) == ""
        assert tokens == sorted(set(tokens))

    async def test_it_is_renewed_while_the_link_is_up(self, bus: Bus, other: Bus, name: str) -> None:
        lease = await bus.acquire(name, ttl_s=1, holder="anna")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.2):
                await lease.wait_lost()
        assert not lease.lost
        with pytest.raises(Conflict):
            await other.acquire(name, ttl_s=1, holder="ben")

    async def test_without_a_link_it_is_lost_and_somebody_else_can_have_it(
        self, clients: LinkedClients, bus: Bus, other: Bus, name: str
    ) -> None:
        lease = await bus.acquire(name, ttl_s=1, holder="anna")
        await cut(clients, bus)
        assert not lease.lost
        await soon(lease.wait_lost())
        assert lease.lost
        async with asyncio.timeout(PATIENCE_S):
            while name in await other.holders():
                await asyncio.sleep(0.05)
        taken = await other.acquire(name, ttl_s=10, holder="ben")
        assert taken.token > lease.token
        await mend(clients, bus)
        assert lease.lost
        await lease.release()
        assert (await bus.holders())[name] == "ben"

    async def test_it_is_kept_over_a_short_loss_of_the_link(
        self, clients: LinkedClients, bus: Bus, other: Bus, name: str
    ) -> None:
        lease = await bus.acquire(name, ttl_s=3, holder="anna")
        await cut(clients, bus)
        await mend(clients, bus)
        assert not lease.lost
        assert (await other.holders())[name] == "anna"

    async def test_of_many_who_want_it_one_gets_it(self, bus: Bus, other: Bus, name: str) -> None:
        results = await asyncio.gather(
            *(client.acquire(name, ttl_s=10, holder=f"h{n}") for n, client in enumerate((bus, other) * 5)),
            return_exceptions=True,
        )
        assert sum(not isinstance(result, BaseException) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 9

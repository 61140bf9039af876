"""The embedded server is killed at any moment; its clients see a short interruption only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from countingroom.bus import nats
from countingroom.bus.dead_letters import DeadLetters
from countingroom.bus.description import BusSection
from countingroom.bus.election import holder_mark
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.connection import ApiError, NatsConnection
from countingroom.bus.port import Current, Entry, Message, Stale
from countingroom.bus.presence import heartbeat
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.console.present.latest import Latest
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, Conflict, LinkError
from countingroom.core.messages import Event, EventKind
from tests.patience import PATIENCE_S

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await awaitable


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def running(directory: Path, section: BusSection | None = None) -> AsyncGenerator[EmbeddedServer]:
    server = EmbeddedServer(directory, description=section or BusSection())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def client(server: EmbeddedServer) -> AsyncGenerator[NatsBus]:
    bus = await nats.connect(server.url_with_login(), name="test")
    try:
        yield bus
    finally:
        await bus.close()


async def crash(server: EmbeddedServer, *watching: NatsBus) -> None:
    """Kill it and wait until everybody is back."""
    before = server.pid
    assert before
    os.kill(before, signal.SIGKILL)
    for bus in watching:
        await until(lambda bus=bus: not bus.connected)
    for bus in watching:
        await until(lambda bus=bus: bus.connected)
    assert server.pid != before


async def test_state_and_url_outlive_a_stop_and_a_start(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus:
        url = server.url
        await prepare(bus, max_bytes=server.store_bytes)
        await bus.put("state", "device.caen", b"on")
        await bus.append("events.devices.caen", b"happened")
        pid = server.pid
        assert pid
        assert alive(pid)
    assert not alive(pid)
    async with running(tmp_path) as server, client(server) as bus:
        assert server.url == url
        entry = await bus.get("state", "device.caen")
        assert entry
        assert entry.data == b"on"
        async with bus.replay("events", follow=False) as messages:
            assert [one.data async for one in messages] == [b"happened"]


async def test_a_crashed_server_comes_back_and_it_is_told(tmp_path: Path) -> None:
    told: list[Event] = []
    server = EmbeddedServer(tmp_path, description=BusSection(), on_event=told.append)
    await server.start()
    try:
        async with client(server) as bus:
            await crash(server, bus)
            await until(lambda: len(told) == 2)
    finally:
        await server.stop()
    assert [event.kind for event in told] == [EventKind.PROCESS] * 2
    assert "signal 9" in told[0].message
    assert told[0].cause
    assert "is running again" in told[1].message


async def test_a_server_that_hangs_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.bus.server.hung_server.STOPPED_S", 1.0)
    async with running(tmp_path) as server:
        before = server.pid
        assert before
        os.kill(before, signal.SIGSTOP)
        await until(lambda: server.pid not in (before, None))
        bus = await soon(nats.connect(server.url_with_login(), name="test"))
        await bus.close()


async def test_everything_goes_on_over_a_killed_server(tmp_path: Path) -> None:
    """Subscriptions, responders, watches, replays, consumers and leases, all at once."""

    async def answer(message: Message) -> bytes:
        return message.data + b"!"

    async with running(tmp_path) as server, client(server) as bus, client(server) as other:
        await prepare(bus, max_bytes=server.store_bytes)
        lease = await bus.acquire("partition.test", ttl_s=5, holder="runs")
        consumer = await other.consumer("events", "reader")
        await bus.append("events.a.b", b"1")
        assert [one.data for one in await soon(consumer.fetch(1, timeout_s=5))] == [b"1"]
        await bus.put("state", "device.a", b"1")
        async with (
            other.subscribe("live.*") as heard,
            other.respond("ask.*", answer),
            other.watch("state") as entries,
            other.replay("events") as messages,
        ):
            assert isinstance(await soon(anext(entries)), Entry)
            assert await soon(anext(entries)) == Current()
            assert (await soon(anext(messages))).data == b"1"

            await crash(server, bus, other)

            await bus.publish("live.a", b"x")
            assert (await soon(anext(heard))).data == b"x"
            assert (await soon(bus.request("ask.a", b"hey", timeout_s=5))).data == b"hey!"
            assert await soon(anext(entries)) == Stale()
            again = await soon(anext(entries))
            assert isinstance(again, Entry)
            assert again.data == b"1"
            assert await soon(anext(entries)) == Current()
            await bus.put("state", "device.a", b"2")
            changed = await soon(anext(entries))
            assert isinstance(changed, Entry)
            assert changed.data == b"2"
            await bus.append("events.a.b", b"2")
            assert (await soon(anext(messages))).data == b"2"
            assert [one.data for one in await soon(consumer.fetch(1, timeout_s=5))] == [b"2"]
            assert not lease.lost
            async with asyncio.timeout(PATIENCE_S):
                while (await other.holders()).get("partition.test") != "runs":  # its next renewal claims it again
                    await asyncio.sleep(0.01)


async def test_a_lease_is_nobody_elses_after_a_crash_and_later_tokens_are_greater(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus, client(server) as other:
        lease = await bus.acquire("partition.test", ttl_s=2, holder="first")
        dead = await bus.acquire("partition.dead", ttl_s=2, holder="dead")
        for task in asyncio.all_tasks():
            if task.get_name() == "lease partition.dead":
                task.cancel()
        await crash(server, bus, other)
        taken: dict[str, int] = {}
        async with asyncio.timeout(PATIENCE_S):
            while "partition.dead" not in taken:
                for name in ("partition.test", "partition.dead"):
                    with suppress(LinkError, Conflict):
                        taken[name] = (await other.acquire(name, ttl_s=2, holder="second")).token
                await asyncio.sleep(0.01)
        assert dead.lost
        assert not lease.lost
        assert "partition.test" not in taken
        assert taken["partition.dead"] > max(dead.token, lease.token)


async def test_the_leases_of_a_dead_process_are_free_at_once_and_those_of_others_are_kept(tmp_path: Path) -> None:
    dead, alive_one = (f"main{holder_mark(socket.gethostname(), pid)}ab12" for pid in (4711, 47110))
    async with running(tmp_path) as server, client(server) as bus, client(server) as other:
        first = await bus.acquire("partition.a", ttl_s=60, holder=dead)
        await bus.acquire("partition.b", ttl_s=60, holder=alive_one)
        server.process_ended(4711)
        async with asyncio.timeout(PATIENCE_S):
            while (await other.holders()).get("partition.a"):
                await asyncio.sleep(0.01)
        assert (await other.acquire("partition.a", ttl_s=60, holder="second")).token > first.token
        assert (await other.holders())["partition.b"] == alive_one


async def test_state_is_put_back_after_a_crash_and_its_revisions_grow(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus:
        await prepare(bus, max_bytes=server.store_bytes)
        revisions = [await bus.put("state", f"device.d{number}", str(number).encode()) for number in range(300)]
        await bus.delete("state", "device.d0")
        await until(lambda: len(server.copied_state) == 299)
        await crash(server, bus)

        async def restored() -> list[bytes | None]:
            with suppress(LinkError):
                entries = [await bus.get("state", f"device.d{number}") for number in range(300)]
                return [entry.data if entry else None for entry in entries]
            return []

        wanted = [None, *(str(number).encode() for number in range(1, 300))]
        async with asyncio.timeout(PATIENCE_S):
            while await restored() != wanted:
                await asyncio.sleep(0.01)
        assert await bus.put("state", "device.d1", b"new") > max(revisions)


async def test_a_snapshot_after_a_crash_misses_no_key(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus, client(server) as other:
        await prepare(bus, max_bytes=server.store_bytes)
        names = {f"device.d{number}" for number in range(500)}
        for name in names:
            await bus.put("state", name, b"x" * 200)
        await until(lambda: len(server.copied_state) == 500)
        async with other.watch("state") as entries:
            for _ in range(3):
                seen: set[str] = set()
                while (item := await soon(anext(entries))) != Current():
                    if isinstance(item, Entry):
                        seen.add(item.key)
                assert seen == names
                await crash(server, bus, other)


async def test_buckets_of_an_earlier_version_move_from_disk_to_memory(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        connection = NatsConnection()
        await connection.connect(server.url, name="old", login=server.login, timeout_s=5)
        for bucket in ("state", "leases"):
            await connection.api(f"STREAM.DELETE.KV_{bucket}")
        old = NatsBus(connection, SystemClock(), replicas=1, dead_letters=DeadLetters())
        await old.ensure_bucket("state")
        await old.ensure_bucket("leases")
        await old.put("state", "partition.a", b"Recording")
        os.kill(server.pid or 0, signal.SIGTERM)
        await until(lambda: not old.connected)
        await until(lambda: old.connected)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(LinkError, ApiError):
                    infos = [await connection.api(f"STREAM.INFO.KV_{bucket}") for bucket in ("state", "leases")]
                    if {info["config"]["storage"] for info in infos} == {"memory"}:
                        entry = await old.get("state", "partition.a")
                        if entry and entry.data == b"Recording":
                            break
                await asyncio.sleep(0.01)
        await old.close()


async def test_what_is_sent_until_acknowledged_is_stored_once_over_kills_while_data_flow(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus, client(server) as other:
        await prepare(bus, max_bytes=server.store_bytes)
        consumer = await other.consumer("readings", "history")
        acknowledged: list[int] = []
        enough = asyncio.Event()

        async def send(number: int) -> None:
            while True:
                with suppress(LinkError):
                    await bus.append("readings.delta.a", str(number).encode(), message_id=f"a:{number}")
                    acknowledged.append(number)
                    return
                await asyncio.sleep(0.02)

        async def flow() -> None:
            while not enough.is_set():
                begin = len(acknowledged)
                await asyncio.gather(*(send(number) for number in range(begin, begin + 50)))

        async with asyncio.TaskGroup() as group:
            group.create_task(flow())
            for goal in (500, 1500):
                await until(lambda goal=goal: len(acknowledged) >= goal)
                await crash(server, bus, other)
            await until(lambda: len(acknowledged) >= 2500)
            enough.set()
        stored: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(stored) < len(acknowledged):
                stored += [int(one.data) for one in await consumer.fetch(1000, timeout_s=0.5)]
        stored += [int(one.data) for one in await consumer.fetch(1000, timeout_s=0.2)]
        assert sorted(acknowledged) == list(range(len(acknowledged)))
        assert sorted(stored) == sorted(acknowledged)


async def test_a_frozen_server_is_noticed_and_nothing_waits_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as server, client(server) as bus:
        assert server.pid
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await until(lambda: not bus.connected)
            with pytest.raises(LinkError):
                await soon(bus.publish("a", b""))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await until(lambda: bus.connected)


@pytest.mark.parametrize("content", [b"", b"garbage"])
async def test_a_stream_that_the_server_cannot_read_is_not_replaced_by_an_empty_one(
    tmp_path: Path, content: bytes
) -> None:
    async with running(tmp_path) as server, client(server) as bus:
        await prepare(bus, max_bytes=server.store_bytes)
        await bus.append("events.a.b", b"1")
    (described,) = tmp_path.glob("store/jetstream/*/streams/events/meta.inf")
    described.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot read the stream events") as refused:
        async with running(tmp_path):
            pass
    assert "backup" in refused.value.cause.suggestion
    assert described.read_bytes() == content


async def test_a_second_server_on_the_same_data_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        with pytest.raises(ConfigurationError) as caught:
            await EmbeddedServer(tmp_path, description=BusSection()).start()
        assert f"process {server.pid}" in caught.value.cause.message
        async with client(server) as bus:
            assert bus.connected


async def test_a_server_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        section = BusSection(port=taken.getsockname()[1])
        server = EmbeddedServer(tmp_path, description=section)
        with pytest.raises(LinkError, match="address already in use"):
            await soon(server.start())
    assert server.pid is None


async def test_another_server_on_the_same_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with running(tmp_path / "theirs") as theirs:
        ours = EmbeddedServer(tmp_path / "ours", description=BusSection(port=theirs.port))
        with pytest.raises(LinkError, match="address already in use"):
            await soon(ours.start())


async def test_a_remembered_port_that_somebody_else_took_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)):
        async with running(tmp_path) as server, client(server) as bus:
            assert server.port != port
            assert bus.connected


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_the_server_ends_with_a_parent_that_is_killed_and_the_next_start_succeeds(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from countingroom.bus.server.server import EmbeddedServer\n"
        "from countingroom.bus.description import BusSection\n"
        "async def main():\n"
        "    server = EmbeddedServer(pathlib.Path(sys.argv[1]), description=BusSection())\n"
        "    await server.start()\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pid = int(await soon(parent.stdout.readline()))
    assert alive(pid)
    parent.kill()
    await parent.wait()
    async with running(tmp_path) as server:
        assert server.pid != pid
        assert not alive(pid)


async def test_a_bus_that_is_not_there_is_a_link_error(free_port: Callable[[], int]) -> None:
    with pytest.raises(LinkError, match="is not reached within"):
        await nats.connect(f"nats://127.0.0.1:{free_port()}", name="test", timeout_s=0.5)


async def test_a_consumer_goes_on_when_power_took_the_end_of_the_stream(tmp_path: Path) -> None:
    """Its acknowledged position may then be beyond the stream; what is stored anew must still reach it."""
    async with running(tmp_path) as server, client(server) as bus:
        await bus.ensure_stream("s", ["s.>"], max_bytes=1 << 20)
        first = await bus.consumer("s", "reader")
        for _ in range(5):
            await bus.append("s.a", b"old")
        await first.fetch(5, timeout_s=5)
        await first.acknowledge(5)
        await bus.put("consumers", "s.reader", b"9")
        again = await bus.consumer("s", "reader")
        await bus.append("s.a", b"new")
        assert [one.data for one in await soon(again.fetch(1, timeout_s=5))] == [b"new"]
        await again.acknowledge(6)
        third = await bus.consumer("s", "reader")
        await bus.append("s.a", b"newer")
        assert [one.data for one in await soon(third.fetch(1, timeout_s=5))] == [b"newer"]


async def test_the_present_is_rebuilt_after_a_crash(tmp_path: Path) -> None:
    clock = SystemClock()
    async with running(tmp_path) as server, client(server) as bus, client(server) as viewer:
        await prepare(bus, max_bytes=server.store_bytes)
        latest = Latest(viewer, clock)
        tasks = [
            asyncio.create_task(latest.run()),
            asyncio.create_task(heartbeat(bus, clock, role="devices", instance="main", boot="b", targets=["caen"])),
        ]
        try:
            await soon(latest.ready())
            await until(lambda: latest.alive.get("caen", False))
            await crash(server, bus, viewer)
            await until(lambda: latest.connected and latest.alive["caen"])
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

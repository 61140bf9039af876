"""A command whose owner ends before it answers is given up at once, and no other."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.console.command_client import send, send_and_wait
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

LEASE = "partition.mCBM"


class Owner:
    """It answers when the test says so."""

    def __init__(self) -> None:
        self.got = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def answer(self, message: Message) -> bytes:
        self.got.set()
        await self.may_answer.wait()
        return encode(Reply(id=decode(message.data, Command).id, accepted=True))


def _send(bus: MemoryBus, clock: FakeClock, department: str = "runs") -> asyncio.Task[Reply]:
    command = Command(id="1", action="stop", issued_ns=clock.now_ns(), deadline_ns=clock.now_ns() + 10**10)
    return asyncio.create_task(send(bus, clock, department, "mCBM", command, user="ann"))


async def test_the_end_of_the_owner_ends_the_wait() -> None:
    clock, owner = FakeClock(), Owner()
    bus = MemoryBus(clock)
    lease = await bus.acquire(LEASE, ttl_s=5.0, holder="runs 1")
    async with bus.respond(subjects.commands_to("runs"), owner.answer):
        sent = _send(bus, clock)
        await owner.got.wait()
        await clock.advance(0.5)
        assert not sent.done()
        await lease.release()
        await clock.advance(0.5)
        with pytest.raises(LinkError, match="may or may not have been done") as raised:
            async with asyncio.timeout(PATIENCE_S):
                await sent
        assert raised.value.cause.code == "timeout"
        assert "has ended" in raised.value.cause.causes[0].message


async def test_another_owner_ends_the_wait() -> None:
    clock, owner = FakeClock(), Owner()
    bus = MemoryBus(clock)
    lease = await bus.acquire(LEASE, ttl_s=5.0, holder="runs 1")
    async with bus.respond(subjects.commands_to("runs"), owner.answer):
        sent = _send(bus, clock)
        await owner.got.wait()
        await clock.advance(0.0)
        await lease.release()
        await bus.acquire(LEASE, ttl_s=5.0, holder="runs 2")
        await clock.advance(0.5)
        with pytest.raises(LinkError):
            async with asyncio.timeout(PATIENCE_S):
                await sent


@pytest.mark.parametrize("department", ["devices", "runs"])
async def test_the_end_of_a_device_host_ends_the_wait_for_what_it_has_accepted(department: str) -> None:
    clock, owner = FakeClock(), Owner()
    bus = MemoryBus(clock)
    owner.may_answer.set()
    leases = {"devices": "device.mCBM", "runs": LEASE}
    lease = await bus.acquire(leases[department], ttl_s=5.0, holder="main 1")
    command = Command(id="1", action="ramp", issued_ns=clock.now_ns(), deadline_ns=clock.now_ns() + 10**10)
    async with bus.respond(subjects.commands_to(department), owner.answer):
        sent = asyncio.create_task(send_and_wait(bus, clock, department, "mCBM", command, 900.0, user="ann"))
        await owner.got.wait()
        await clock.advance(3.0)
        assert not sent.done()
        await lease.release()
        await clock.advance(2.0)
        if department == "runs":  # the next owner goes on, and tells the outcome
            await clock.advance(5.0)
            assert not sent.done()
            sent.cancel()
            await asyncio.gather(sent, return_exceptions=True)
            return
        with pytest.raises(LinkError, match=r"its outcome is not known: the owner .* has ended") as raised:
            async with asyncio.timeout(PATIENCE_S):
                await sent
        assert raised.value.cause.code == "timeout"


@pytest.mark.parametrize(("department", "held"), [("runs", True), ("runs", False), ("simulators", False)])
async def test_a_slow_answer_is_waited_for(department: str, held: bool) -> None:
    clock, owner = FakeClock(), Owner()
    bus = MemoryBus(clock)
    if held:
        await bus.acquire(LEASE, ttl_s=100.0, holder="runs 1")
    async with bus.respond(subjects.commands_to(department), owner.answer):
        sent = _send(bus, clock, department)
        await owner.got.wait()
        for _ in range(8):
            await clock.advance(0.25)
        assert not sent.done()
        owner.may_answer.set()
        async with asyncio.timeout(PATIENCE_S):
            assert (await sent).accepted

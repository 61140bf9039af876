"""Commands of dashboards that wait for a device: one that switches off gets through a flood of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest_asyncio

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.messages import Catalogue, Command, CommandSpec, Reply, decode, decode_json, encode
from countingroom.core.policy import Principal, Role
from countingroom.mqtt.commander import WAITING, Commander
from countingroom.mqtt.messages import Incoming, Publication
from countingroom.testing.clock import FakeClock
from countingroom.tracker.adapter import TrackerAdapter
from tests.unit.test_tracker_outgoing import FACTS

NAMES = ("hv_on", "hv_off")
CATALOGUE = Catalogue(
    device="caen",
    title="",
    driver="caen",
    group="",
    points=(),
    commands=(
        *(CommandSpec(name=name, scope="channel") for name in NAMES),
        *(CommandSpec(name=f"all_{name}") for name in NAMES),
    ),
)


class Stand:
    """A commander, and a device host that answers when it is let to."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.bus = MemoryBus(clock).client()
        self.got: list[str] = []
        self.errors: list[dict[str, str]] = []
        self.lets = asyncio.Event()
        self.commander = Commander(
            self.bus,
            clock,
            TrackerAdapter(FACTS, 0.0),
            Principal(name="dashboard", role=Role.SHIFTER),
            catalogue=lambda device: CATALOGUE,
            refresh=lambda kind: None,
            tell=self.tell,
            audit=self.audit,
        )

    async def audit(self, entry: AuditEntry) -> None:
        pass

    def tell(self, publication: Publication) -> None:
        self.errors.append(decode_json(publication.payload, dict[str, str]))

    async def answer(self, message: Message) -> bytes:
        command = decode(message.data, Command)
        self.got.append(f"{command.action} {command.channel}".strip())
        await self.lets.wait()
        return encode(Reply(id=command.id, accepted=True))

    def take(self, topic: str, payload: bytes) -> None:
        self.commander.take(Incoming(topic=topic, payload=payload, retained=False))

    async def turn(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@pytest_asyncio.fixture
async def stand() -> AsyncIterator[Stand]:
    stand = Stand()
    async with stand.bus.respond(subjects.command("dashboard", "devices", "caen"), stand.answer):
        tasks = [asyncio.create_task(part()) for part in stand.commander.parts()]
        await stand.turn()
        yield stand
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_hv_off_goes_at_once_and_ends_what_waits(stand: Stand) -> None:
    stand.take("dcs/cmd/switch/hv/2", b"on")
    await stand.turn()
    for _ in range(WAITING):
        stand.take("dcs/cmd/switch/hv/0", b"on")
    stand.take("dcs/cmd/switch/hv", b"on")
    assert [error["code"] for error in stand.errors] == ["too_many"]

    stand.take("dcs/cmd/switch/hv", b"off")
    await stand.turn()
    assert stand.got == ["hv_on spare", "all_hv_off"]
    assert {error["code"] for error in stand.errors[1:]} == {"superseded"}

    stand.lets.set()
    await stand.turn()
    assert stand.got == ["hv_on spare", "all_hv_off"]
    stand.take("dcs/cmd/switch/hv/0", b"on")
    await stand.turn()
    assert stand.got[2:] == ["hv_on 0"]


async def test_those_that_switch_off_keep_their_order_and_are_sent_once(stand: Stand) -> None:
    for _ in range(3 * WAITING):
        stand.take("dcs/cmd/switch/hv/0", b"off")
        stand.take("dcs/cmd/switch/hv/2", b"off")
        stand.take("dcs/cmd/switch/hv", b"off")
    stand.commander.forget()
    stand.lets.set()
    await stand.turn()
    assert stand.got == ["hv_off 0", "hv_off spare", "all_hv_off"]
    assert not stand.errors

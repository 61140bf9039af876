"""Ten thousand commands to cameras that die, hang and fail at random: none is left open, and memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from random import Random

from countingroom.core.actor.messages import ActorCommand, MessageCode
from countingroom.core.errors import Refused
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.talk import Speaker, TalkOutcome, TalkState
from countingroom.fleet.actors.client import ActorAddress, ActorClient
from countingroom.fleet.actors.talks import KEPT, TalkOrder, Talks
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_actor import FakeActor

CAMERAS, AT_ONCE, ROUNDS = 25, 8, 50
DEADLINE_S = 5.0
_BEHAVIOURS = ("done", "done", "done", "failed", "silent", "dies", "garbage", "late")


class Observatory:
    """Cameras that misbehave, their clients and the talks to them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clock = FakeClock()
        self.published: dict[str, TalkState] = {}
        self.outcomes: Counter[TalkOutcome] = Counter()
        self.ids = [InstanceId("camera", f"n{number}") for number in range(CAMERAS)]
        self.cameras = {id: FakeActor(id.node, random.choice(("json", "legacy"))) for id in self.ids}
        self.clients: dict[InstanceId, ActorClient] = {}
        for id, one in self.cameras.items():
            one.does = self.answer
            address = ActorAddress(id.node, 19991, one.form)
            self.clients[id] = ActorClient(self.clock, one.dial, address)
        self.talks = Talks(
            self.clock, lambda: [Speaker(id=id) for id in self.ids], self.clients.__getitem__, self.publish
        )

    def publish(self, key: str, state: TalkState | None) -> None:
        if state is None:
            self.published.pop(key, None)
        else:
            self.published[key] = state

    def answer(self, command: ActorCommand, camera: FakeActor) -> None:
        camera.reply(command, MessageCode.STARTED)
        match self.random.choice(_BEHAVIOURS):
            case "done":
                camera.reply(command, MessageCode.INFO, filename=f"{camera.name}.fits")
                camera.reply(command, MessageCode.DONE)
            case "failed":
                camera.reply(command, MessageCode.FAILED, error="no CCD")
            case "dies":
                camera.die()
            case "garbage":
                camera.write('{"header": {"message_code": ":"')
                camera.write(f"9 {command.id} ?")
            case "late":
                later = asyncio.get_running_loop().create_task(self.clock.sleep(2 * DEADLINE_S))
                later.add_done_callback(lambda _: camera.is_dead or camera.reply(command, MessageCode.DONE))
            case _:
                pass

    async def round(self, number: int) -> None:
        """Some talks at the same time, with cameras that end and come back meanwhile."""
        for one in self.cameras.values():
            one.is_dead = self.random.random() < 0.1
            one.hangs = self.random.random() < 0.1
            one.received.clear()
        running = [asyncio.create_task(self.talk(f"{number}-{index}")) for index in range(AT_ONCE)]
        await self.clock.advance(0.1)
        for one in self.random.sample(list(self.cameras.values()), 3):
            one.die()
        await self.clock.advance(DEADLINE_S + 0.1)
        assert all(one.done() for one in running)
        for one in running:
            self.outcomes.update(actor.outcome for actor in one.result().actors)

    async def talk(self, id: str) -> TalkState:
        self.talks.begin(id, "anna", TalkOrder(command=f"expose {id}", deadline_s=DEADLINE_S))
        try:
            await self.talks.run(id)
        except Refused as refused:
            assert refused.cause.code == "talk_failed"
        return self.published[f"talk.{id}"]


async def test_ten_thousand_commands_end_whatever_the_cameras_do_and_memory_stays_flat() -> None:
    site = Observatory(Random(62))
    blocks: list[int] = []
    for number in range(ROUNDS):
        await site.round(number)
        if number in (ROUNDS // 5, ROUNDS - 1):
            await site.clock.advance(3 * DEADLINE_S)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
    assert sum(site.outcomes.values()) == CAMERAS * AT_ONCE * ROUNDS == 10_000
    assert site.outcomes[TalkOutcome.WAITING] == 0 and min(site.outcomes.values()) > 500
    assert all(client.open == 0 for client in site.clients.values()) and site.talks.running == 0
    assert len(site.published) == KEPT and all(one.is_over for one in site.published.values())
    for client in site.clients.values():
        await client.close()
    assert len(asyncio.all_tasks()) == 1
    # 8,000 commands lie between: one block of memory kept of each would be seen.
    assert blocks[1] - blocks[0] < 4000, blocks

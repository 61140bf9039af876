"""Plans messages about a new alarm every 20 ms through two channels, sends them, and acknowledges alarms it is told of.

Usage: notify_child.py DATABASE CHANNELS.json. It says `ready`, `planned N` and `acknowledged N`; a line `drain` on its
standard input ends the planning, and it says `drained` when no message is left.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import msgspec

from countingroom.alarms.notify.deliveries import Deliveries
from countingroom.alarms.sections.notify_channels import ChannelSection
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.core.alarms.history import SavedAlarm
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from countingroom.storage.database import Database

S = 1_000_000_000
STEP_S = 0.02
LONGEST_WAIT_S = 0.6
"""Of a message until it is due, so that some are acknowledged before."""


class Child:
    def __init__(self, database: Database, channels: dict[str, ChannelSection], writer: int) -> None:
        self.clock = SystemClock()
        self.database = database
        self.channels = channels
        self.writer = writer
        self.acknowledged: set[str] = set()
        self.drains = False

    def still_wanted(self, message: Notification) -> bool:
        return all(alarm not in self.acknowledged for alarm, _ in message.alarms)

    async def plan(self, number: int) -> None:
        """Both messages about an alarm and the cursor, in one transaction."""
        now_ns = self.clock.now_ns()
        due_ns = now_ns + round(random.uniform(0, LONGEST_WAIT_S) * S)
        messages = [
            Notification(
                id=notification_id(channel, number),
                channel=channel,
                kind=NotificationKind.FIRST,
                title=f"alarm {number}",
                text="It is too warm.",
                alarms=((f"point.a.p{number}", 1),),
                created_ns=now_ns,
                due_ns=due_ns,
                expires_ns=now_ns + 3600 * S,
            )
            for channel in self.channels
        ]
        await self.database.notifications.put(self.writer, messages, sequence=number)

    async def acknowledge(self, number: int) -> None:
        """As the keeper does: saved, then known, then answered."""
        id = f"point.a.p{number}"
        state = AlarmState(
            id=id,
            title="a",
            base=BaseState.ACKNOWLEDGED,
            priority=2,
            text="",
            occurrence=1,
            since_ns=1,
            changed_ns=1,
        )
        await self.database.alarms.save(self.writer, [SavedAlarm(id=id, occurrence=1, state=state)])
        self.acknowledged.add(id)
        print(f"acknowledged {number}", flush=True)

    async def listen(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            if line == b"drain\n":
                self.drains = True
            else:
                await self.acknowledge(int(line))

    async def produce(self, number: int, deliveries: Deliveries) -> None:
        while not self.drains:
            number += 1
            await self.plan(number)
            deliveries.wake()
            print(f"planned {number}", flush=True)
            await asyncio.sleep(STEP_S)
        while await self.database.notifications.pending():
            await asyncio.sleep(STEP_S)
        print("drained", flush=True)


async def main(url: str, path: str) -> None:
    channels = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, dict[str, object]])
    database = Database(url)
    await database.open()
    writer = await database.alarms.take_over("child")
    child = Child(database, {name: ChannelSection.model_validate(one) for name, one in channels.items()}, writer)
    saved = await database.alarms.load()
    child.acknowledged = {one.id for one in saved if one.state and one.state.base is BaseState.ACKNOWLEDGED}
    cursor = await database.notifications.recover(writer)
    bus = MemoryBus(child.clock)
    publisher = Publisher(bus, child.clock, "alarms")
    deliveries = Deliveries(
        child.channels,
        None,
        database.notifications,
        writer,
        child.clock,
        publisher,
        still_wanted=child.still_wanted,
    )
    deliveries.wake()
    print("ready", flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(deliveries.run())
        group.create_task(child.listen())
        group.create_task(child.produce(cursor.sequence, deliveries))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""What is planned is kept by the real database: a second notifier goes on where the first one was."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from countingroom.alarms.notify.notifier import Notifier
from countingroom.core.alarms.history import AlarmEntry, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.notify.routes import Escalation, NotifyRoute, NotifySpec, Recipients
from countingroom.core.notify.texts import Wording
from countingroom.storage.database import Database
from tests.patience import PATIENCE_S

S = 1_000_000_000
ID = "point.chiller.bath"
ROUTE = NotifyRoute(name="all", to=("mail",), escalate=(Escalation(after_ns=1, to=("pager",)),), remind_ns=3600 * S)
SPEC = NotifySpec(routes={"all": ROUTE}, directory=Recipients(channels=frozenset({"mail", "pager"})))


async def kinds(database: Database) -> list[tuple[str, str]]:
    found = await database.notifications.pending()
    return sorted((one.notification.kind.value, one.notification.channel) for one in found)


async def begin(database: Database, states: list[AlarmState]) -> tuple[int, asyncio.Task[None]]:
    writer = await database.alarms.take_over("main")
    notifier = Notifier(
        SPEC,
        Wording(experiment="bench"),
        database.notifications,
        writer,
        SystemClock(),
        find=lambda _: None,
        present=states,
        stored=lambda: None,
    )
    return writer, asyncio.create_task(notifier.run())


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_second_notifier_goes_on_where_the_first_one_was(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'database.sqlite'}")
    await database.open()
    try:
        writer, task = await begin(database, [])
        async with asyncio.timeout(PATIENCE_S):
            while await database.notifications.cursor() is None:
                await asyncio.sleep(0.01)
        await end(task)
        now_ns = SystemClock().now_ns()
        state = AlarmState(
            id=ID,
            title="Chiller / Bath",
            base=BaseState.UNACKNOWLEDGED,
            priority=2,
            text="too warm",
            occurrence=1,
            since_ns=now_ns,
            announced_ns=now_ns,
            changed_ns=now_ns,
        )
        row = AlarmEntry(
            time_ns=now_ns,
            alarm=ID,
            title=state.title,
            kind=HistoryKind.ANNOUNCED,
            occurrence=1,
            base=state.base,
            priority=2,
            text=state.text,
        )
        await database.alarms.save(writer, [SavedAlarm(id=ID, occurrence=1, state=state)], [row])
        for _ in range(2):
            writer, task = await begin(database, [state])
            async with asyncio.timeout(PATIENCE_S):
                while len(await kinds(database)) < 2:
                    await asyncio.sleep(0.01)
            await end(task)
            assert await kinds(database) == [("escalation", "pager"), ("first", "mail")]
        cursor = await database.notifications.cursor()
        assert cursor is not None
        assert (cursor.sequence, list(cursor.plan)) == (1, [f"track all {ID}"])
    finally:
        await database.close()

"""The spans of points in alarm over the API: from the rows of the range, and the last one before it."""

from __future__ import annotations

from countingroom.core.clock import SystemClock
from countingroom.storage.database import Database
from tests.console.alarm_history import keep_a_day, opened
from tests.console.stage import served, stage


async def test_a_point_was_in_alarm_from_its_announcement_until_it_returned() -> None:
    clock = SystemClock()
    async with stage(clock) as here, opened(Database("sqlite://", clock=clock)) as database:
        now_ns = clock.now_ns()
        await keep_a_day(database, now_ns)
        async with served(here, database=database) as (_, client):

            async def spans(point: str, begin: str = "-25h") -> list[tuple[int, int | None, int]]:
                asked = {"point": point, "from": begin}
                answer = await client.get("/api/v1/alarms/spans", params=asked)
                assert answer.status_code == 200, answer.text
                (told,) = answer.json()["points"]
                return [(one["begin_ns"], one["end_ns"], one["priority"]) for one in told["spans"]]

            found = await spans("chiller.internal_temp")
            assert len(found) == 12
            assert {(end - begin) / 1e9 for begin, end, _ in found if end} == {600.0}
            assert {priority for *_, priority in found} == {2}
            ((begin_ns, end_ns, priority),) = await spans("caen.0.hv_iMon", "-1min")
            assert end_ns is None
            assert priority == 1
            assert begin_ns > now_ns - 61 * 10**9  # it is active since long before the range
            assert await spans("caen.none") == []
            wrong = {"point": "caen.0.hv_iMon", "from": "now", "to": "-1h"}
            assert (await client.get("/api/v1/alarms/spans", params=wrong)).status_code == 422


async def test_without_a_database_there_are_no_spans() -> None:
    async with stage(SystemClock()) as here, served(here) as (_, client):
        answer = await client.get("/api/v1/alarms/spans", params={"point": "chiller.internal_temp"})
    assert answer.json()["points"] == [
        {"point": "chiller.internal_temp", "alarm": "point.chiller.internal_temp", "spans": []}
    ]

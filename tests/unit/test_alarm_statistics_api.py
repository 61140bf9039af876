"""The figures of alarms over the API: from the whole history in parts, by range, area and operators, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from countingroom.core.clock import SystemClock
from countingroom.storage import alarms as module
from countingroom.storage.database import Database
from tests.console.alarm_history import BATH, HOUR_NS, keep_a_day, opened
from tests.console.alarms_stage import AlarmStage, a_night
from tests.console.stage import served, stage


@asynccontextmanager
async def a_console(*, kept: bool = True) -> AsyncGenerator[tuple[Database, httpx.AsyncClient]]:
    clock = SystemClock()
    async with stage(clock) as here, opened(Database("sqlite://", clock=clock)) as database:
        alarms = AlarmStage(here)
        await alarms.publish(*a_night(alarms))
        if kept:
            await keep_a_day(database, clock.now_ns())
        async with served(here, database=database) as (_, client):
            yield database, client


async def ask(client: httpx.AsyncClient, **asked: Any) -> Any:
    answer = await client.get("/api/v1/alarms/statistics", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def figure(found: Any, key: str) -> Any:
    return next(one for one in found["figures"] if one["key"] == key)


async def test_the_figures_of_a_day_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTED", 7)
    async with a_console() as (_, client):
        found = await ask(client, **{"from": "-25h"})
    counted = found["counted"]
    assert counted["announced"] == 12 + 40 + 4
    assert counted["priorities"] == [4, 12, 40, 0]
    assert (counted["flood_count"], counted["floods"][0]["count"], counted["peak"]) == (1, 40, 40)
    assert (counted["actors"][0]["id"], counted["actors"][0]["count"]) == (BATH, 12)
    assert [(one["id"], one["count"]) for one in counted["chattering"]] == [("point.chiller.level", 2)]
    assert [(one["id"], one["count"]) for one in counted["fleeting"]] == [("point.chiller.level", 4)]
    taken = counted["acknowledged"]
    assert (taken["count"], taken["median_s"], taken["waiting"]) == (12, 45.0, 41)
    assert figure(found, "peak_10min")["verdict"] == "over-demanding"
    assert figure(found, "per_hour")["verdict"] == "acceptable"
    assert figure(found, "actors")["verdict"] == "not judged"
    assert figure(found, "shelved")["value"] == 1
    assert sum(sum(one["counts"]) for one in counted["bins"]) == 56
    # The hour before the first row is not one without alarms.
    assert counted["to_ns"] - counted["from_ns"] == pytest.approx(24 * HOUR_NS, rel=0.01)


async def test_range_area_and_operators_are_chosen() -> None:
    async with a_console() as (_, client):
        assert (await ask(client, **{"from": "-9h"}))["counted"]["announced"] == 4
        assert (await ask(client, **{"from": "-25h", "area": "cooling"}))["counted"]["announced"] == 16
        assert (await ask(client, **{"from": "-25h", "area": "cool"}))["counted"]["announced"] == 0
        one = figure(await ask(client), "per_hour")["value"]
        assert figure(await ask(client, operators=2), "per_hour")["value"] == pytest.approx(one / 2, rel=0.01)
        for wrong in ({"from": "now"}, {"from": "+1h"}, {"from": "nonsense"}, {"operators": 0}, {"format": "xml"}):
            assert (await client.get("/api/v1/alarms/statistics", params=wrong)).status_code == 422  # type: ignore[arg-type]


async def test_without_a_history_every_figure_is_nothing() -> None:
    async with a_console(kept=False) as (_, client):
        found = await ask(client)
    assert found["counted"]["announced"] == 0
    assert figure(found, "high")["value"] is None
    assert {one["verdict"] for one in found["figures"]} <= {"acceptable", "manageable", "not judged"}


async def test_each_table_is_a_csv_file() -> None:
    async with a_console() as (_, client):

        async def table(name: str) -> list[list[str]]:
            asked = {"from": "-25h", "format": "csv", "table": name}
            answer = await client.get("/api/v1/alarms/statistics", params=asked)
            assert answer.headers["content-type"].startswith("text/csv")
            assert f'filename="alarm-{name}.csv"' in answer.headers["content-disposition"]
            return list(csv.reader(io.StringIO(answer.text)))

        figures = await table("figures")
        assert figures[0] == ["figure", "value", "unit", "target", "verdict"]
        assert figures[1][0] == "Alarms per operator hour"
        assert (await table("actors"))[1][:5] == [BATH, "Julabo chiller / Bath", "cooling/chiller", "2", "12"]
        assert sum(int(one) for row in (await table("rates"))[1:] for one in row[1:]) == 56
        assert (await table("floods"))[1][2:] == ["40", "40"]
        assert (await table("chattering"))[1][4] == "2"
        assert (await table("fleeting"))[1][4] == "4"
        assert (await table("stale"))[1][0] == "custom.history_disk"
        assert ["60", "12"] in await table("acknowledged")

"""How the further stores stand is shown by the API, the page of trends, the metrics, readiness and the command."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from pydantic import ValidationError

from countingroom.console.present.readiness import readiness
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.history_stores import HistoryStoreState, StoreHealth
from countingroom.core.messages import Presence, encode
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService
from countingroom.history.stores.registry import OPENERS
from countingroom.history.stores.section import StoreSection
from tests.console.stage import served, stage
from tests.figures import console_figures_with
from tests.patience import PATIENCE_S

S = 1_000_000_000


def refused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_store_that_cannot_be_reached_is_told_everywhere_and_the_history_goes_on(tmp_path: Path) -> None:
    clock = SystemClock()
    address = f"postgresql://127.0.0.1:{refused_port()}/lab"
    section = HistorySection.model_validate({"stores": {"site": {"postgresql": {"address": address, "user": "cr"}}}})
    async with stage(clock) as here:
        former = HistoryStoreState(store="former", kind="postgresql")
        await here.bus.put(subjects.STATE_BUCKET, subjects.history_store_key("former"), encode(former))
        store = tmp_path / "history.duckdb"
        service = asyncio.create_task(HistoryService(here.bus.client(), clock, section, lambda: DuckStore(store)).run())
        try:
            async with served(here) as (_, client), asyncio.timeout(PATIENCE_S):
                while True:
                    found: dict[str, Any] = (await client.get("/api/v1/history/stores")).json()
                    if found["running"] and [one["health"] for one in found["stores"]] == ["failing"]:
                        break
                    await asyncio.sleep(0.02)
                (site,) = found["stores"]
                page = (await client.get("/trends")).text
                await console_figures_with(
                    client,
                    'countingroom_history_store_failing{store="site"} 1.0',
                    "countingroom_history_points_total",
                )
        finally:
            service.cancel()
            with suppress(asyncio.CancelledError):
                await service
    assert (site["store"], site["kind"], site["late"]) == ("site", "postgresql", False)
    assert address.removeprefix("postgresql://") in site["problem"]
    assert "Further stores" in page


def test_one_that_is_late_is_a_warning_and_no_trouble() -> None:
    state = HistoryStoreState(store="site", kind="postgresql", health=StoreHealth.FAILING, since_ns=S)
    assert not state.is_late(30 * S)
    assert state.is_late(100 * S)
    behind = structs.replace(state, health=StoreHealth.CATCHING_UP, behind_since_ns=2 * S)
    assert (behind.lag_s(102 * S), behind.is_late(102 * S), behind.is_late(30 * S)) == (100.0, True, False)
    present = Presence(
        role="history", instance="main", boot="b", host="h", pid=1, interval_s=1.0, sent_ns=1, warnings=("late",)
    )
    (role,) = readiness(["history"], [present])
    assert (role.ready, role.warnings) == (True, ("late",))


def test_every_kind_has_its_module() -> None:
    assert set(StoreSection.kinds()) == set(OPENERS)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "a store has one of influxdb, postgresql"),
        ({"postgresql": {"address": "postgresql://cr:secret@db/lab", "user": "cr"}}, "without a user or a password"),
        ({"postgresql": {"address": "postgresql://db:99999/lab", "user": "cr"}}, "postgresql://host:5432/database"),
        ({"postgresql": {"address": "postgresql://db/lab", "user": "cr", "schema": 'x"; DROP'}}, "schema"),
        ({"postgresql": {"address": "postgresql://db/lab", "user": "cr", "password": "secret"}}, "password"),
        (
            {
                "postgresql": {
                    "address": "postgresql://db/lab",
                    "user": "cr",
                    "password": {"env": "X"},
                    "encryption": "none",
                }
            },
            "without encryption",
        ),
    ],
)
def test_a_mistake_in_the_description_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        StoreSection.model_validate(settings)


def test_only_a_server_of_this_computer_is_used_without_encryption() -> None:
    used = [
        StoreSection.model_validate({"postgresql": {"address": f"postgresql://{host}/lab", "user": "cr"}}).postgresql
        for host in ("[::1]:5433", "db.example.org")
    ]
    assert [(one.host, one.port, one.database, one.used_encryption) for one in used if one] == [
        ("::1", 5433, "lab", "none"),
        ("db.example.org", 5432, "lab", "verified"),
    ]

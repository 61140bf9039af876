"""Uptime of the mirror: what the store keeps of it, and what the page says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.mirror.store.freshness import DAY_US, FRESH_US
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import FreshDay, PublicRetention, SourceState
from countingroom.site.drawing import DrawnBox
from countingroom.site.now_view import STALE_S
from countingroom.site.uptime import DAYS, strip, uptimes
from countingroom.testing.clock import FakeClock
from tests.unit.test_public_site import stand

_WORD = Redactor(Pseudonyms(b"k" * 32), LastCheck([]), {}, ()).word
NOON = 20_000 * 86_400 + 43_200
"""Of some day, in s since 1970."""


class Kept(NamedTuple):
    store: PublicStore
    reader: PublicReader
    clock: FakeClock

    async def heard(self, at_s: float, name: str = "a") -> None:
        state = SourceState(source=_WORD(name), kind="host", is_connected=True, contact_at=round(at_s * 1e6))
        await self.store.take(states=[state])

    async def days(self) -> list[tuple[int, float]]:
        return [(row.day, row.fresh / 1e6) for row in await self.reader.fresh_days(0)]


@pytest_asyncio.fixture
async def kept(tmp_path: Path) -> AsyncGenerator[Kept]:
    clock = FakeClock(NOON * 10**9)
    url = f"sqlite:///{tmp_path / 'public.sqlite'}"
    store, reader = PublicStore(url, clock), PublicReader(url)
    await store.open()
    await reader.open()
    yield Kept(store, reader, clock)
    await reader.close()
    await store.close()


async def test_an_answer_counts_for_two_minutes_and_each_moment_once(kept: Kept) -> None:
    assert FRESH_US == STALE_S * 1e6, "the page calls a source stale after the same time"
    await kept.heard(NOON - 1000)
    await kept.heard(NOON - 1000, "b")
    assert await kept.days() == [(20_000, 120.0)]
    await kept.heard(NOON - 970)
    await kept.heard(NOON - 990)
    assert await kept.days() == [(20_000, 150.0)], "the part that is new; a late answer adds nothing"
    await kept.heard(NOON - 500)
    assert await kept.days() == [(20_000, 270.0)]
    await kept.heard(NOON + 90_000)
    assert await kept.days() == [(20_000, 390.0)], "a clock of the future counts as now"


async def test_a_time_over_midnight_belongs_to_both_days_and_old_days_go(kept: Kept) -> None:
    midnight = 19_990 * 86_400
    await kept.heard(midnight - 30)
    assert await kept.days() == [(19_989, 30.0), (19_990, 90.0)]
    assert await kept.store.prune(PublicRetention(age_us=DAY_US)) == 0
    await kept.clock.advance(395 * 86_400)
    assert await kept.store.prune(PublicRetention(age_us=DAY_US)) == 2 + 1, "and the state of the source"
    assert await kept.days() == []


def test_days_without_an_answer_count_and_days_before_the_first_do_not() -> None:
    today = NOON // 86_400
    begun = (today - 3) * DAY_US + DAY_US // 2
    rows = [
        FreshDay(kind="host", day=today - 3, begun=begun, until=begun + DAY_US // 2, fresh=DAY_US // 2),
        FreshDay(kind="host", day=today - 1, begun=0, until=today * DAY_US, fresh=DAY_US // 4),
        FreshDay(kind="host", day=today, begun=today * DAY_US, until=NOON * 10**6 + 60_000_000, fresh=DAY_US // 2),
    ]
    rows[1] = FreshDay(kind="host", day=today - 1, begun=(today - 1) * DAY_US, until=today * DAY_US, fresh=DAY_US // 4)
    (found,) = uptimes(rows, NOON)
    assert len(found.days) == DAYS
    assert [one.share for one in found.days[-5:]] == [None, 1.0, 0.0, 0.25, pytest.approx(1 - 60 / 43_200)]
    assert found.share == pytest.approx((0.5 + 0.25 + 0.5 - 60 / 86_400) / 3)
    assert found.away_s == pytest.approx(86_400 * 1.75 + 60)
    drawn = [one.look for one in strip(found).parts if isinstance(one, DrawnBox)]
    assert drawn[-5:] == ["f-none", "f-good", "f-crashed", "f-crashed", "f-late"]
    assert uptimes([], NOON) == ()


async def test_the_page_and_the_api_tell_it(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        page, data = await one.get("/uptime"), (await one.get("/api/v1/uptime")).json
        assert [kind["name"] for kind in data["kinds"]] == ["runs", "computers", "experiment"]
        assert page.text.count("<svg") == 3
        await one.clock.advance(1200)
        data = (await one.get("/api/v1/uptime")).json
        assert data["kinds"][0]["share"] == pytest.approx(0.1)
        assert "10.00 % of the time, 18 min not fresh" in (await one.get("/uptime")).text

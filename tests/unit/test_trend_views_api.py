"""Saved views of trends: every user opens them, owner and administrators change them, and the audit has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import quote

import pytest

from countingroom.core.clock import SystemClock
from tests.console.people import House, house
from tests.console.stage import served, stage

VIEW = "/api/v1/views/Cooling, last night"
QUERY = "point=chiller.internal_temp&span=600"


@pytest.fixture
async def home() -> AsyncGenerator[House]:
    async with stage(SystemClock()) as here, house(here) as found:
        yield found


async def test_a_view_is_saved_by_an_operator_and_opened_by_a_viewer(home: House) -> None:
    sam, vera = await home.program("sam"), await home.program("vera")
    saved = await sam.post(f"{VIEW}/save_view", json={"query": QUERY})
    assert (saved.status_code, saved.json()["owner"], saved.json()["revision"]) == (200, "sam", 1)
    assert (await vera.get("/api/v1/views")).json()["views"] == [saved.json()]
    page = await (await home.browser("vera")).get(f"/trends?view={quote('Cooling, last night')}")
    assert page.status_code == 200
    assert QUERY.partition("&")[0] in page.text
    assert (await vera.post(f"{VIEW}/save_view", json={"query": QUERY, "expected": 1})).status_code == 403
    missing = await (await home.browser("vera")).get("/trends?view=none", headers={"accept": "text/html"})
    assert missing.status_code == 404
    assert "there is no view none" in missing.text


async def test_only_its_owner_and_an_administrator_change_it(home: House) -> None:
    sam, eve, adam = [await home.program(name) for name in ("sam", "eve", "adam")]
    await sam.post(f"{VIEW}/save_view", json={"query": QUERY})
    for command, body in (("save_view", {"query": QUERY, "expected": 1}), ("delete_view", {})):
        refused = await eve.post(f"{VIEW}/{command}", json=body)
        assert (refused.status_code, refused.json()["cause"]["code"]) == (403, "denied")
        assert "sam" in refused.json()["cause"]["suggestion"]
    taken = await sam.post(f"{VIEW}/save_view", json={"query": QUERY})
    assert taken.status_code == 409
    changed = await adam.post(f"{VIEW}/save_view", json={"query": "point=a.b&span=60", "expected": 1})
    assert (changed.json()["owner"], changed.json()["changed_by"]) == ("sam", "adam")
    assert (await sam.post(f"{VIEW}/delete_view")).status_code == 200
    assert (await adam.get(VIEW)).status_code == 404
    told = [(one.who, one.what, one.target, one.outcome) for one in await home.record() if "view" in one.what]
    assert ("adam", "save_view", "view.Cooling, last night", "accepted") in told
    assert ("eve", "delete_view", "view.Cooling, last night", "refused") in told


@pytest.mark.parametrize("query", ["", "javascript:alert(1)", "point=a.b&next=//other", "?"])
async def test_what_is_no_query_of_trends_is_refused(home: House, query: str) -> None:
    sam = await home.program("sam")
    assert (await sam.post(f"{VIEW}/save_view", json={"query": query})).status_code == 422


async def test_without_a_database_the_page_of_trends_is_there_and_says_that_it_keeps_none() -> None:
    async with stage(SystemClock()) as here, served(here) as (_, client):
        page = await client.get("/trends", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert '"views":null' in page.text
        assert (await client.get("/api/v1/views")).status_code == 409

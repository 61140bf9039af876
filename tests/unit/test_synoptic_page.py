"""The page of a synoptic: the drawing without a value, its bindings as data, and what is wrong in words."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from countingroom.console import synoptic_files
from countingroom.console.app import create
from countingroom.console.context import ConsoleContext
from countingroom.console.pages import synoptic_pages
from countingroom.console.synoptic_files import SynopticFile
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.messages import encode
from countingroom.core.subjects import STATE_BUCKET
from countingroom.core.synoptics.bindings import Binding, Fill, Target, TargetKind
from countingroom.core.synoptics.drawing import read_drawing
from countingroom.core.synoptics.elements import Drawing
from countingroom.core.synoptics.writing import write
from tests.console.stage import Stage, stage
from tests.patience import PATIENCE_S

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50"><script>alert(1)</script>
<rect id="bath" width="10" height="10"/><text id="chiller.internal_temp">99.9</text><g id="device:caen"><rect/></g>
<rect id="chiller.nothing"/><text id="attic.temp">88.8</text><text id="synoptic:other">more</text></svg>"""


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


@pytest.fixture
async def room(here: Stage, tmp_path: Path) -> AsyncGenerator[tuple[ConsoleContext, httpx.AsyncClient]]:
    (tmp_path / "hall.svg").write_text(DRAWING)
    bath = Binding(element="bath", target=Target(TargetKind.POINT, "chiller.internal_temp"), level=Fill(low=0, high=9))
    files = [
        SynopticFile(
            name="hall",
            title="Hall <1>",
            path=tmp_path / "hall.svg",
            bindings={"bath": bath},
            devices=frozenset({"chiller", "attic"}),
            overview=True,
        ),
        SynopticFile(name="other", title="", path=tmp_path / "other.svg"),
    ]
    app = create(here.bus.client(), here.clock, title="Test", version="0", synoptics=files)
    async with app.router.lifespan_context(app):
        await app.state.context.latest.ready()
        await here.beat("caen", "chiller")
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield app.state.context, client


@pytest.fixture
def web(room: tuple[ConsoleContext, httpx.AsyncClient]) -> httpx.AsyncClient:
    return room[1]


async def page(web: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await web.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status, answer.text[:500]
    return answer.text


def bindings(text: str) -> list[dict[str, Any]]:
    found = re.search(r'class="sy-data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


async def test_the_page_has_the_drawing_without_values_and_says_what_its_elements_show(web: httpx.AsyncClient) -> None:
    text = await page(web, "/synoptics/hall")
    assert "alert(1)" not in text
    assert "99.9" not in text  # what is drawn there must not look like a value
    assert "88.8" not in text  # nor while its device has said nothing yet
    assert "Hall &lt;1&gt;" in text
    assert '<a href="/synoptics/other" ' in text  # the navigation
    shown = {one["target"]: one for one in bindings(text)}
    assert shown["chiller.internal_temp"]["point"] == {"type": "float", "unit": "degC", "precision": 2, "codes": {}}
    assert [one["level"] for one in bindings(text) if "level" in one] == [{"low": 0.0, "high": 9.0, "towards": "up"}]
    assert shown["caen"]["name"] == "CAEN crate"
    assert shown["chiller.nothing"]["wrong"].startswith("chiller has no point nothing")
    assert "2 mistakes in this drawing" in text


async def test_the_chosen_drawing_stands_on_the_overview(web: httpx.AsyncClient) -> None:
    text = await page(web, "/")
    assert 'data-synoptic="hall"' in text
    assert len(bindings(text)) == 6


async def test_a_changed_file_is_read_again_and_a_broken_one_is_told(web: httpx.AsyncClient, tmp_path: Path) -> None:
    await page(web, "/synoptics/hall")
    (tmp_path / "hall.svg").write_text("<svg>")
    text = await page(web, "/synoptics/hall")
    assert "hall.svg:1: the file begins with" in text
    assert "other.svg cannot be read: No such file" in await page(web, "/synoptics/other")
    assert "there is no synoptic" in await page(web, "/synoptics/attic", status=404)


async def test_the_feed_says_the_worst_alarm_of_each_area_channel_and_system(
    here: Stage, room: tuple[ConsoleContext, httpx.AsyncClient]
) -> None:
    for number, (priority, area, more) in enumerate(
        ((2, "cooling/chiller", {"device": "caen", "channel": "0"}), (1, "cooling", {}), (3, "daq", {"system": "STS"}))
    ):
        state = AlarmState(
            id=f"a{number}",
            area=area,
            title="t",
            base=BaseState.UNACKNOWLEDGED,
            priority=priority,
            text="x",
            occurrence=1,
            since_ns=1,
            changed_ns=1,
            **more,  # type: ignore[arg-type]
        )
        await here.bus.put(STATE_BUCKET, f"alarm.a{number}", encode(state))
    context, _ = room
    await context.latest.ready()
    async with asyncio.timeout(PATIENCE_S):
        while len(context.alarms_now().places) != 5:
            await here.clock.sleep(0.01)
    assert context.alarms_now().places == {
        "area:cooling": 1,
        "area:cooling/chiller": 2,
        "channel:caen.0": 2,
        "area:daq": 3,
        "system:STS": 3,
    }


async def test_many_pages_at_once_make_a_drawing_once(web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(drawing: Drawing, bindings: list[Binding], **how: Any) -> str:
        made.append(how["label"])
        return write(drawing, bindings, **how)

    monkeypatch.setattr(synoptic_pages, "write", noted)
    pages = await asyncio.gather(*(web.get("/synoptics/hall") for _ in range(5)))
    assert {page.status_code for page in pages} == {200}
    assert made == ["Hall <1>"]


async def test_a_mistaken_drawing_is_read_once_for_each_of_its_versions(
    web: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def noted(data: bytes, name: str) -> Drawing:
        read.append(len(data))
        return read_drawing(data, name)

    monkeypatch.setattr(synoptic_files, "read_drawing", noted)
    for text in ("<svg", "<svgs"):
        (tmp_path / "other.svg").write_text(text)
        for _ in range(2):
            assert "not an SVG" in (await web.get("/synoptics/other")).text
    assert read == [4, 5]

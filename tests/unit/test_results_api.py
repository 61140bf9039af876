"""Results over the API and the command line: added, listed, exported, compared."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countingroom.app.reload.described import content_of
from countingroom.bus.port import Message
from countingroom.cli.main import run
from countingroom.core.clock import SystemClock
from countingroom.core.history_conditions import ConditionsQuery, IntervalsAnswer
from countingroom.core.messages import decode, encode
from countingroom.core.series import PointsAnswer
from countingroom.experiment import load
from tests.console.people import house
from tests.console.results_stage import result_console, result_stage
from tests.console.stage import stage

CSV = b"x,hits\n1,5\n2,7\n"


def added(**more: Any) -> dict[str, Any]:
    """The body of a result from elsewhere."""
    return {
        "program": "ph2_acf",
        "started": "2026-11-22T06:00:00Z",
        "ended": "2026-11-22T06:01:00Z",
        "documents": [{"name": "summary", "content": {"noise": 4.1, "list": [1, 2]}}],
        "arrays": [{"name": "curve", "format": "csv", "data": base64.b64encode(CSV).decode()}],
        "log": "said\n",
        **more,
    }


async def test_a_result_from_elsewhere_is_kept_and_compared(tmp_path: Path) -> None:
    async with result_stage(tmp_path) as here, here.served() as (_, client):
        first = await client.post("/api/v1/results", json=added(versions={"ph2_acf": "4.2"}))
        assert (first.status_code, first.json()["number"], first.json()["is_added"]) == (201, 1, True)
        assert first.json()["ended_ns"] - first.json()["started_ns"] == 60_000_000_000
        document = [{"name": "summary", "content": {"noise": 4.3, "list": [1]}}, {"name": "more", "content": None}]
        await client.post("/api/v1/results", json=added(documents=document, state="failed", reason="no beam"))
        found = (await client.get("/api/v1/results/compare?a=1&b=2")).json()
        summary = next(one for one in found["documents"] if one["name"] == "summary")
        assert [(one["path"], one["before"], one["after"], one["only"]) for one in summary["differences"]] == [
            ("noise", 4.1, 4.3, ""),
            ("list[1]", 2, None, "a"),
        ]
        assert [one["only"] for one in found["documents"] if one["name"] == "more"] == ["b"]
        long = await client.post("/api/v1/results", json=added(configuration={"mask": "0" * 300_000}))
        assert (long.status_code, long.json()["cause"]["suggestion"]) == (422, "give what is longer as a document")
        both = (await client.get("/api/v1/results/1/arrays/curve/compare/2")).json()
        assert (both["kind"], both["column"], both["y_b"]) == ("values", "hits", [5.0, 7.0])
        assert (await client.get("/api/v1/results/1/log?start=1&most=2")).content == b"ai"
        assert (await client.get("/api/v1/results?state=failed")).json()["results"][0]["cause"]["message"] == "no beam"
        for path in ("/results", "/results/1", "/results/compare?result=1&result=2"):
            page = await client.get(path, headers={"accept": "text/html"})
            assert page.status_code == 200, path
        assert (await client.get("/results/9", headers={"accept": "text/html"})).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": "a b"},
        {"ended": "2026-11-22T05:00:00Z"},
        {"documents": [{"name": "a/b", "content": 1}]},
        {"documents": [{"name": "a", "content": 1}, {"name": "a", "content": 2}]},
        {"arrays": [{"name": "a", "data": "??"}]},
        {"arrays": [{"name": "a", "data": "bm9uZQ=="}]},
        {"arrays": [{"name": "a", "format": "exe", "data": ""}]},
        {"started": "soon"},
    ],
)
async def test_a_result_that_cannot_be_kept_is_refused_whole(tmp_path: Path, wrong: dict[str, Any]) -> None:
    async with result_stage(tmp_path) as here, here.served() as (_, client):
        assert (await client.post("/api/v1/results", json=added(**wrong))).status_code == 422
        assert (await client.get("/api/v1/results")).json() == {"results": []}


async def test_a_viewer_adds_nothing_and_without_results_there_is_a_cause() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        vera, sam = await home.program("vera"), await home.program("sam")
        assert (await vera.post("/api/v1/results", json=added())).status_code == 403
        assert (await sam.post("/api/v1/results", json=added())).json()["cause"]["code"] == "no_database"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with result_console(tmp_path_factory.mktemp("console")) as url:
        yield url


@pytest.mark.server
def test_the_command_line_starts_shows_exports_compares_and_adds(
    console: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTINGROOM_URL", console)

    def say(*words: object, status: int = 0) -> str:
        assert run(["results", *map(str, words)]) == status
        told = capsys.readouterr()
        return told.out + told.err

    assert "scan runs: result 1." in say("start", "scan", "-m", "first", "--set", "steps=4", "--set", "module=low")
    while json.loads(say("show", 1, "--json"))["state"] == "running":
        pass
    shown = say("show", 1)
    for text in ("completed", "comment: first", "steps 4, module low", "array curve: 3 rows", "scan 2"):
        assert text in shown
    assert '"steps": 4' in say("show", 1, "-d", "summary")
    assert "all done" in say("show", 1, "--log")
    assert "Quick scan" in say("programs")
    assert "does not run" in say("stop", "scan", status=1)
    assert "has 2 arrays: curve, noise" in say("export", 1, "-o", tmp_path / "x.csv", status=1)
    say("export", 1, "-a", "curve", "-o", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == '"threshold","hits"\n1,0\n2,5\n3,10\n'
    for name in ("x.parquet", "x.arrow"):
        say("export", 1, "-a", "curve", "-o", tmp_path / name)
    say("export", 1, "-o", tmp_path / "whole.json")
    assert json.loads((tmp_path / "whole.json").read_text())["documents"]["summary"]["steps"] == 4
    (tmp_path / "summary.json").write_text('{"steps": 9}')
    (tmp_path / "curve.csv").write_text("threshold,hits\n1,1\n2,6\n3,11\n")
    files = (tmp_path / "summary.json", tmp_path / "curve.csv", tmp_path / "x.parquet", tmp_path / "x.arrow")
    assert "two parts with the name x" in say("add", *files, "-p", "other", status=1)
    assert "result 2: 1 documents, 2 arrays" in say("add", *files[:3], "-p", "other", "--version-of", "ph2=4.2")
    compared = say("compare", 1, 2)
    assert "steps" in compared
    assert "+1" in compared
    assert "first" in say("list", "-p", "scan")
    assert "no document, array or log" in say("add", console_file(tmp_path), "-p", "other", status=1)


def console_file(folder: Path) -> Path:
    (folder / "a.root").write_bytes(b"root")
    return folder / "a.root"


async def test_conditions_are_asked_of_the_time_of_a_result(tmp_path: Path) -> None:
    asked: list[ConditionsQuery] = []

    async def points(_: object) -> bytes:
        return encode(PointsAnswer(points=["chiller.v"]))

    async def answer(message: Message) -> bytes:
        asked.append(decode(message.data, ConditionsQuery))
        return encode(IntervalsAnswer(points=[]))

    async with result_stage(tmp_path) as here, here.served() as (_, client):
        made = (await client.post("/api/v1/results", json=added())).json()
        bus, path = here.bus.client(), "/api/v1/history/conditions?point=chiller.v"
        async with bus.respond("query.history.points", points), bus.respond("query.history.conditions", answer):
            told = await client.get(f"{path}&result=1")
            assert told.json()["begin_ns"] == [made["started_ns"]]
            assert (await client.get(f"{path}&result=2")).status_code == 404
            assert (await client.get(f"{path}&result=1&run=1")).status_code == 422
    assert [list(one.end_ns) for one in asked] == [[made["ended_ns"]]]


def test_a_reload_gives_a_changed_section_to_a_new_console() -> None:
    demo = load(Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml")
    assert content_of(demo, simulate=True).readers["results"] == ("console",)

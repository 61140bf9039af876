"""The report over a range of runs: what is counted, its charts, its page, its PDF, the command."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from countingroom.cli.main import app
from countingroom.cli.mirror_report import span
from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.site import report_page, report_reading
from countingroom.site.clients import ClientState, RunRecord
from countingroom.site.drawing import DrawnDots, svg
from countingroom.site.letter_order import in_order
from countingroom.site.report import ReportCount, RunsReport
from countingroom.site.report_parts import report_parts
from countingroom.site.report_pdf import report_pdf
from countingroom.site.report_reading import read_report
from tests.pdf_text import pdf_text
from tests.unit.test_public_site import RUN, Stand, stand

NOW_S = 1_800_000_000.0
RIGHT_TO_LEFT = "\u05e9\u05dc\u05d5\u05dd <b>(1)"


def client(name: str, run: int = 7, **more: object) -> ClientState:
    facts: dict[str, object] = {"exit_code": 0, "is_ended": True, "rate": 12.5, "section": 40, "key": "pp_run"}
    facts |= {"release": "14.0.9", "at_s": NOW_S - 60 + run, "host": "fu..1", "id": f"{name}-{run}"}
    return ClientState(**{"name": name, "run": run, **facts, **more})  # type: ignore[arg-type]


def report_of(*runs: tuple[ClientState, ...], more_runs: int = 0) -> RunsReport:
    count = ReportCount("production", 1, len(runs), NOW_S)
    for place, clients in enumerate(runs):
        count.add(RunRecord(number=place + 1, set="production", clients=clients))
    return count.report(len(runs) + more_runs, (100, 7, 3))


def texts(pdf: bytes) -> int:
    """Texts that are set with a font."""
    found = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            found += len(re.findall(rb"T[jJ]\b", zlib.decompress(stream)))
        except zlib.error:
            continue
    return found


def test_each_run_and_client_counts_once_by_the_worst() -> None:
    crashed = client("ecal", exit_code=139)
    stuck = client("dt", exit_code=None, is_ended=False, at_s=NOW_S - 901)
    on = client("dt", exit_code=None, is_ended=False)
    found = report_of(
        (crashed, client("ecal"), client("dt")),
        (client("ecal"), stuck),
        (client("ecal", release="14.0.10"), on),
        (client("ecal", section=0, release="14.0.10", key="cosmic_run"),),
        more_runs=2,
    )
    runs = found.runs
    assert (runs.good, runs.bad, runs.no_section, runs.no_client, runs.total) == (1, 2, 1, 2, 6)
    rows = [(one.name, one.crashed, one.stuck, one.good, one.running) for one in found.clients]
    assert rows == [("ecal", 1, 0, 3, 0), ("dt", 0, 1, 1, 1)]
    assert [(one.key, one.runs) for one in found.keys] == [("pp_run", 3), ("cosmic_run", 1)]
    assert [one.release for one in found.releases] == ["14.0.9", "14.0.10"], "numbers count as numbers"
    assert [(one.code, one.clients, one.runs) for one in found.exits] == [(0, 5, 4), (139, 1, 1)]
    assert {one.client: one.runs for one in found.rates} == {"ecal": 3, "dt": 1}
    assert (found.lines, found.lines_withheld, found.records_withheld) == (100, 7, 3)


def test_rates_have_a_mean_and_a_deviation() -> None:
    found = report_of((client("dt", rate=1.0),), (client("dt", rate=3.0),), (client("dt", rate=None),))
    assert [(one.mean, one.deviation, one.points) for one in found.rates] == [(2.0, 1.0, ((1, 1.0), (2, 3.0)))]


def test_names_are_escaped_and_shown_in_their_direction() -> None:
    found = report_of((client(RIGHT_TO_LEFT, exit_code=1), client("日本 & co"), client("x" * 200)))
    drawn = "".join(svg(one) for part in report_parts(found) for one in part.drawings)
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert drawn.count('role="img" aria-label="') == drawn.count("<svg")
    pdf = report_pdf(found, "<i>Δ</i>")
    assert pdf.startswith(b"%PDF-") and "<i>Δ</i>" in pdf_text(pdf)


@pytest.mark.parametrize(
    ("text", "on_paper"),
    [
        ("ecal", "ecal"),
        ("é x", "é x"),
        ("אבג", "גבא"),
        ("אב 12.5 ג", "ג 12.5 בא"),
        ("אב (1): x", "(1) בא: x"),
        ("a אב-ג b", "a ג-בא b"),
        ("אב <b>", "בא <b>"),
    ],
)
def test_letters_stand_in_the_order_of_their_script(text: str, on_paper: str) -> None:
    assert in_order(text) == on_paper


def test_a_report_of_nothing_and_of_one_run() -> None:
    nothing, one, without = report_of(), report_of((client("dt"),)), report_of((), more_runs=1)
    assert report_parts(nothing) == ()
    assert [part.title for part in report_parts(one)][:2] == ["Runs", "Clients"]
    assert [part.title for part in report_parts(without)] == ["Runs", "Run keys", "Releases"]
    for found in (nothing, one, without):
        assert texts(report_pdf(found, "Bench")) >= 3


def test_the_same_report_is_the_same_file_with_real_text_and_numbers_of_pages() -> None:
    found = report_of(*[tuple(client(f"client{i}", run, exit_code=i % 3) for i in range(60)) for run in range(3)])
    pdf = report_pdf(found, "Bench")
    assert pdf == report_pdf(found, "Bench")
    pages = re.findall(rb"/Type /Page\b(?!s)", pdf)
    assert len(pages) >= 4
    assert texts(pdf) > 400
    told = pdf_text(pdf)
    assert "client59" in told and "Page 1" in told and f"of {len(pages)}" in told
    assert b"/ToUnicode" in pdf
    assert b"/Lang (en)" in pdf


def test_what_is_drawn_does_not_grow_with_the_runs() -> None:
    runs = [(client("dt", run, key=f"key{run % 9}"), client("ecal", run, exit_code=run % 50)) for run in range(5000)]
    found = report_of(*runs)
    assert (found.runs.total, found.runs.bad) == (5000, 4900)
    parts = report_parts(found)
    dots = sum(len(p.points) for part in parts for d in part.drawings for p in d.parts if isinstance(p, DrawnDots))
    assert 100 < dots < 9 * 120 * 3
    assert max(len(part.rows) for part in parts) <= 50
    assert len(report_pdf(found, "Bench")) < 300_000


@pytest.mark.parametrize(
    ("text", "found"), [("", (None, None)), ("5-9", (5, 9)), (" 5 - 9 ", (5, 9)), ("5-", (5, None)), ("5", (5, 5))]
)
def test_a_range_is_read(text: str, found: tuple[int | None, int | None]) -> None:
    assert span(text) == found


@pytest.mark.parametrize("text", ["x", "-5", "5--9", "5-9-11", "٣-٥", "12345678901"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="no range of runs"):
        span(text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stand]:
    async with stand(tmp_path_factory.mktemp("report")) as one:
        yield one


@pytest.mark.asyncio(loop_scope="module")
class TestServed:
    """The site."""

    async def test_page_file_and_data_agree(self, told: Stand) -> None:
        page, data = await told.get("/report"), (await told.get("/api/v1/report")).json
        assert (data["first"], data["last"], data["runs"]["bad"]) == (RUN - 3, RUN, 2)
        assert f"Report of runs {RUN - 3} to {RUN}" in page.text
        assert page.text.count("<svg") == page.text.count('<svg class="plot chart') > 5
        assert page.text.count("<table") == 7
        pdf = await told.get("/report.pdf")
        assert (pdf.status, pdf.headers["content-type"]) == (200, "application/pdf")
        assert f'filename="report-production-{RUN - 3}-{RUN}.pdf"' in pdf.headers["content-disposition"]
        assert (await told.get("/report.pdf", if_none_match=pdf.headers["etag"])).status == 304
        some = (await told.get(f"/api/v1/report?from={RUN}&to={RUN}")).json
        assert (some["runs"]["bad"], some["clients"][0]["crashed"]) == (1, 1)

    async def test_wrong_and_empty_ranges(self, told: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        wrong = await told.get("/report?from=9&to=3")
        assert (wrong.status, "the first is after the last" in wrong.text) == (400, True)
        empty = await told.get("/report?from=1&to=2")
        assert "There is no run from 1 to 2 in the set production. There are runs" in empty.text
        assert (await told.get("/report.pdf?from=1&to=2")).body.startswith(b"%PDF")
        assert (await told.get("/report?db=playback")).status == 200
        monkeypatch.setattr(report_page, "MOST_RUNS", 2)
        many = await told.get(f"/api/v1/report?from={RUN - 2}&to={RUN}")
        assert (many.status, many.json["error"]["code"]) == (400, "too_many_runs")

    async def test_runs_that_are_read_in_parts_count_once(self, told: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = await read_report(told.reader, "production", 0, RUN, told.clock.now_ns() / 1e9)
        for batch in (10, 11, 25, 40):
            monkeypatch.setattr(report_reading, "BATCH", batch)
            assert await read_report(told.reader, "production", 0, RUN, told.clock.now_ns() / 1e9) == whole


def test_the_command_writes_files(told: Stand, tmp_path: Path) -> None:
    store = ["--store", str(told.reader._store.url.database)]  # pyright: ignore[reportPrivateUsage]
    where = ["--out", str(tmp_path), "--html", str(tmp_path / "r.html")]
    run = CliRunner().invoke(
        app, ["mirror", "report", *store, "--runs", f"{RUN - 1}-{RUN}", *where, "--title", "A <b>"]
    )
    assert run.exit_code == 0, run.output
    assert f"report-production-{RUN - 1}-{RUN}.pdf: 2 runs" in run.output.replace("\n", "")
    page = (tmp_path / "r.html").read_text()
    assert "<b>" not in page.replace("</b>", "")
    assert "A &lt;b&gt;: runs" in page
    assert not re.findall(r"<script|<link|(?:src|href)=", page), "it needs no other file"
    shown = CliRunner().invoke(app, ["mirror", "report", *store, "--last", "1", "--json"])
    assert json.loads(shown.output)["first"] == RUN
    for arguments, error in (
        (["--runs", "9-3", "--json"], RequestError),
        ([], RequestError),
        (["--set", "x", "--json"], RequestError),
        (["--out", str(tmp_path / "none" / "r.pdf")], ConfigurationError),
    ):
        assert isinstance(CliRunner().invoke(app, ["mirror", "report", *store, *arguments]).exception, error)

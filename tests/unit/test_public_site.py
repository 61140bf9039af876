"""The public site, asked in process: pages, the API, the answers of the original, caching, escaping, refusals."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from countingroom.core.errors import LinkError
from countingroom.core.mirror.redactor import received
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicDocument
from countingroom.simulators.dqm_farm import Farm
from countingroom.site.making import Site
from countingroom.site.rendering import SiteSettings
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S
from tests.public_records_of_a_farm import documents, farm_of, filled_store, redactor

pytestmark = pytest.mark.asyncio(loop_scope="module")
RUN = 390_004
SECTIONS = 6


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Stand(NamedTuple):
    """A site and the store behind it."""

    site: Site
    store: PublicStore
    reader: PublicReader
    farm: Farm
    clock: FakeClock

    async def get(self, address: str, method: str = "GET", **headers: str) -> Told:
        return await get(self.site, address, method, **headers)


async def get(site: Site, address: str, method: str = "GET", **headers: str) -> Told:
    path, _, query = address.partition("?")
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode()}
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    await site.application({**scope, "headers": given}, receive, send)
    shown = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(one.get("body", b"") for one in sent[1:])
    return Told(sent[0]["status"], shown, body)


@asynccontextmanager
async def stand(folder: Path) -> AsyncGenerator[Stand]:
    clock = FakeClock()
    farm = farm_of(4, SECTIONS, clock.now_ns() / 1e9)
    store = await filled_store(folder / "public.sqlite", clock, farm)
    reader = PublicReader(f"sqlite:///{folder / 'public.sqlite'}")
    await reader.open()
    site = Site(reader, clock, SiteSettings(title="Bench <1>", url="https://x.org/dqm", prefix="/dqm"), version="1")
    await site.look()
    try:
        yield Stand(site, store, reader, farm, clock)
    finally:
        await reader.close()
        await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stand]:
    """For tests that change nothing."""
    async with stand(tmp_path_factory.mktemp("site")) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def own(tmp_path: Path) -> AsyncGenerator[Stand]:
    """For one test."""
    async with stand(tmp_path) as one:
        yield one


PAGES = [
    *(
        "/",
        "/wall",
        "/runs",
        f"/run/{RUN}",
        f"/run/{RUN}?bad=1&client=dt&part=start",
        "/timeline",
        "/timeline?bad=1&ls=1",
    ),
    *(
        "/report",
        "/report?from=1&to=2",
        "/uptime",
        "/crashes",
        "/crashes?client=ecal",
        "/devices",
        "/computers",
        f"/compare?number={RUN}",
        f"/compare?number={RUN}&with=390001",
    ),
    *(
        "/about",
        "/badges",
        "/api",
        "/notes",
        "/notes?before=3",
        "/?tz=Asia/Tokyo",
        "/?db=playback",
        "/runs?before=390003",
    ),
]


async def test_each_page_is_whole_and_light_and_contacts_no_other_host(told: Stand) -> None:
    for address in PAGES:
        page = await told.get(address)
        assert page.status == 200, address
        assert page.text.count("</html>") == 1, address
        assert len(gzip.compress(page.body)) < 30_000, address
        assert "Bench &lt;1&gt;" in page.text
        assert not re.findall(r'(?:src|href|action)="(?!/dqm|#)[^"]*"', page.text), address
        assert not re.findall(r"<script(?! src)|\son\w+=|\sstyle=", page.text), address
    files = re.findall(r'(?:src|href)="/dqm(/static[^"]+)"', (await told.get("/")).text)
    assert len(files) == 4
    for one in files:
        file = await told.get(one)
        assert (file.status, "max-age=31536000" in file.headers["cache-control"]) == (200, True)


async def test_the_first_view_is_light(told: Stand) -> None:
    page = await told.get("/", accept_encoding="gzip")
    files = set(re.findall(r'(?:src|href)="/dqm(/static[^"]+)"', gzip.decompress(page.body).decode()))
    sizes = [len((await told.get(one, accept_encoding="gzip")).body) for one in files]
    assert len(page.body) + sum(sizes) < 100_000 / 2


async def test_a_page_has_its_headers(told: Stand) -> None:
    for address, status in (("/", 200), ("/none", 404), ("/?x=1", 400), ("/api/v1/runs", 200), ("/live", 200)):
        answer = await told.get(address, "HEAD")
        assert (answer.status, answer.body) == (status, b"")
        assert "script-src 'self';" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in (await told.get("/")).headers


async def test_a_run_shows_what_crashed_first(told: Stand) -> None:
    page = (await told.get(f"/run/{RUN}")).text
    assert re.findall(r'<tr class="(\w*)"', page)[:2] == ["g1", ""]
    assert "crashed, exit 139" in page
    assert page.count("<svg") == 2
    assert "390003" in page
    assert "Log of ecal" in page
    assert not set(told.farm.computers) & set(re.findall(r"[\w-]+", page)), "a name of a computer"


async def test_a_client_that_is_silent_is_stuck(own: Stand) -> None:
    counts = (await own.get(f"/api/v1/runs/{RUN}")).json["counts"]
    assert counts == {"crashed": 1, "stuck": 0, "running": 9, "finished": 0}
    await own.clock.advance(901)
    assert (await own.get(f"/api/v1/runs/{RUN}")).json["counts"]["stuck"] == 9
    assert ">9</b>" in (await own.get(f"/run/{RUN}")).text
    assert "stuck, heard" in (await own.get("/computers")).text


async def test_an_answer_is_kept_until_news_come(own: Stand) -> None:
    first = await own.get("/api/v1/runs")
    same = await own.get("/api/v1/runs", if_none_match=first.headers["etag"])
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    own.farm.begin_run(own.clock.now_ns() / 1e9)
    await own.store.take(list(documents(own.farm, redactor(own.farm))))
    assert (await own.get("/api/v1/runs", if_none_match=first.headers["etag"])).status == 304
    news = await own.site.look()
    assert news is not None
    assert RUN + 1 in news.runs
    after = await own.get("/api/v1/runs", if_none_match=first.headers["etag"])
    assert (after.status, after.json["runs"][0]["number"]) == (200, RUN + 1)
    assert await own.site.look() is None


async def test_the_same_page_in_another_time_zone_has_other_times(told: Stand) -> None:
    pages = [(await told.get(f"/run/{RUN}?tz={zone}")).text for zone in ("UTC", "Asia/Tokyo")]
    shown = [re.search(r'<time datetime="([^"]+)"[^>]*>([^<]+)', page) for page in pages]
    assert shown[0] and shown[1]
    assert shown[0][1] == shown[1][1]
    assert shown[0][2] != shown[1][2]
    assert f"/dqm/run/{RUN - 1}?tz=Asia%2FTokyo" in pages[1]


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/runs?before=x", 400, "before is not a whole number: &#39;x&#39;"),
        ("/runs?before=1&before=2", 400, "before is given twice"),
        ("/?tz=../../etc/passwd", 400, "tz is the name of a time zone"),
        ("/?tz=Mars/Base", 400, "tz is the name of a time zone"),
        ("/?db=secret", 400, "db is one of production, playback"),
        ("/?<script>=1", 400, "there is no parameter"),
        ("/compare", 400, "give number"),
        ("/run/1", 404, "there is no run 1"),
        ("/run/x", 404, "there is no page"),
        ("/%ff", 404, "there is no such page"),
        ("/log/document-nothing", 404, "there is no such log"),
        ("/static/../making.py", 404, "there is no such file"),
        ("/badge/x.svg", 404, "there is no such badge"),
        ("/api/v1/runs/x", 404, "there is no page"),
        ("/api/v1/runs?limit=0", 400, "limit is from 1 to 500"),
        ("/runs?before=%ff", 400, "cannot be read"),
        ("/runs?before=99999999999999999999", 400, "before is not a whole number"),
    ],
)
async def test_a_wrong_address_gives_a_clear_answer(told: Stand, address: str, status: int, says: str) -> None:
    answer = await told.get(address)
    assert (answer.status, says in answer.text) == (status, True), answer.text
    assert "<script>=" not in answer.text
    assert answer.headers["cache-control"].startswith("public, max-age=0")


async def test_other_methods_are_refused(told: Stand) -> None:
    answer = await told.get("/", "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_an_error_says_nothing_of_the_inside(own: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise LinkError("/var/secret/place on db-7 is away", source="storage")

    monkeypatch.setattr(own.reader, "now", fails)
    answer = await own.get("/")
    assert (answer.status, "secret" in answer.text, "db-7" in answer.text) == (503, False, False)

    async def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("db-7")

    monkeypatch.setattr(own.reader, "now", breaks)
    answer = await own.get("/")
    assert (answer.status, "db-7" in answer.text, "Zero" in answer.text) == (500, False, False)


# The answers of the original


async def test_the_path_of_the_public_address_is_taken_away_by_the_proxy(told: Stand) -> None:
    assert [(await told.get(one)).status for one in ("/", "/dqm/")] == [200, 404]


async def test_a_graph_that_lacks_fields_has_the_shape_of_the_original(own: Stand) -> None:
    streams = {"A": {"lumis": [1, 2.5, None], "other": [7]}, "B": None, "C": [1]}
    bodies: list[Any] = [
        {"run": 8, "timestamp": 5e8, "begun": "2026-01-02T03:04:05Z", "streams": streams},
        {"run": 9, "streams": [1]},
    ]
    rules = redactor(own.farm)
    await own.store.take(
        [
            PublicDocument(
                set="production",
                kind="graph",
                id=rules.lasting("document", str(number)),
                source=rules.alias("host", "fu-1"),
                revision=number,
                body=received(body),
            )
            for number, body in enumerate(bodies)
        ]
    )
    first = (await own.get("/api?what=get_graph&db=production&run=8")).json
    empty: dict[str, list[float]] = {"mtimes": [], "fsize": [], "evt_accepted": [], "evt_processed": [], "ctimes": []}
    assert (first[0], first[4]) == (8, "2026-01-02T03:04:05+00:00")
    assert first[5] == {"A": {**empty, "lumis": [1, 2.5, None]}}
    second = (await own.get("/api?what=get_graph&db=production&run=9")).json
    assert (second[0], second[4], second[5]) == (9, "2012-03-03T00:00:00", {})


async def test_the_original_answers_have_their_shapes(told: Stand) -> None:
    async def ask(query: str) -> Any:
        answer = await told.get(f"/api?what={query}")
        assert answer.status == 200
        return answer.json

    around, (head, rows) = await ask(f"get_run&db=production&run={RUN}")
    assert around == [RUN - 1, None]
    assert head == ["CMSSW_15_0_3", "pp_run"]
    assert len(rows) == 10
    crashed = next(row for row in rows if row[4] == "ecal")
    at, age, host, code, client, lumi, rss, events, id, rate = crashed
    assert (code, client, host.startswith("host-"), lumi, rss.endswith(" kB")) == (139, "ecal", True, 4, True)
    assert (at > 1e12, age >= 0, events > 0, rate > 0, id.startswith("document-")) == (True,) * 5
    run, _, id, _, _, streams, host = await ask(f"get_graph&db=production&run={RUN}")
    assert (run, len(streams), id.startswith("document-"), host.startswith("host-")) == (RUN, 4, True, True)
    assert set(streams["DQM"]) == {"mtimes", "fsize", "lumis", "evt_accepted", "evt_processed", "ctimes"}
    assert await ask("get_graph&db=production&run=1") == []
    found = await ask("get_runs&db=production&from=390001&to=390004&bad_only=1")
    assert set(found) == {"390001", "390004"}
    assert found["390001"]["run_data"] == [390001, "pp_run", "CMSSW_15_0_3"]
    assert found["390004"]["clients"]["ecal"][0][4] == 139
    assert "ecal" in await ask("get_clients&db=production&from=390001&to=390004")
    assert await ask("get_info&db=production") == [390001, 390004]
    assert await ask("get_info&db=playback") == []
    rows = await ask("get_cluster_status&cluster=production")
    assert sum(not row[1] for row in rows) == 1
    log = await told.get(f"/api?what=get_logs&db=production&id={crashed[8]}")
    assert log.text.startswith("<pre>")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("what=get_nothing", 404),
        ("what=get_run&run=1", 400),
        ("what=get_run&db=production", 400),
        ("what=get_run&db=production&run=x", 400),
        ("what=get_run&db=other&run=1", 400),
        ("what=get_logs&db=production", 400),
        ("what=get_info&db=production&unknown=1", 200),
    ],
)
async def test_the_original_refuses_as_it_did(told: Stand, query: str, status: int) -> None:
    assert (await told.get(f"/api?{query}")).status == status


# API


async def test_the_description_names_each_address_of_the_api(told: Stand) -> None:
    described = (await told.get("/api/v1/openapi.json")).json
    assert described["servers"] == [{"url": "https://x.org/dqm"}]
    assert set(described["paths"]) == {one.path for one in told.site.routes.routes if one.path.startswith("/api")}
    for path, operation in described["paths"].items():
        needed = [one for one in operation["get"]["parameters"] if one["required"] and one["in"] == "path"]
        assert [one["name"] for one in needed] == re.findall(r"\{(\w+)\}", path)


async def test_the_timeline_has_a_row_for_each_client(told: Stand) -> None:
    found = (await told.get("/api/v1/timeline")).json
    assert (found["from"], found["to"], len(found["rows"])) == (390001, 390004, 40)
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    assert len((await told.get("/api/v1/timeline?bad=1")).json["rows"]) == 2
    page = (await told.get("/timeline?bad=1")).text
    assert page.count('data-tip="ecal: crashed, exit 139') == 2


async def test_streams_and_logs_are_given(told: Stand) -> None:
    streams = (await told.get(f"/api/v1/runs/{RUN}/streams")).json["streams"]
    assert streams["DQM"]["sections"] == list(range(1, SECTIONS + 1))
    assert all(1 <= delay < 4 for delay in streams["DQM"]["delay_s"])
    client = (await told.get(f"/api/v1/runs/{RUN}")).json["clients"][0]
    lines = (await told.get(f"/api/v1/logs/{client['id']}")).json["lines"]
    assert lines
    assert (await told.get("/api/v1/logs/none")).status == 404


async def test_feeds(told: Stand) -> None:
    feed = await told.get("/rss")
    assert feed.text.count("<item>") >= 6
    assert "<link>https://x.org/dqm/run/390004</link>" in feed.text
    for name in ("mirror", "run", "alarms", "crashed"):
        badge = await told.get(f"/badge/{name}.svg")
        assert badge.text.startswith("<svg") and badge.headers["content-type"] == "image/svg+xml"


async def test_without_news_of_the_experiment_its_alarms_are_not_known(own: Stand) -> None:
    assert "none" not in (await own.get("/badge/alarms.svg")).text
    await own.clock.advance(3600)
    assert "not known" in (await own.get("/badge/alarms.svg")).text
    assert "its alarms are not known" in (await own.get("/?tz=Asia/Tokyo")).text


# Live


async def test_viewers_get_news_once_encoded(own: Stand) -> None:
    got: list[list[bytes]] = [[], []]
    gone = asyncio.Event()

    async def view(place: int) -> None:
        async def send(message: dict[str, Any]) -> None:
            got[place].append(message.get("body", b""))

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        await own.site.live.serve(receive, send, is_head=False)

    async with asyncio.TaskGroup() as group:
        for place in range(2):
            group.create_task(view(place))
        await asyncio.sleep(0)
        for _ in range(2):
            own.farm.go_on(own.clock.now_ns() / 1e9)
            await own.store.take(list(documents(own.farm, redactor(own.farm))))
            news = await own.site.look()
            assert news is not None
            await own.site.live.tell(news)
            for _ in range(5):
                await asyncio.sleep(0)
        gone.set()
    assert got[0] == got[1]
    assert got[0][-1] is got[1][-1]
    first, second = (part.decode() for part in got[0][-2:])
    assert "event: page" in first
    assert "event: page" not in second
    cells = msgspec.json.decode(second.partition("event: cells\ndata: ")[2].partition("\n")[0])
    assert (cells["m.section"], cells[f"r.{RUN}.section"]) == ("8", "8")
    assert f'"runs":[{RUN}]' in second
    assert own.site.live.viewers == 0


async def test_news_go_on_after_the_store_failed_in_between(own: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        got.append(message.get("body", b""))

    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()

    async def fails(*_: Any) -> Any:
        failed.append(True)
        raise LinkError("no answer", source="storage")

    async def news_come() -> None:
        own.farm.go_on(own.clock.now_ns() / 1e9)
        await own.store.take(list(documents(own.farm, redactor(own.farm))))
        await second()

    async def second() -> None:
        await own.clock.advance(1)
        for _ in range(30):  # the database has its turn
            await own.reader.version()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await second()

    failed: list[bool] = []
    live = own.site.live
    tasks = [asyncio.create_task(live.serve(receive, send, is_head=False)), asyncio.create_task(live.run())]
    await second()
    with monkeypatch.context() as broken:
        broken.setattr(own.reader, "now", fails)  # what changed is seen, and the page cannot be made
        await news_come()
        await until(lambda: bool(failed))
    assert not any(task.done() for task in tasks)
    await news_come()
    await until(lambda: b"event: page" in got[-1])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# Files


async def test_the_site_is_written_as_files_and_only_what_changed(told: Stand, tmp_path: Path) -> None:
    done = await told.site.export(tmp_path, 2)
    assert (done.written, done.files) == (done.files, 60)
    for address in ("/", f"/run/{RUN}", "/timeline", "/about"):
        kept = (tmp_path / address.strip("/") / "index.html").read_bytes()
        assert kept == (await told.get(address)).body
    page = (tmp_path / "index.html").read_text()
    for one in re.findall(r'(?:src|href)="/dqm(/static[^"]+)"', page):
        assert (tmp_path / one.strip("/")).is_file()
    (tmp_path / "index.html").write_text("old")
    assert (await told.site.export(tmp_path, 2)).written == 1
    assert not list(tmp_path.rglob("*.new"))

"""The simulated farm speaks the protocol of its kind, over HTTP and WebSocket, and has the faults of real ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from countingroom.core.errors import NotFound
from countingroom.simulators.dqm import DqmSimulator
from countingroom.simulators.dqm_farm import Farm, FarmComputer
from tests.patience import PATIENCE_S

FU = "fu-c2f11-11-01"
BU = "dqmrubu-c2a06-01-01"


class Client:
    """One that asks as a mirror does."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)
        self.url = url

    async def ask(self, message: dict[str, Any], host: str = "") -> list[dict[str, Any]]:
        body = {"messages": [json.dumps(message)]}
        where = f"/redirect?path={host}&port=9215" if host else "/sync_proxy"
        answer = await self.http.post(where, json=body)
        answer.raise_for_status()
        return [json.loads(one) for one in answer.json()["messages"]]

    async def headers(self, host: str = "", known: int | None = None) -> list[dict[str, Any]]:
        said = await self.ask({"event": "sync_request", "known_rev": known}, host)
        return [header for one in said for header in one["headers"]]

    async def documents(self, ids: list[str], host: str = "") -> list[dict[str, Any]]:
        (said,) = await self.ask({"event": "request_documents", "ids": ids}, host)
        return said["documents"]


@pytest_asyncio.fixture
async def farm() -> AsyncIterator[tuple[DqmSimulator, Client]]:
    simulator = DqmSimulator({"log_bytes": 2000, "lumi_s": 3600})
    client = Client(str((await simulator.start())["url"]))
    yield simulator, client
    await client.http.aclose()
    await simulator.stop()


async def test_headers_lead_to_documents_of_the_described_shape(farm: tuple[DqmSimulator, Client]) -> None:
    _, client = farm
    headers = await client.headers(FU)
    assert {one["hostname"] for one in headers} == {FU}
    found = await client.documents([one["_id"] for one in headers], FU)
    assert [one["_rev"] for one in found] == [one["_rev"] for one in headers]
    one = found[0]
    assert one["cmdline"][1].endswith("_dqm_sourceclient-live_cfg.py")
    assert "runkey" in one["cmdline"][-1]
    assert one["extra"]["ps_info"]["VmRSS"].endswith(" kB")
    log = [*one["extra"]["stdlog_start"], *one["extra"]["stdlog_end"]]
    assert 1800 < sum(len(line) + 1 for line in log) < 2500
    (figures,) = [one for one in await client.headers(BU) if "analyze_files" in one["_id"]]
    (graph,) = await client.documents([figures["_id"]], BU)
    assert set(graph["extra"]["streams"]["DQM"]) == {
        "lumis",
        "mtimes",
        "ctimes",
        "fsize",
        "evt_accepted",
        "evt_processed",
    }


async def test_the_last_known_header_is_sent_again_and_nothing_is_said_of_none(
    farm: tuple[DqmSimulator, Client],
) -> None:
    simulator, client = farm
    last = simulator.farm.computers[FU].rev
    assert [one["_rev"] for one in await client.headers(FU, last)] == [last]
    assert await client.ask({"event": "sync_request", "known_rev": last + 2}, FU) == []


async def test_a_document_that_changes_keeps_its_id_and_gets_the_next_revision(
    farm: tuple[DqmSimulator, Client],
) -> None:
    simulator, client = farm
    before = await client.headers(FU)
    simulator.farm.go_on(1_796_000_000.0)
    after = await client.headers(FU)
    assert {one["_id"] for one in before} == {one["_id"] for one in after}
    assert min(one["_rev"] for one in after) > max(one["_rev"] for one in before)


async def test_5000_headers_come_in_batches_of_1000(farm: tuple[DqmSimulator, Client]) -> None:
    simulator, client = farm
    await simulator.fault("foreign", {"headers": 5000})
    said = await client.ask({"event": "sync_request", "known_rev": None}, BU)
    assert [len(one["headers"]) for one in said] == [1000] * 5 + [1]
    assert [one["total_sent"] for one in said] == [1000, 2000, 3000, 4000, 5000, 5001]
    assert {one["total_avail"] for one in said} == {5001}
    assert [one["sync_to_rev"] for one in said] == [one["rev"][1] for one in said]


async def test_the_websocket_says_the_same(farm: tuple[DqmSimulator, Client]) -> None:
    _, client = farm
    async with asyncio.timeout(PATIENCE_S), connect(client.url.replace("http", "ws") + "/sync") as socket:
        await socket.send(json.dumps({"event": "sync_request", "known_rev": None}))
        headers = json.loads(await socket.recv())["headers"]
        await socket.send(json.dumps({"event": "request_documents", "ids": [headers[0]["_id"], "no such id"]}))
        documents = json.loads(await socket.recv())["documents"]
    assert headers == await client.headers()
    assert [one["_id"] for one in documents] == [headers[0]["_id"]]


async def test_uploaded_documents_are_there(farm: tuple[DqmSimulator, Client]) -> None:
    _, client = farm
    document = {"_id": "mine", "type": "t", "tag": "x", "hostname": FU, "run": 7, "timestamp": 1.5, "data": [1]}
    await client.http.post("/_upload/", json={"docs": [document]})
    assert (await client.headers())[-1]["_id"] == "mine"
    assert (await client.documents(["mine"]))[0]["data"] == [1]


async def test_a_crashed_client_and_the_next_run_are_told(farm: tuple[DqmSimulator, Client]) -> None:
    simulator, client = farm
    await simulator.fault("crash", {"client": "beam"})
    state = (await client.documents([(await client.headers(FU))[-1]["_id"]], FU))[0]
    assert (state["exit_code"], state["extra"]["stdlog_end"][-1]) == (139, "A fatal system signal has occurred")
    run = simulator.farm.run
    await simulator.fault("run", {})
    old = await client.documents([one["_id"] for one in await client.headers(FU) if one["run"] == run], FU)
    assert sorted({one["exit_code"] for one in old}) == [0, 139]
    assert (await client.headers(FU))[-1]["run"] == run + 1
    with pytest.raises(NotFound, match="no client"):
        await simulator.fault("crash", {"client": "none"})


async def test_faults_of_the_link(farm: tuple[DqmSimulator, Client]) -> None:
    simulator, client = farm
    await simulator.fault("refuse", {})
    with pytest.raises(httpx.HTTPStatusError):
        await client.headers(FU)
    await simulator.fault("restore", {})
    await simulator.fault("garbage", {})
    with pytest.raises(json.JSONDecodeError):
        await client.headers(FU)
    await simulator.fault("restore", {})
    await simulator.fault("lose", {"host": FU})
    headers = await client.headers(FU)
    assert len(await client.documents([one["_id"] for one in headers], FU)) == len(headers) - 1


async def test_a_dead_computer_delays_no_other_and_answers_after_restore(farm: tuple[DqmSimulator, Client]) -> None:
    simulator, client = farm
    await simulator.fault("dead", {"host": f"{FU}.cms"})
    waits = asyncio.create_task(client.headers(FU))
    assert await client.headers(BU)
    assert not waits.done()
    await simulator.fault("restore", {})
    assert await waits


async def test_a_dropped_link_comes_back_at_the_same_port(farm: tuple[DqmSimulator, Client]) -> None:
    simulator, client = farm
    await simulator.fault("drop", {})
    with pytest.raises(httpx.TransportError):
        await client.headers(FU)
    await simulator.fault("restore", {})
    assert await client.headers(FU)


async def test_what_is_not_understood_is_an_error_of_the_server(farm: tuple[DqmSimulator, Client]) -> None:
    _, client = farm
    for body in ("", "[]", '{"messages": ["x"]}', '{"messages": ["{}"]}'):
        assert (await client.http.post("/sync_proxy", content=body)).status_code == 500
    assert (await client.http.post("/redirect?path=unknown", content="{}")).status_code == 502


def test_the_same_seed_makes_the_same_farm() -> None:
    def documents(seed: int) -> list[Any]:
        made = Farm(seed=seed, log_bytes=500)
        made.begin_run(1.0)
        made.go_on(2.0)
        return [one.documents(one.ids) for one in made.computers.values()]

    assert documents(3) == documents(3) != documents(4)


def test_a_table_of_none_has_no_batches() -> None:
    assert list(FarmComputer("x").headers(None)) == []

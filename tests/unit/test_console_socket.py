"""The live feed over a real socket; requests of other origins are refused before the socket is accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from countingroom.console.app import create
from countingroom.console.context import ConsoleContext
from countingroom.core.clock import SystemClock
from tests.console.stage import Stage, stage
from tests.patience import PATIENCE_S


class Site:
    """The console, listening."""

    def __init__(self, here: Stage, room: ConsoleContext, port: int) -> None:
        self.here = here
        self.context = room
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/api/v1/live"


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with stage(SystemClock()) as here:
        app = create(here.bus.client(), here.clock, title="t", version="1", tick_s=0.05)
        config = uvicorn.Config(app, port=0, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve())
            async with asyncio.timeout(PATIENCE_S):
                while not server.started:
                    await asyncio.sleep(0)
                await app.state.context.latest.ready()
            await here.beat("caen", "chiller")
            yield Site(here, app.state.context, server.servers[0].sockets[0].getsockname()[1])
            server.should_exit = True


async def hear(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of that kind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = json.loads(await socket.recv())
            if told["kind"] == kind:
                return told


async def test_a_snapshot_then_deltas_then_a_resume(site: Site) -> None:
    async with connect(site.url) as socket:
        await socket.send('{"watch": {"devices": ["caen"]}}')
        first = await hear(socket, "snapshot")
        assert first["points"]["caen.0.hv_vMon"][0] == 5.0
        await site.here.readings("caen", {"0.hv_vMon": 6.0})
        # what the snapshot showed may be told once more by the tick after it
        while (delta := await hear(socket, "delta")).get("points", {}).get("caen.0.hv_vMon", [5.0])[0] == 5.0:
            pass
        assert delta["points"]["caen.0.hv_vMon"][0] == 6.0
    await site.here.readings("caen", {"0.hv_vMon": 7.0})
    async with connect(site.url) as socket:
        await socket.send(json.dumps({"watch": {"devices": ["caen"]}, "resume": delta["revision"]}))
        missed = await hear(socket, "delta")
        while "points" not in missed:
            missed = await hear(socket, "delta")
        assert missed["points"] == {"caen.0.hv_vMon": [7.0, 0, missed["points"]["caen.0.hv_vMon"][2], 0]}


async def test_bytes_are_no_wish(site: Site) -> None:
    async with connect(site.url) as socket:
        await socket.send(b"{}")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1003


async def test_another_wish_is_answered_with_another_snapshot(site: Site) -> None:
    async with connect(site.url) as socket:
        await socket.send('{"watch": {"points": false}}')
        assert (await hear(socket, "snapshot"))["points"] == {}
        await socket.send('{"watch": {"points": ["chiller.internal_temp"]}}')
        assert list((await hear(socket, "snapshot"))["points"]) == ["chiller.internal_temp"]


@pytest.mark.parametrize("text", ["hello", '{"command": "hv_off"}', '{"watch": {"devices": [1]}}'])
async def test_what_is_no_wish_ends_the_feed_with_a_reason(site: Site, text: str) -> None:
    async with connect(site.url) as socket:
        await socket.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:19]) == (1003, "not a watch message")


async def test_who_leaves_is_forgotten(site: Site) -> None:
    async with connect(site.url) as socket:
        await socket.send("{}")
        await hear(socket, "snapshot")
        assert site.context.feed.viewers == 1
    async with asyncio.timeout(PATIENCE_S):
        while site.context.feed.viewers:
            await asyncio.sleep(0)


async def test_a_foreign_page_is_not_let_in_and_the_own_one_is(site: Site) -> None:
    forged = f"ws://evil.example:{site.port}/api/v1/live"
    for url, origin in ((forged, None), (site.url, "http://evil.example"), (site.url, "null")):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, host="127.0.0.1", origin=Origin(origin) if origin else None):
                pass
        assert refused.value.response.status_code == 403
    async with connect(site.url, origin=Origin(f"http://127.0.0.1:{site.port}")) as socket:
        await socket.send("{}")
        await hear(socket, "snapshot")

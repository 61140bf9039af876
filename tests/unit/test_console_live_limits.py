"""One viewer with many live feeds takes none from others, and a page without a feed gets the same by request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack

import pytest

from countingroom.console.app import create
from countingroom.console.live.viewer_limits import SUBSCRIBED, ViewerLimits, Viewers
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Conflict
from countingroom.testing.clock import FakeClock
from tests.console.people import ORIGIN, House, house
from tests.console.sockets import Socket, opened
from tests.console.stage import stage
from tests.patience import PATIENCE_S

SMALL = ViewerLimits(user=3, address=4, everybody=8, reserved=2)


def open_feeds(stack: ExitStack, viewers: Viewers, user: str, address: str, count: int, *, operates: bool) -> int:
    """Open that many feeds; the number that got a place."""
    got = 0
    for _ in range(count):
        try:
            stack.enter_context(viewers.place(user, address, operates=operates))
            got += 1
        except Conflict:
            pass
    return got


def test_one_user_has_a_limit_and_others_do_not_feel_it() -> None:
    viewers = Viewers(SMALL)
    with ExitStack() as stack:
        assert open_feeds(stack, viewers, "vera", "a", 270, operates=False) == 3
        assert open_feeds(stack, viewers, "paul", "b", 1, operates=False) == 1
        assert viewers.refused == 267
    with ExitStack() as stack:
        assert open_feeds(stack, viewers, "vera", "a", 3, operates=False) == 3


def test_viewers_of_one_address_share_a_limit_that_operators_there_do_not_feel() -> None:
    viewers = Viewers(SMALL)
    with ExitStack() as stack:
        assert sum(open_feeds(stack, viewers, f"v{number}", "a", 2, operates=False) for number in range(4)) == 4
        assert open_feeds(stack, viewers, "sam", "a", 3, operates=True) == 3
        assert open_feeds(stack, viewers, "vera", "b", 1, operates=False) == 0  # 7 of 8 are open, 2 are reserved


def test_operators_have_a_reserve() -> None:
    viewers = Viewers(SMALL)
    with ExitStack() as stack:
        assert sum(open_feeds(stack, viewers, f"v{n}", f"a{n}", 1, operates=False) for n in range(20)) == 6
        assert open_feeds(stack, viewers, "sam", "a1", 2, operates=True) == 2
        with pytest.raises(Conflict, match="the most for this console"):
            stack.enter_context(viewers.place("eve", "a1", operates=True))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ViewerLimits(user=0), "vera has 0 live pages open, the most for one user"),
        (ViewerLimits(address=0), "0 live pages are open from 10.0.0.9, the most for one address"),
        (ViewerLimits(everybody=2, reserved=2), "the other live pages are reserved for users with the role shifter"),
    ],
)
def test_a_refusal_names_the_limit(limits: ViewerLimits, reason: str) -> None:
    viewers = Viewers(limits)
    with pytest.raises(Conflict, match=reason), viewers.place("vera", "10.0.0.9", operates=False):
        pass


@pytest.fixture
async def home() -> AsyncGenerator[House]:
    async with stage(SystemClock()) as here, house(here) as found:
        yield found


async def bearer(home: House, name: str) -> dict[str, str]:
    """The header of a program of this user."""
    secret, _ = await home.database.sessions.create(name, lifetime_s=3600, origin="token")
    return {"authorization": f"Bearer {secret}"}


async def test_a_viewer_with_too_many_sockets_takes_nothing_from_a_shifter(home: House) -> None:
    viewer, shifter = await bearer(home, "vera"), await bearer(home, "sam")
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(home.app, viewer)) for _ in range(ViewerLimits().user + 5)]
        for socket in sockets:
            socket.send("{}")
        first = [await socket.next() for socket in sockets]
        closed = [one for one in first if one["type"] == "websocket.close"]  # not always the last that were opened
        assert [one["code"] for one in closed] == [1013] * 5
        assert {one["reason"] for one in closed} == {"vera has 32 live pages open, the most for one user"}
        other = await stack.enter_async_context(opened(home.app, shifter))
        other.send("{}")
        assert (await other.hear())["kind"] == "snapshot"


async def test_a_page_without_a_socket_gets_the_same_messages_by_request(home: House) -> None:
    client = home.client(await bearer(home, "vera"))
    watch = '{"devices": ["caen"], "events": true}'
    (first,) = (await client.get("/api/v1/live", params={"watch": watch})).json()["messages"]
    assert first["kind"] == "snapshot"
    feed = home.context.feed
    async with asyncio.timeout(PATIENCE_S):
        while feed.revision == first["revision"] or "0.hv_vMon" not in home.context.latest.readings.get("caen", {}):
            await asyncio.sleep(0)
    answer = await client.get("/api/v1/live", params={"watch": watch, "resume": first["revision"]})
    *deltas, last = answer.json()["messages"]
    assert {one["kind"] for one in deltas} <= {"delta"}
    assert (last["kind"], last["revision"]) == ("tick", feed.revision)
    wrong = await client.get("/api/v1/live", params={"watch": '{"devices": 5}'})
    assert (wrong.status_code, wrong.json()["cause"]["code"]) == (422, "invalid")


async def test_asking_without_pause_is_refused_with_the_time_to_wait(home: House) -> None:
    client = home.client(await bearer(home, "vera"))
    now_s = home.context.clock.monotonic()
    while not home.context.viewers.wait_s("vera", now_s + 1.0):
        pass
    answer = await client.get("/api/v1/live")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "asks for the live state too often" in answer.json()["cause"]["message"]


async def test_subscribing_without_pause_is_read_slowly(home: House) -> None:
    headers = await bearer(home, "vera")
    async with opened(home.app, headers) as socket:
        for _ in range(1000):
            socket.send("{}")
        await heard(socket)
        async with opened(home.app, await bearer(home, "sam")) as other:  # whose snapshot waits for no one
            other.send("{}")
            assert (await other.hear())["kind"] == "snapshot"
        assert socket.to_server.qsize() >= 1000 - 2 * SUBSCRIBED.burst


async def heard(socket: Socket) -> None:
    """The feed has begun."""
    assert (await socket.hear())["kind"] == "snapshot"


@pytest.mark.parametrize("path", ["/api/v1/live", "/api/v1/fleet/logs"])
async def test_a_client_that_leaves_before_its_first_message_is_no_failure(path: str) -> None:
    clock = FakeClock()
    async with stage(clock) as here:
        app = create(here.bus.client(), clock, title="t", version="1")
        async with app.router.lifespan_context(app), opened(app, ORIGIN, path=path) as socket:
            async with asyncio.timeout(PATIENCE_S):
                await socket.accepted.wait()
            socket.is_open = False  # the server does not hear of it
            await clock.advance(10)

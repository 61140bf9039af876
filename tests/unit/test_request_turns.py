"""Requests on connections without a user begin a few at a time, and addresses take turns."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.app import request_turns
from countingroom.app.request_turns import RequestPlace, RequestTurns


@pytest.fixture(autouse=True)
def no_end_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_turns, "PLACE_S", 3600.0)


class Queue:
    """Requests, and which of them have begun."""

    def __init__(self, at_once: int) -> None:
        self.turns = RequestTurns(at_once)
        self.begun: list[str] = []
        self.places: dict[str, RequestPlace] = {}

    async def ask(self, name: str, address: str) -> None:
        place = await self.turns.begin(address)
        self.begun.append(name)
        self.places[name] = place


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_address_with_one_request_waits_for_one_of_each_other_address() -> None:
    queue = Queue(1)
    asked = [asyncio.ensure_future(queue.ask(f"s{number}", "a")) for number in range(100)]
    await settle()
    asked += [asyncio.ensure_future(queue.ask("b0", "b")), asyncio.ensure_future(queue.ask("c0", "c"))]
    await settle()
    for _ in range(102):
        queue.places[queue.begun[-1]].end()
        queue.places[queue.begun[-1]].end()  # gives nothing away twice
        await settle()
    assert queue.begun[:5] == ["s0", "s1", "b0", "c0", "s2"] and len(queue.begun) == 102
    await asyncio.gather(*asked)


async def test_a_place_that_a_cancelled_request_had_goes_to_the_next_one() -> None:
    queue = Queue(1)
    await queue.ask("first", "a")
    waiting = [asyncio.ensure_future(queue.ask(f"w{number}", "a")) for number in range(3)]
    await settle()
    waiting[0].cancel()
    queue.places["first"].end()  # to w1, because w0 waits no more
    waiting[1].cancel()  # in the moment in which it has got the place
    await settle()
    assert queue.begun == ["first", "w2"]
    queue.places["w2"].end()
    await queue.ask("last", "b")
    assert queue.begun[-1] == "last"
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_place_is_given_back_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits for its body or a password keeps out no other."""
    monkeypatch.setattr(request_turns, "PLACE_S", 0.0)
    queue = Queue(1)
    async with asyncio.timeout(60):
        await queue.ask("slow", "a")
        await queue.ask("next", "b")
    assert queue.begun == ["slow", "next"]

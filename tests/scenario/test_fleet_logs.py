"""Logs that are read as they are written: over the ends of instances, by several readers, and left by some."""

from __future__ import annotations

import asyncio
from typing import Any

from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.fleet.queries import LogFollowAnswer, LogFollowQuery, LogSource
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.messages import MessageDecoder, encode
from countingroom.core.series import QueryRefusal
from countingroom.fleet.log_sessions import MOST_SESSIONS, UNUSED_S, WAIT_S
from tests.scenario.test_fleet_keeper import Site, services

_lines: MessageDecoder[LogFollowAnswer | QueryRefusal] = MessageDecoder(LogFollowAnswer | QueryRefusal)
OF = (LogSource(service="camera", node="n1"), LogSource(service="camera", node="n2"))


def asked(site: Site, **more: Any) -> asyncio.Task[LogFollowAnswer | QueryRefusal]:
    given: dict[str, Any] = {"session": "s1", "of": OF, **more}
    query = LogFollowQuery(**given)

    async def ask() -> LogFollowAnswer | QueryRefusal:
        subject = subjects.query("fleet", "log_lines")
        return _lines.decode((await site.bus.request(subject, encode(query), timeout_s=WAIT_S + 5)).data)

    return asyncio.ensure_future(ask())


async def texts(site: Site, asking: asyncio.Task[LogFollowAnswer | QueryRefusal] | None = None) -> list[str]:
    """`0 line` for each line of an answer that is there now."""
    asking = asking or asked(site)
    await site.clock.advance(0.1)
    assert asking.done()
    answer = asking.result()
    assert isinstance(answer, LogFollowAnswer) and not answer.missed
    return [f"{line.of} {line.text}" for line in answer.lines]


async def test_lines_come_as_they_are_written_over_the_ends_of_instances() -> None:
    site = Site()
    await prepare(site.bus)
    one, two = InstanceId("camera", "n1"), InstanceId("camera", "n2")
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        n1, n2 = site.engines["n1"], site.engines["n2"]
        assert sorted(await texts(site)) == ["0 camera-1", "1 camera-1"]
        asking = asked(site)
        await site.clock.advance(3)
        assert not asking.done()
        n2.say(two, "exposing")
        assert await texts(site, asking) == ["1 exposing"]

        n1.say(one, "no camera")
        n1.end(one, 7)
        await site.clock.advance(3)  # started again after 2 s
        n1.say(one, "found it")
        assert await texts(site) == ["0 no camera", "0 found it"]

        site.described = services(camera={"command": ["camera-2"]})
        await site.give("apply")
        await site.clock.advance(40)
        assert {"0 camera-2", "1 camera-2"} <= set(await texts(site))

        asking = asked(site)
        await site.clock.advance(WAIT_S + 1)
        assert await texts(site, asking) == []


async def test_a_reader_that_has_gone_or_asks_for_too_much_costs_nothing() -> None:
    site = Site()
    await prepare(site.bus)
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        refused = asked(site, session="s0", of=(LogSource(service="camera", node="n9"),))
        many = [asked(site, session=f"s{number}", of=OF[:1]) for number in range(MOST_SESSIONS + 1)]
        await site.clock.advance(0.1)
        assert isinstance(refused.result(), QueryRefusal)
        wrong = [one.result() for one in many if isinstance(one.result(), QueryRefusal)]
        assert [one.cause.code for one in wrong if isinstance(one, QueryRefusal)] == ["too_many"]
        await site.clock.advance(UNUSED_S + 1)
        assert await texts(site, asked(site, session="new", of=OF[:1])) == ["0 camera-1"]
        before = len(asyncio.all_tasks())
        await texts(site, asked(site, session="new", is_end=True))
        assert len(asyncio.all_tasks()) < before
        for number in range(5100):  # nobody reads them
            if number == 0:
                await texts(site, asked(site, session="slow", of=OF[:1], tail=1))
            site.engines["n1"].say(InstanceId("camera", "n1"), str(number))
        await site.clock.advance(0.1)
        slow = asked(site, session="slow", of=OF[:1])
        await site.clock.advance(0.1)
        answer = slow.result()
        assert isinstance(answer, LogFollowAnswer) and answer.missed == 100 and answer.lines[0].text == "100"

"""Documents of a simulated farm come into the public store once each, also when the farm fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from countingroom.core.errors import LinkError
from countingroom.mirror.store.values import Cursor
from tests.grabber_stand import BU, HOSTS, GrabberStand, approved, grabber_stand, redactor

FU = HOSTS[0]


@pytest_asyncio.fixture
async def stand(tmp_path: Path) -> AsyncIterator[GrabberStand]:
    async with grabber_stand(f"sqlite:///{tmp_path / 'public.sqlite'}") as made:
        yield made


async def test_what_is_stored_tells_the_run_and_no_name_of_the_inside(stand: GrabberStand) -> None:
    computer = stand.farm.computers[FU]
    (document, *_) = computer.documents(computer.ids)
    log = document["extra"]["stdlog_start"]
    stand.redactor = redactor(approved(log))
    grabber = stand.grabber()
    assert await grabber.cycle() == 5
    assert await stand.is_complete(FU)
    id = stand.redactor.lasting("document", "farm", FU, document["_id"]).value
    row = (await stand.stored())[id]
    assert (row.run, row.client) == (stand.farm.run, document["tag"].removesuffix("_dqm_sourceclient-live"))
    assert row.at == round(document["timestamp"] * 1e6)
    assert row.body["memory_bytes"] == int(document["extra"]["ps_info"]["VmRSS"].split()[0]) * 1024
    assert (row.body["release"], row.body["state"], row.body["ended"]) == ("CMSSW_15_0_3", "starting", False)
    lines = await stand.reader.log("production", id)
    assert lines is not None
    assert len(lines["log_start"]) == len(log)
    everything = json.dumps([row.body, row.source, lines])
    assert "c2f11" not in everything
    assert str(document["pid"]) not in everything
    assert "/fff" not in everything
    (source,) = [one for one in await stand.reader.sources() if one.kind == "host"]
    assert (source.taken, source.withheld, source.contact_at > 0) == (len(await stand.stored()), 0, True)
    assert source.lines_withheld < source.lines


async def test_a_builder_with_5000_foreign_headers_does_not_stall(stand: GrabberStand) -> None:
    grabber = stand.grabber(BU)
    await grabber.cycle()
    await stand.simulator.fault("foreign", {"headers": 5000})
    stand.farm.go_on(1_796_000_000.0)
    await grabber.cycle()
    assert await stand.stored("graph")
    (graph,) = (await stand.stored("graph")).values()
    assert graph.body["streams"]["DQM"]["lumis"] == [1]
    assert graph.at == 1_796_000_000_000_000
    cursors = await stand.store.cursors("farm")
    assert list(cursors.values()) == [stand.farm.computers[BU].rev], "it counts the headers that were seen"


async def test_two_builders_have_a_graph_each_of_the_same_run(tmp_path: Path) -> None:
    async with grabber_stand(f"sqlite:///{tmp_path / 'p.sqlite'}", bu=2) as stand:
        builders = [one.hostname for one in stand.farm.builders]
        for one in builders:
            await stand.grabber(one).cycle()
        rows = list((await stand.stored("graph")).values())
        assert [one.run for one in rows] == [stand.farm.run] * 2
        assert len({one.source for one in rows}) == 2


async def test_a_lost_document_is_passed_over(stand: GrabberStand) -> None:
    await stand.simulator.fault("lose", {"host": FU})
    grabber = stand.grabber()
    assert await grabber.cycle() == 5
    assert await stand.is_complete(FU)
    assert list((await stand.store.cursors("farm")).values()) == [stand.farm.computers[FU].rev]


async def test_a_document_that_changes_again_while_it_is_read_is_stored_once(stand: GrabberStand) -> None:
    grabber = stand.grabber()
    await grabber.cycle()
    for number in range(3):
        stand.farm.go_on(1_796_000_000.0 + number)
        await grabber.cycle()
        assert await stand.is_complete(FU)
    before = (await stand.reader.version()).number
    await grabber.cycle()
    assert (await stand.reader.version()).number == before, "the last header comes again, and is not written again"


@pytest.mark.parametrize("fault", ["refuse", "garbage", "drop"])
async def test_a_failure_has_a_pause_that_grows_and_harms_nothing(stand: GrabberStand, fault: str) -> None:
    grabber = stand.grabber()
    await grabber.cycle()
    stand.farm.go_on(1_796_000_000.0)
    await stand.simulator.fault(fault, {})
    pauses = [await grabber.cycle() for _ in range(8)]
    assert min(pauses) >= 2.5, "never without a pause"
    assert 30 <= pauses[-1] <= 60
    assert len(set(pauses)) == len(pauses), "a random part keeps computers apart"
    assert grabber.trouble == {"refuse": "refused", "garbage": "bad_answer", "drop": "not_reached"}[fault]
    assert not grabber.state().is_connected
    await stand.simulator.fault("restore", {})
    assert await grabber.cycle() == 5
    assert await stand.is_complete(FU)


async def test_a_dead_computer_delays_no_other(stand: GrabberStand) -> None:
    await stand.simulator.fault("dead", {"host": FU})
    dead = stand.grabber(FU, timeout_s=0.5)
    hangs = asyncio.create_task(dead.cycle())
    begun = time.monotonic()
    for one in HOSTS[1:]:
        await stand.grabber(one).cycle()
    assert await stand.is_complete(*HOSTS[1:])
    assert not hangs.done() or time.monotonic() - begun > 0.4
    await hangs
    assert dead.trouble == "no_answer"


async def test_a_websocket_gives_the_same(stand: GrabberStand) -> None:
    grabber = stand.grabber("", websocket=True)
    for number in range(2):
        assert await grabber.cycle() == 5
        assert {one.revision for one in (await stand.stored()).values()} == set(stand.expected(FU).values())
        stand.farm.go_on(1_796_000_000.0 + number)
    await stand.simulator.fault("drop", {})
    assert await grabber.cycle() > 1
    await stand.simulator.fault("restore", {})
    assert await grabber.cycle() == 5
    assert {one.revision for one in (await stand.stored()).values()} == set(stand.expected(FU).values())


async def test_an_upstream_that_counts_anew_is_read_again(stand: GrabberStand) -> None:
    grabber = stand.grabber()
    host = stand.redactor.lasting("cursor", FU)
    await stand.store.take(cursor=Cursor(upstream=stand.redactor.word("farm"), host=host, revision=10_000))
    await grabber.cycle()
    assert await stand.is_complete(FU)


async def test_a_store_that_fails_holds_the_position(stand: GrabberStand, monkeypatch: pytest.MonkeyPatch) -> None:
    take = stand.store.take
    outcomes = iter(("lost", "made and lost", "made"))

    async def failing(*given: Any, **more: Any) -> None:
        outcome = next(outcomes, "made")
        if outcome != "lost":
            await take(*given, **more)
        if outcome != "made":
            raise LinkError("the database did not answer", code="no_answer", source="storage")

    monkeypatch.setattr(stand.store, "take", failing)
    grabber = stand.grabber()
    await grabber.cycle()
    assert grabber.trouble == "store"
    assert await stand.stored() == {}
    await grabber.cycle()
    await grabber.cycle()
    assert await stand.is_complete(FU)
    (source,) = await stand.reader.sources()
    assert source.taken == len(await stand.stored()), "what was counted with a lost answer is not counted twice"


async def test_a_document_that_is_refused_for_ever_is_left_out(
    stand: GrabberStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    grabber = stand.grabber()
    link = stand.links[0]
    ask, poison = link.ask, stand.farm.computers[FU].ids[1]

    async def asked(message: str, host: str) -> list[str]:
        if poison in json.loads(message).get("ids", ()):
            raise LinkError("status 500", code="refused", source="mirror.upstreams.farm")
        return await ask(message, host)

    monkeypatch.setattr(link, "ask", asked)
    for _ in range(12):
        await grabber.cycle()
    rows = await stand.stored()
    assert stand.redactor.lasting("document", "farm", FU, poison).value not in rows
    assert len(rows) == len(stand.expected(FU)) - 1


async def test_each_change_of_the_cluster_is_kept_with_its_message(stand: GrabberStand) -> None:
    watch = stand.cluster()
    await watch.cycle()
    await stand.simulator.fault("dead", {"host": FU})
    for _ in range(3):
        stand.clock.step(30)
        await watch.cycle()
    hosts = await stand.reader.hosts("production")
    alias = stand.redactor.alias("host", FU).value
    assert sorted(one.host for one in hosts) == sorted(
        stand.redactor.alias("host", one).value for one in stand.farm.computers
    ), "one row for each computer, not one for each state"
    changes = await stand.reader.host_changes("production", alias)
    assert [(one.is_up, one.message) for one in changes] == [
        (False, "no answer from [name] within [int] s"),
        (True, ""),
    ]
    (source,) = await stand.reader.sources()
    assert (source.source, source.kind, source.is_connected) == ("farm/cluster/production", "cluster", True)
    for fault in ("refuse", "garbage"):
        await stand.simulator.fault(fault, {})
        await watch.cycle()
        assert watch.trouble in ("refused", "bad_answer")
        await stand.simulator.fault("restore", {})

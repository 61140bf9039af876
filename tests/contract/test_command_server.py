"""The contract of commands, over every kind of target that receives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from countingroom.bus import command_server
from countingroom.core import subjects
from countingroom.core.errors import Cause
from countingroom.core.messages import Event, EventKind, Reply, decode, encode
from tests.contract.command_servers import device, run_control, system, tiny
from tests.contract.command_servers.harness import Begin, Given, Target

BEGIN: dict[str, Begin] = {
    "device": device.begin,
    "partition": run_control.begin_partition,
    "experiment": run_control.begin_experiment,
    "system": system.begin,
    "tiny": tiny.begin,
}
MINUTE_NS = 60_000_000_000


@pytest_asyncio.fixture(params=list(BEGIN))
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    async with BEGIN[request.param]() as begun:
        yield begun


def cause_of(reply: Reply) -> Cause:
    assert not reply.accepted
    assert reply.cause
    assert reply.cause.suggestion
    return reply.cause


async def refused(target: Target, given: Given, code: str, **more: object) -> None:
    """It is refused in the name of the target, is on record, and has no effect."""
    reply = await target.give(given, **more)
    cause = cause_of(reply)
    assert (cause.code, cause.source) == (code, f"{target.department}.{target.name}")
    await target.clock.advance(0.5)
    assert [event.cause for event in await target.events(EventKind.REFUSED) if event.command_id == reply.id] == [cause]
    assert not await target.ends(reply.id)


async def test_a_malformed_message_is_refused_and_the_server_goes_on(target: Target) -> None:
    cause = cause_of(await target.request(b"\xc1"))
    assert (cause.code, cause.source) == ("malformed", f"{target.department}.{target.name}")
    assert (await target.end(target.do)).kind is EventKind.DONE
    assert await target.is_so()


async def test_a_command_that_comes_twice_acts_once(target: Target) -> None:
    assert (await target.end(target.do, id="same")).kind is EventKind.DONE
    assert (await target.end(target.undo)).kind is EventKind.DONE
    assert cause_of(await target.give(target.do, id="same")).code == "repeated"
    await target.clock.advance(1.0)
    assert not await target.is_so()
    assert len(await target.ends("same")) == 1


async def test_a_command_after_its_deadline_is_refused(target: Target) -> None:
    await refused(target, target.do, "too_late", deadline_ns=target.clock.now_ns() - 1)
    assert not await target.is_so()


async def told_of_clocks(target: Target) -> list[Event]:
    return [event for event in await target.events(EventKind.NOTE) if event.action == "clock"]


@pytest.mark.parametrize("ahead_s", [600, -600])
async def test_a_sender_whose_clock_is_wrong_is_served_and_the_difference_told_once(
    target: Target, ahead_s: int
) -> None:
    def sent(age_s: float = 0.0) -> dict[str, object]:
        wrong_ns = target.clock.now_ns() + ahead_s * 10**9
        issued_ns = wrong_ns - round(age_s * 1e9)
        return {"issued_ns": issued_ns, "deadline_ns": wrong_ns + 10**10, "within_s": 10.0, "age_s": age_s}

    assert (await target.end(target.do, seen_state=target.state, **sent(0.5))).kind is EventKind.DONE
    assert await target.is_so()
    assert (await target.end(target.undo, id="again", **sent())).kind is EventKind.DONE
    assert cause_of(await target.give(target.undo, id="again", **sent())).code == "repeated"
    assert cause_of(await target.give(target.do, seen_state="ELSEWHERE", **sent())).code == "state_changed"
    assert cause_of(await target.give(target.do, seen_state=target.state, **sent(3.0))).code == "too_old"
    (told,) = await told_of_clocks(target)
    assert "the clock of local" in told.message
    assert "600.0 s" in told.message
    sent_ns, received_ns = told.data["sent_ns"], told.data["received_ns"]
    assert isinstance(sent_ns, int)
    assert isinstance(received_ns, int)
    assert round((sent_ns - received_ns) / 1e9) == ahead_s


async def test_a_command_that_was_long_under_way_is_refused(target: Target) -> None:
    """It waited in a process that did not run, with others behind it; the earlier commands of its sender show it."""
    now = {"within_s": 10.0}
    assert (await target.end(target.do, **now)).kind is EventKind.DONE
    for _ in range(2):
        old_ns = target.clock.now_ns() - 20 * 10**9
        await refused(target, target.undo, "too_late", issued_ns=old_ns, deadline_ns=old_ns + 10**10, **now)
    assert await target.is_so()
    assert (await target.end(target.undo, **now)).kind is EventKind.DONE


async def test_a_decision_on_an_old_sight_is_refused(target: Target) -> None:
    issued_ns = target.clock.now_ns() - MINUTE_NS
    await refused(target, target.do, "too_old", seen_state=target.state, issued_ns=issued_ns)
    assert not await target.is_so()


async def test_a_decision_on_another_state_is_refused(target: Target) -> None:
    await refused(target, target.do, "state_changed", seen_state="ELSEWHERE")
    assert not await target.is_so()


async def test_a_decision_of_a_clock_that_is_ahead_is_refused(target: Target) -> None:
    issued_ns = target.clock.now_ns() + MINUTE_NS
    await refused(target, target.do, "clock_ahead", seen_state=target.state, issued_ns=issued_ns)
    assert not await target.is_so()


async def test_a_decision_on_the_present_state_is_carried_out(target: Target) -> None:
    assert (await target.end(target.do, seen_state=target.state)).kind is EventKind.DONE
    assert await target.is_so()


async def test_without_a_seen_state_the_clock_of_the_sender_does_not_matter(target: Target) -> None:
    ahead_ns = target.clock.now_ns() + MINUTE_NS
    assert (await target.end(target.do, issued_ns=ahead_ns)).kind is EventKind.DONE


async def test_without_room_a_command_is_refused(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_server, "UNDER_WAY", 0)
    await refused(target, target.do, "busy")


async def test_an_unknown_command_is_refused(target: Target) -> None:
    await refused(target, Given("explode"), "not_found")


async def test_an_unknown_argument_is_refused(target: Target) -> None:
    await refused(target, target.unknown_argument, "unknown_argument")


async def test_a_missing_argument_is_refused(target: Target) -> None:
    await refused(target, target.missing_argument, "missing_argument")


async def test_a_command_for_what_is_so_already_is_done(target: Target) -> None:
    end = await target.end(target.already)
    assert end.kind is EventKind.DONE
    assert end.message.startswith("nothing to be done: ")
    assert end.cause is None


async def test_the_reply_comes_first_and_the_state_before_the_closing_event(target: Target) -> None:
    order: list[str] = []
    command = target.command(target.do)
    ends: list[Event] = []

    async def ask() -> None:
        await target.bus.request(target.subject, encode(command), timeout_s=60.0)
        order.append("reply")

    async def listen() -> None:
        async with target.bus.subscribe(subjects.event(target.department, target.name)) as events:
            async for message in events:
                event = decode(message.data, Event)
                if event.command_id == command.id and event.kind is EventKind.DONE:
                    order.append("state" if await target.is_so() else "no state")
                    order.append("end")
                    ends.append(event)

    listening = asyncio.create_task(listen())
    await target.clock.advance(0)
    asking = asyncio.create_task(ask())
    for _ in range(100):
        await target.clock.advance(0.05)
    listening.cancel()
    await asking
    assert order == ["reply", "state", "end"]
    assert ends[0].positions["state"] > 0


async def test_a_command_that_fails_has_one_closing_event_with_its_cause(target: Target) -> None:
    reply = await target.give(await target.prepare_failure())
    assert reply.accepted, str(reply.cause)
    if target.name == "A":  # a goal fails when another takes its place
        await target.end(Given("abort"))
    for _ in range(20):
        await target.clock.advance(1.0)
    (end,) = await target.ends(reply.id)
    assert end.kind is EventKind.FAILED
    assert end.severity == 3
    assert end.cause
    assert end.cause.source


async def test_a_command_under_way_when_its_target_stops_ends_as_not_known(target: Target) -> None:
    reply = await target.give(await target.prepare_endless())
    assert reply.accepted, str(reply.cause)
    await target.clock.advance(0.2)
    await target.stop()
    (end,) = await target.ends(reply.id)
    assert (end.kind, end.cause and end.cause.code) == (EventKind.FAILED, "owner_stopped")

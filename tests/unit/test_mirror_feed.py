"""The feed: what leaves, the outbox, and sending over a link that fails anywhere. None of the planted names leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.errors import Cause, LinkError
from countingroom.core.fleet.states import NodeState, ServiceState
from countingroom.core.messages import DeviceState, Event, EventKind, Link, Malformed, Presence
from countingroom.core.mirror import raw_records
from countingroom.core.mirror.default_policy import FEED_KINDS
from countingroom.core.mirror.feed import read_batch
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.publication import FeedRules, HeldBack, PublicRecord, WithheldRecord
from countingroom.core.mirror.raw_records import RawRecord, Sort
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.feed.journal import read_journal
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed.sender import REFUSED_S, FeedSender
from countingroom.mirror.store.values import RecordKind
from countingroom.testing.clock import FakeClock
from tests.feed_outside import Outside

NOW = 1_700_000_000_000_000_000
PLANTED = ["anna.rossi", "fu-c2f11-11-04", "10.176.20.33", "/nfs/secret/area51", "hunter2-token-9f8e"]
KEYS = Pseudonyms(b"k" * 32)


def publication(**never: list[str]) -> FeedRules:
    section = MirrorSection.model_validate({"publish": "default", "never": never})
    check = LastCheck(section.never.names())
    return FeedRules(Redactor(KEYS, check, section.records(), ()), KEYS, check, section.publish)


def records(text: str, name: str = "sts") -> Iterator[RawRecord]:
    """One of each kind, with a text wherever the inside has one."""
    cause = Cause(code="odd", message=text, source=text)
    yield raw_records.of_device(
        DeviceState(device=name, state=text, common=text, link=Link.CONNECTED, since_ns=NOW, cause=cause), None
    )
    yield raw_records.of_alarm(
        AlarmState(
            id=f"device.{name}.link",
            title=text,
            text=text,
            advice=text,
            comment=text,
            acknowledged_by=text,
            area=text,
            base=BaseState.UNACKNOWLEDGED,
            priority=1,
            occurrence=1,
            since_ns=NOW,
            changed_ns=NOW,
            device=text,
            value=text,
        )
    )
    yield raw_records.of_node(NodeState(node=text, address=text, url=text, since_ns=NOW, cause=cause))
    yield raw_records.of_service(ServiceState(service=name, title=text, version=text, since_ns=NOW, cause=cause))
    yield raw_records.of_role(
        Presence(role="runs", instance=text, boot="b", host=text, pid=1, interval_s=1, sent_ns=1, troubles=(text,)), NOW
    )
    reading = Reading(value=text, quality=Quality.GOOD, device_ns=NOW, received_ns=NOW, reason=text)
    yield raw_records.of_point(name, Point(name="t", label=text, unit=text), reading)
    event = Event(
        id="1",
        kind=EventKind.STATE,
        time_ns=NOW,
        department="devices",
        source=text,
        message=text,
        principal=text,
        action=text,
        before=text,
        after=text,
        channel=text,
        data={"run": 5, "x": text},
    )
    for found in (raw_records.of_event(7, event, {text}), raw_records.of_event(8, event)):
        assert found
        yield found
    over = Event(id="2", kind=EventKind.NOTE, time_ns=NOW, department="runs", source=name, message=text, principal=text)
    run = raw_records.of_run(msgspec.structs.replace(over, action="run_over", data={"run": 5, "end": text}))
    assert run
    yield run


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PLANTED), st.text(max_size=12), st.text(max_size=12), st.booleans())
def test_no_planted_name_leaves_by_any_field_or_key(name: str, before: str, after: str, is_known: bool) -> None:
    """Known names: the last check holds them. Unknown ones: no rule of the default lets a text like these through,
    but for a name that looks like the name of a device."""
    taking = publication(words=PLANTED if is_known else [])
    for raw in records(before + name + after if is_known else f"{before} {name}"):
        found = taking.take(raw)
        if isinstance(found, PublicRecord):
            left = f"{found.key} {found.body.decode()}"
            assert name not in left and (not is_known or LastCheck([("word", name)]).find(left) is None)


def test_what_leaves_of_each_kind_is_useful_and_keys_are_names_or_aliases() -> None:
    found = [publication().take(raw) for raw in records("a text, of a person", "sts")]
    taken = {f"{one.kind} {one.key}": msgspec.json.decode(one.body) for one in found if isinstance(one, PublicRecord)}
    assert len(taken) == len(found)
    assert taken["device sts"]["link"] == "connected" and "state" not in taken["device sts"]
    assert taken["alarm device.sts.link"]["priority"] == 1
    assert None not in taken["event 7"].values()
    assert taken["run 5"]["state"] == "ended" and taken["run 5"]["partition"] == "sts"
    node = KEYS.of("host", "a text, of a person")
    assert taken[f"node {node}"]["node"] == node == taken["event 7"]["node"]
    assert "source" not in taken["event 8"]
    assert taken["point sts/t"]["quality"] == "good"
    (role,) = [key for key in taken if key.startswith("role ")]
    assert role.startswith("role role-"), "an instance that may not leave is not in the key"


def test_an_alarm_of_a_node_has_the_name_only_as_an_alias() -> None:
    alarm = AlarmState(
        id="overdue.node.fu-c2f11-11-04.link",
        title="fu-c2f11-11-04",
        text="",
        base=BaseState.NORMAL,
        priority=2,
        occurrence=1,
        since_ns=NOW,
        changed_ns=NOW,
    )
    found = publication(hosts=["fu-c2f11-11-04"]).take(raw_records.of_alarm(alarm))
    assert isinstance(found, PublicRecord)
    assert found.key == f"overdue.node.link/{KEYS.of('host', 'fu-c2f11-11-04')}"


def test_a_canary_holds_its_record_back_and_is_told_as_one() -> None:
    raw = RawRecord(kind="device", key=("device",), at_ns=1, fields={"device": "x", "state": "trap 47"})
    held = publication(canaries=["trap47", "trap"], words=["trap"]).take(raw)
    assert isinstance(held, HeldBack) and held.is_canary and "trap" not in held.key
    assert publication().take(msgspec.structs.replace(raw, kind="user")) is None


def test_the_store_knows_the_kinds_of_the_feed() -> None:
    assert set(get_args(RecordKind)) >= FEED_KINDS


# The outbox


def record(key: str, number: int = 0, sort: Sort = Sort.STATE, kind: str = "device") -> PublicRecord:
    body = b"" if sort is Sort.GONE else msgspec.json.encode({"n": number, "pad": "x" * 100})
    return PublicRecord(kind=kind, key=key, at_ns=number, sort=sort, body=body)


@pytest.fixture(autouse=True)
def closed_outboxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each outbox is closed after its test: from Python 3.13 on a file of SQLite that is left open is a warning."""
    made: list[FeedOutbox] = []
    begin = FeedOutbox.__init__

    def begin_and_keep(self: FeedOutbox, *arguments: Any) -> None:
        begin(self, *arguments)
        made.append(self)

    monkeypatch.setattr(FeedOutbox, "__init__", begin_and_keep)
    yield
    for one in made:
        one.close()


@pytest.fixture
def outbox(tmp_path: Path) -> FeedOutbox:
    return FeedOutbox(tmp_path / "outbox.sqlite", 1 << 20, NOW)


def test_a_state_that_is_the_same_is_written_once_also_after_a_restart(outbox: FeedOutbox) -> None:
    assert outbox.add([record("a", 1), record("a", 1), record("b", 1)], NOW, {"events": 5}) == 2
    outbox.close()
    again = FeedOutbox(outbox.path, 1 << 20, NOW)
    assert again.add([record("a", 1), record("b", 2), record("c", 1, Sort.GONE)], NOW) == 1
    assert (again.position("events"), again.present("device"), again.feed) == (5, {"a", "b"}, again.feed)
    assert again.add([record("a", 0, Sort.GONE), record("a", 0, Sort.GONE)], NOW) == 1
    assert again.present("device") == {"b"} and again.waiting().records == 4
    again.acknowledged(again.last)
    assert again.waiting().records == 0 and again.add([record("a", 0, Sort.GONE)], NOW) == 0
    assert again.add([record("a", 1)], NOW) == 1, "it is there again"


def test_a_full_outbox_drops_the_oldest_history_and_no_present_state(tmp_path: Path) -> None:
    outbox = FeedOutbox(tmp_path / "outbox.sqlite", 20_000, NOW)
    outbox.add([record(f"s{number}") for number in range(10)], NOW)
    outbox.acknowledged(outbox.last)
    for first in (0, 50):
        outbox.add([record(str(number), number, Sort.ENTRY, "event") for number in range(first, first + 50)], NOW)
        outbox.acknowledged(outbox.last)
    assert outbox.waiting().dropped == 0 and outbox.waiting().bytes <= 20_000, "what was sent is dropped first"
    outbox.add([record(str(number), number, Sort.ENTRY, "event") for number in range(100, 300)], NOW)
    outbox.add([record("s0", number) for number in range(1, 100)], NOW)
    stands = outbox.waiting()
    assert stands.bytes <= 20_000 and 100 < stands.dropped < 300
    waiting = outbox.batch(1000, 1 << 20)
    assert waiting[-1].key == "s0" and msgspec.json.decode(waiting[-1].body)["n"] == 99
    assert [one.sequence for one in waiting] == sorted(one.sequence for one in waiting)
    assert len(waiting) == stands.records
    outbox.acknowledged(0)
    assert {one.key for one in outbox.batch(1000, 1 << 20)} >= {f"s{number}" for number in range(10)}
    outbox.add([record(str(number), 1, kind="run") for number in range(600)], NOW)
    assert len(outbox.present("run")) == 500, "of runs only so many count as present"


def test_the_journal_tells_what_left_in_a_time(outbox: FeedOutbox) -> None:
    outbox.add([record("a", 1)], NOW)
    outbox.acknowledged(outbox.last)
    outbox.add([record("b", 1), record("7", 1, Sort.ENTRY, "event")], NOW + 10)
    found = read_journal(outbox.path, NOW, NOW + 11)
    assert [(one.key, one.sent) for one in found.records] == [("a", True), ("b", False), ("7", False)]
    assert [one.key for one in read_journal(outbox.path, NOW + 1, NOW + 11, ["event"]).records] == ["7"]
    assert read_journal(outbox.path, NOW, NOW + 11, most=1).more == 2


def test_what_stays_inside_is_counted_once_also_after_a_restart(outbox: FeedOutbox) -> None:
    lines = msgspec.structs.replace(record("a", 1), lines=10, lines_withheld=4)
    states = [WithheldRecord(kind="alarm", key="k", mark=mark) for mark in ("m1", "m1", "m2")]
    outbox.add([lines, lines], NOW, withheld=[*states, WithheldRecord(kind="event"), WithheldRecord(kind="event")])
    outbox.close()
    again = FeedOutbox(outbox.path, 1 << 20, NOW)
    again.add([lines], NOW, withheld=[states[-1]])
    told = {one.kind: (one.records, one.lines, one.lines_withheld) for one in again.withheld()}
    assert told == {"alarm": (2, 0, 0), "device": (0, 10, 4), "event": (2, 0, 0)}
    with pytest.raises(LinkError):
        broken: Any = {"events": object()}  # the last of the transaction: what was counted before it is undone
        again.add([record("b", 1)], NOW, broken, [WithheldRecord(kind="event")])
    assert again.withheld()[2].records == 2, "what was not written was not counted"
    again.begin_anew(NOW)
    assert again.withheld() == (), "they were told under the id before"


def test_what_is_counted_of_a_state_that_stays_inside_does_not_tell_it() -> None:
    raw = RawRecord(kind="alarm", key=("alarm",), at_ns=1, fields={"alarm": "planted-name", "text": "planted-text"})
    held = publication(words=["planted-name"]).take(raw)
    assert isinstance(held, HeldBack) and held.withheld.mark and "planted" not in f"{held.withheld}"
    strange = msgspec.structs.replace(raw, fields={"strange": "planted-text"})
    found = publication().take(strange)
    assert isinstance(found, WithheldRecord) and "planted" not in f"{found}"
    other = publication().take(msgspec.structs.replace(strange, fields={"strange": "another"}))
    assert isinstance(other, WithheldRecord) and (other.key, other.mark != found.mark) == (found.key, True)
    entry = publication().take(msgspec.structs.replace(strange, sort=Sort.ENTRY))
    assert entry == WithheldRecord(kind="alarm")


# Sending


async def deliver(outbox: FeedOutbox, outside: Outside, clock: FakeClock, seconds: float = 200.0) -> None:
    sender = FeedSender(outbox, outside, clock)
    task = asyncio.create_task(sender.run())
    await clock.advance(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["", "before", "after", "restart"]), max_size=8), st.integers(1, 12))
def test_whatever_fails_each_record_comes_once_and_in_order(
    tmp_path_factory: Any, faults: list[str], many: int
) -> None:
    async def run() -> None:
        path = tmp_path_factory.mktemp("feed") / "outbox.sqlite"
        outbox, outside, clock = FeedOutbox(path, 1 << 20, NOW), Outside(), FakeClock()
        for number in range(many):
            outbox.add([record(str(number), number, Sort.ENTRY, "event")], NOW, withheld=[WithheldRecord(kind="event")])
            fault = faults[number] if number < len(faults) else ""
            if fault == "restart":
                outbox.close()
                outbox = FeedOutbox(path, 1 << 20, NOW)
            elif fault:
                outside.faults.append(fault)
            await deliver(outbox, outside, clock, 3.0)
        await deliver(outbox, outside, clock)
        assert outside.keys() == [str(number) for number in range(many)]
        assert outside.withheld == {"event": (many, 0, 0)}
        assert outbox.waiting().records == 0
        outbox.close()

    asyncio.run(run())


async def left_out(outbox: FeedOutbox, outside: Outside, clock: FakeClock, seconds: float) -> list[tuple[str, str]]:
    """What is told of records that are left out: their kind, and the code of the reason."""
    told: list[tuple[str, str]] = []
    sender = FeedSender(outbox, outside, clock, left_out=lambda one, cause: told.append((one.kind, cause.code)))
    task = asyncio.create_task(sender.run())
    for _ in range(300):
        await clock.advance(seconds / 300)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told


def mixed() -> list[PublicRecord]:
    """Records of two kinds, of which each tenth is a note."""
    return [record(str(one), one, kind="device" if one % 10 else "note") for one in range(200)]


async def test_a_kind_that_the_outside_does_not_know_stops_no_other(outbox: FeedOutbox) -> None:
    outside, clock = Outside(), FakeClock()
    outside.refuses = {"note": "receiver_kind"}
    outbox.add(mixed(), NOW)
    assert await left_out(outbox, outside, clock, 5) == [("note", "receiver_kind")]
    assert outside.keys() == [str(one) for one in range(200) if one % 10]
    assert outbox.waiting().records == 0
    outside.refuses = {}
    assert outbox.add(mixed(), NOW) == 20, "they count as not told"
    assert await left_out(outbox, outside, clock, 5) == []
    assert outside.keys()[180:] == [str(one) for one in range(200) if not one % 10]


async def test_what_an_older_outside_refuses_is_left_out_after_a_time(outbox: FeedOutbox) -> None:
    outside, clock = Outside(), FakeClock()
    outside.refuses = {"note": "receiver_refused"}
    outbox.add(mixed(), NOW)
    assert await left_out(outbox, outside, clock, REFUSED_S / 2) == []
    assert outside.rows == []
    assert await left_out(outbox, outside, clock, REFUSED_S + 60) == [("note", "receiver_refused")]
    assert outside.keys() == [str(one) for one in range(200) if one % 10]


async def test_a_refusal_that_passes_leaves_nothing_out(outbox: FeedOutbox) -> None:
    outside, clock = Outside(), FakeClock()
    outside.refuses = {"note": "receiver_refused", "device": "receiver_refused"}
    outbox.add([*mixed(), record("0", 0, Sort.GONE, "note")], NOW)
    sender = FeedSender(outbox, outside, clock)
    task = asyncio.create_task(sender.run())
    await clock.advance(REFUSED_S - 60)
    assert sender.cause and sender.cause.code == "receiver_refused"
    outside.refuses = {}
    for _ in range(60):
        await clock.advance(1)
    task.cancel()
    assert outside.keys() == [*(str(one) for one in range(200)), "0"]
    assert sender.left_out == {}


def test_a_record_that_is_left_out_is_as_if_it_was_not_written(outbox: FeedOutbox) -> None:
    outbox.add([record("a", 1), record("b", 1), record("7", 1, Sort.ENTRY, "event")], NOW)
    before = outbox.waiting()
    for one in outbox.batch(9, 1 << 20)[1:]:
        outbox.leave_out(one.sequence)
        outbox.leave_out(one.sequence)  # again: no effect
    after = outbox.waiting()
    assert (before.records, after.records, after.last) == (3, 1, before.last)
    outbox.close()
    again = FeedOutbox(outbox.path, 1 << 20, NOW)
    assert again.waiting() == after, "the counts are right"
    again.add([record("a", 0, Sort.GONE)], NOW)
    again.acknowledged(again.last - 1)
    again.leave_out(again.last)
    assert again.add([record("a", 0, Sort.GONE), record("b", 0, Sort.GONE)], NOW) == 1, "b may be outside from before"


async def test_an_outside_that_has_lost_what_it_had_gets_again_what_is_still_there(outbox: FeedOutbox) -> None:
    outside, clock = Outside(), FakeClock()
    outbox.add([record("a", 1), record("b", 1)], NOW)
    await deliver(outbox, outside, clock, 1)
    outside.last, outside.rows = 0, []
    await deliver(outbox, outside, clock, 30)
    assert outside.keys() == ["a", "b"]


async def test_an_outbox_from_a_backup_begins_anew_with_all_present_states(tmp_path: Path) -> None:
    outbox, outside, clock = FeedOutbox(tmp_path / "o", 1 << 20, NOW), Outside(), FakeClock(NOW + 10**9)
    outbox.add([record("a", 1), record("7", 1, Sort.ENTRY, "event")], NOW)
    await deliver(outbox, outside, clock, 1)
    outside.last += 1000
    feed = outbox.feed
    outbox.add([record("b", 1)], NOW)
    await deliver(outbox, outside, clock, 30)
    assert outbox.feed != feed and outside.keys() == ["a", "7", "a", "b"]
    assert outbox.waiting().records == 0 and outside.last > NOW // 1000 + 1_000_000


async def test_without_news_a_sign_of_life_is_sent_and_a_lost_link_is_told_once(outbox: FeedOutbox) -> None:
    outside, clock = Outside(), FakeClock()
    sender = FeedSender(outbox, outside, clock)
    task = asyncio.create_task(sender.run())
    await clock.advance(25)
    assert (outside.batches, sender.cause) == (3, None)
    outside.faults = ["before"] * 3
    await clock.advance(7)
    assert sender.cause and sender.cause.message == "cut"
    outbox.add([record("a", 1)], NOW)
    sender.news()
    await clock.advance(10)
    assert sender.cause is None and outside.keys() == ["a"]
    task.cancel()


@pytest.mark.parametrize(
    "wrong",
    [
        b"{}",
        b"[",
        b'{"feed":"12345678","after":3,"sent_ns":1,"records":[{"sequence":3,"kind":"run","key":"1","at_ns":1,"sort":"state","body":{}}]}',
        b'{"feed":"12345678","after":0,"sent_ns":1,"records":[{"sequence":3,"kind":"run","key":"1","at_ns":1,"sort":"state","body":[1]}]}',
        b'{"feed":"12345678","after":-1,"sent_ns":1}',
    ],
)
def test_what_is_no_batch_is_malformed(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        read_batch(wrong)

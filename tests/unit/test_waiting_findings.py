"""Findings wait in their order; in a flood the most urgent devices and partitions come first."""

from __future__ import annotations

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found
from countingroom.alarms.engine.waiting_findings import WaitingFindings
from countingroom.core.alarms.states import LOWEST_PRIORITY


def waiting() -> WaitingFindings:
    return WaitingFindings(lambda _, finding: finding.level)


def found(device: str, point: str = "p", level: int = 3, *, partition: str = "", blames: str = "") -> Found:
    id = f"point.{device or partition}.{point}"
    subject = AlarmSubject(id=id, title=point, device=device, partition=partition, point=point if device else "")
    return subject, AlarmFinding(level=level, since_ns=0, blames=blames)


def names(taken: list[Found]) -> list[str]:
    return [subject.id.removeprefix("point.") for subject, _ in taken]


def test_few_findings_are_taken_at_once_in_their_order() -> None:
    queue = waiting()
    assert queue.add([found("b"), found("a", level=1)])
    assert not queue.add([])
    queue.add([found("b", "q")])
    assert names(queue.take(3)) == ["b.p", "a.p", "b.q"]
    assert len(queue) == 0
    assert queue.take(3) == []


def test_of_many_those_of_the_most_urgent_device_come_first_and_stay_together() -> None:
    queue = waiting()
    queue.add([found("a"), found("b"), found("c"), found("b", "q", level=1), found("a", "q")])
    assert names(queue.take(2)) == ["b.p", "b.q"]
    queue.add([found("d", level=2), found("a", "r")])
    assert names(queue.take(1)) == ["d.p"]
    assert names(queue.take(3)) == ["a.p", "a.q", "a.r"]
    assert len(queue) == 1
    assert names(queue.take(9)) == ["c.p"]
    assert len(queue) == 0


def test_a_partition_is_taken_together_with_the_device_that_it_blames() -> None:
    queue = waiting()
    queue.add([found("a"), found("b"), found("", "DCS", level=1, partition="mCBM", blames="b"), found("c")])
    assert names(queue.take(1)) == ["b.p", "mCBM.DCS"]
    assert names(queue.take(9)) == ["a.p", "c.p"]


def test_of_a_device_with_more_than_are_taken_at_once_the_urgent_alarms_come_first() -> None:
    queue = waiting()
    queue.add([found("a", f"p{number}") for number in range(4)])
    queue.add([found("a", "p2", level=1), found("b", level=2)])
    assert names(queue.take(2)) == ["a.p2", "a.p2"]
    assert names(queue.take(2)) == ["b.p", "a.p0", "a.p1"]
    queue.add([found("a", "p4", level=2)])
    assert names(queue.take(1)) == ["a.p4"]
    assert names(queue.take(1)) == ["a.p3"]
    assert len(queue) == 0
    assert queue.take(1) == []


def test_of_equally_urgent_alarms_of_a_large_device_the_possible_causes_come_first() -> None:
    queue = waiting()
    state = AlarmSubject(id="device.a.state", title="a", device="a")
    channel = AlarmSubject(id="channel.a.1", title="a", device="a", channel="1")
    finding = AlarmFinding(level=2, since_ns=0)
    queue.add([(state, finding), (channel, finding), found("a", "p", level=2), found("a", "q", level=3)])
    assert [subject.id for subject, _ in queue.take(2)] == ["point.a.p", "channel.a.1"]
    assert [subject.id for subject, _ in queue.take(2)] == ["device.a.state", "point.a.q"]


def test_a_partition_waits_for_all_of_a_large_device_that_it_blames() -> None:
    queue = waiting()
    queue.add([found("", "DCS", level=1, partition="mCBM", blames="b"), found("c", level=2)])
    queue.add([found("b", f"p{number}") for number in range(3)])
    assert names(queue.take(2)) == ["b.p0", "b.p1"]
    queue.add([found("d", level=0)])
    assert names(queue.take(2)) == ["d.p", "b.p2", "mCBM.DCS"]
    assert names(queue.take(2)) == ["c.p"]
    assert len(queue) == 0


def test_a_lost_link_comes_before_more_urgent_consequences_of_a_large_device() -> None:
    queue = waiting()
    link = AlarmSubject(id="device.a.link", title="a", device="a")
    queue.add([*(found("a", f"p{number}", level=1) for number in range(4)), (link, AlarmFinding(level=2, since_ns=0))])
    assert [subject.id for subject, _ in queue.take(2)] == ["device.a.link", "point.a.p0"]


def test_what_announces_nothing_is_taken_whole() -> None:
    queue = waiting()
    queue.add([found("a", f"p{number}", level=LOWEST_PRIORITY + 1) for number in range(4)])
    queue.add([found("a", f"q{number}", level=2) for number in range(3)])
    assert names(queue.take(2)) == ["a.q0", "a.q1"]
    assert names(queue.take(2)) == ["a.q2", "a.p0"]
    assert names(queue.take(1)) == ["a.p1", "a.p2", "a.p3"]
    assert len(queue) == 0

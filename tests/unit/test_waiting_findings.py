"""Findings wait in their order; in a flood the most urgent devices and partitions come first."""

from __future__ import annotations

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found
from countingroom.alarms.engine.waiting_findings import WaitingFindings


def waiting() -> WaitingFindings:
    return WaitingFindings(lambda _, finding: finding.level)


def found(device: str, point: str = "p", level: int = 3, *, partition: str = "", blames: str = "") -> Found:
    subject = AlarmSubject(id=f"point.{device or partition}.{point}", title=point, device=device, partition=partition)
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
    assert names(queue.take(1)) == ["a.p", "a.q", "a.r"]
    assert len(queue) == 1
    assert names(queue.take(9)) == ["c.p"]
    assert len(queue) == 0


def test_a_partition_is_taken_together_with_the_device_that_it_blames() -> None:
    queue = waiting()
    queue.add([found("a"), found("b"), found("", "DCS", level=1, partition="mCBM", blames="b"), found("c")])
    assert names(queue.take(1)) == ["b.p", "mCBM.DCS"]
    assert names(queue.take(9)) == ["a.p", "c.p"]

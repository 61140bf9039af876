"""A replay takes nothing for missing before an engine that begins then would."""

from __future__ import annotations

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.evaluation import Evaluation
from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Limits, Point
from countingroom.core.start_up import HEARD_S, START_UP_S

T0 = 1_790_000_000_000_000_000
DEVICES = ("one", "two")
POINTS = (Point(name="a", limits=Limits(alarm_high=3.0)),)
CATALOGUES = [Catalogue(device=name, title=name, driver="x", group="g", points=POINTS) for name in DEVICES]


def at(seconds: float) -> int:
    return T0 + round(seconds * 1e9)


def reading(device: str, seconds: float, point: str = "a") -> Readings:
    return Readings(
        device=device,
        boot="b",
        sequence=1,
        full=False,
        sent_ns=at(seconds),
        points=[point],
        values=[1.0],
        qualities=[0],
        device_ns=[at(seconds)],
        received_ns=[at(seconds)],
    )


def begun(monkeypatch: pytest.MonkeyPatch) -> tuple[AlarmReplay, list[float]]:
    """A replay, and the time at which it takes what was not heard for missing, in s since its begin."""
    subject = AlarmReplay(Definitions(AlarmsSection()), CATALOGUES, T0, devices=DEVICES)
    known: list[float] = []
    tell = Evaluation.all_known

    def all_known(self: Evaluation, now_ns: int) -> None:
        known.append((now_ns - T0) / 1e9)
        tell(self, now_ns)

    monkeypatch.setattr(Evaluation, "all_known", all_known)
    return subject, known


def test_devices_that_are_heard_are_known_after_the_first_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, known = begun(monkeypatch)
    for device in DEVICES:
        subject.read(reading(device, 1.0))
    subject.pass_time(at(60))
    assert known == [HEARD_S]


def test_a_device_that_is_not_heard_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, known = begun(monkeypatch)
    subject.read(reading("one", 1.0))
    subject.pass_time(at(60))
    assert known == [START_UP_S]


def test_the_wait_ends_when_the_last_one_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, known = begun(monkeypatch)
    subject.read(reading("one", 1.0))
    subject.read(reading("two", 7.0))
    subject.pass_time(at(60))
    assert known == [7.0]


def test_a_host_that_was_alive_is_heard_too(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, known = begun(monkeypatch)
    subject.served("one", True, at(1.0))
    subject.served("two", False, at(1.0))
    subject.served("two", True, at(9.0))
    subject.pass_time(at(60))
    assert known == [9.0]

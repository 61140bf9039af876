"""Variables without an update are asked in turn: each once in `refresh`, and never too many together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.drivers.epics.silent import MOST_AT_ONCE, SilentVariables
from countingroom.devices.host.notes import of_reports
from countingroom.devices.port import Sample
from tests.unit.test_epics_confirm import Access, Monitors, update


def samples(count: int) -> dict[str, Sample]:
    return {f"v{number}": Sample(point=f"v{number}", value=1.0) for number in range(count)}


def test_each_variable_without_an_update_has_one_turn_in_each_refresh() -> None:
    latest = samples(120)
    silent = SilentVariables(latest, 60.0)
    asked = [silent.due(latest, latest.keys(), float(second)) for second in range(181)]
    assert not any(asked[:61])  # the first turn only notes what each has
    assert all(len(names) == 2 for names in asked[61:])
    assert sorted(name for names in asked[61:121] for name in names) == sorted(latest)


def test_a_variable_with_updates_is_not_asked() -> None:
    latest = samples(2)
    silent = SilentVariables(latest, 10.0)
    for second in range(60):
        latest["v0"] = Sample(point="v0", value=float(second))
        assert "v0" not in silent.due(latest, latest.keys(), float(second))


def test_after_a_long_pause_they_are_asked_in_parts() -> None:
    latest = samples(1000)
    silent = SilentVariables(latest, 1.0)
    counts = [len(silent.due(latest, latest.keys(), 1000.0 * turn)) for turn in range(1, 12)]
    assert max(counts) == MOST_AT_ONCE


def test_the_second_difference_counts_unless_an_update_came() -> None:
    latest = samples(1)
    last, other = latest["v0"], Sample(point="v0", value=2.0)
    silent = SilentVariables(latest, 1.0)
    assert not silent.is_forgotten("v0", last, other)
    assert silent.due(latest, {"v0"}, 0.0) == ["v0"]
    assert silent.is_forgotten("v0", last, other)
    assert not silent.is_forgotten("v0", last, None)
    latest["v0"] = other
    assert silent.due(latest, {"v0"}, 0.0) == []
    assert not silent.is_forgotten("v0", other, None)
    later = Sample(point="v0", value=2.0, device_ns=5)
    assert not silent.is_forgotten("v0", other, later)  # the record was processed, and has the same value
    assert silent.due(latest, {"v0"}, 0.0) == []


class Forgetting(Monitors):
    """Its server sends one update, and has another value, or no answer for this variable."""

    def __init__(self, now: Any) -> None:
        super().__init__(now)
        self.again: list[str] = []

    def resubscribe(self, pvs: Collection[str]) -> None:
        self.again += pvs


async def seen_with(now: Any) -> tuple[Sample, list[str], list[str]]:
    monitors = Forgetting(None)
    section = EpicsSection.model_validate({"driver": "epics", "values": {"v": {"pv": "x"}}, "refresh": 0.001})
    driver = EpicsDriver([Variable(pv="x", point=Point(name="v"))], section, Access(monitors), source="devices.any")
    await driver.connect()
    notes: list[str] = []
    monitors.now = now
    for _ in range(12):
        await asyncio.sleep(0.002)
        await driver.prove()
        notes += [note.message for note in of_reports("any", driver)]
    (latest,) = driver._latest.values()  # pyright: ignore[reportPrivateUsage]  (`read` needs a link)
    return latest, monitors.again, notes


async def test_another_value_is_taken_and_told_once() -> None:
    latest, again, notes = await seen_with(update(2.0, 9))
    assert (latest.value, latest.quality) == (2.0, Quality.GOOD)
    assert again == ["x"]
    assert notes == ["any: changes of x were not sent by the server; subscribed again"]


async def test_a_variable_without_an_answer_is_stale_while_others_answer() -> None:
    latest, again, notes = await seen_with(None)
    assert (latest.value, latest.quality) == (1.0, Quality.STALE)
    assert "x: its server answers for other variables, but not for this one" in latest.reason
    assert again == ["x"]
    assert len(notes) == 1

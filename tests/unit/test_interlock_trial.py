"""A proof test by simulation against the real step of an interlock, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from countingroom.cli.interlock_trial import Trial, TrialFinding, in_words, states_of
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError, LinkError, NotFound
from countingroom.core.interlocks.chart import TIME_PASSED, initial, step
from countingroom.core.interlocks.events import InputReading, InterlockEvent, ReportEffect, ResetInterlock
from countingroom.core.interlocks.specs import CauseTest, InterlockSpec, SimulatorFault
from countingroom.core.interlocks.states import InterlockState, Truth
from countingroom.core.policy import Role
from tests.unit.interlock_specs import cause, interlock

SECOND = 1_000_000_000
FREEZE = SimulatorFault(device="chiller", fault="freeze")
THAW = SimulatorFault(device="chiller", fault="restore")
TEST = CauseTest(simulate=FREEZE, restore=THAW, trip_ns=12 * SECOND, within_ns=10 * SECOND)


def spec(*, latch: bool = True) -> InterlockSpec:
    hot = replace(cause("hot", on_ns=2 * SECOND), test=TEST)
    return interlock(hot, cause("other"), cells={("hot", "off"): 3 * SECOND, ("other", "stop"): 0}, latch=latch)


class Moved(SystemClock):
    """A clock that a test moves on. Nothing here sleeps."""

    def __init__(self) -> None:
        self.seconds = 1000

    def now_ns(self) -> int:
        return self.seconds * SECOND

    def monotonic(self) -> float:
        return float(self.seconds)


class Plant:
    """A plant whose value is true two seconds after the fault, and false one second after it has ended."""

    def __init__(self, of: InterlockSpec) -> None:
        self.clock = Moved()
        self.of = of
        self.now: dict[str, Truth] = {"hot": Truth.FALSE, "other": Truth.FALSE}
        self.coming: list[tuple[float, Truth]] = []
        self.trouble = ""
        self.done: list[str] = []
        self.heats = self.cools = True
        self.refused: CountingRoomError | None = None
        self.state = initial(of)
        self.take()

    def take(self, event: InterlockEvent = TIME_PASSED) -> None:
        inputs = {(name, 0): InputReading(truth) for name, truth in self.now.items()}
        self.state, _ = step(self.of, self.state, inputs, self.clock.now_ns(), event)

    def provoke(self, fault: SimulatorFault) -> None:
        self.done.append(fault.fault)
        if fault is FREEZE and self.heats:
            self.coming.append((self.clock.monotonic() + 2, Truth.STALE))
        if fault is THAW and self.cools:
            self.coming.append((self.clock.monotonic() + 1, Truth.FALSE))
        if self.refused:
            raise self.refused

    def reset(self) -> None:
        self.done.append("reset")
        self.take(ResetInterlock(by="eva", role=Role.ADMINISTRATOR))

    def states(self, until_s: float = 1e9) -> Iterator[InterlockState]:
        while self.clock.monotonic() < until_s:
            yield self.state
            self.clock.seconds += 1
            while self.coming and self.coming[0][0] <= self.clock.monotonic():
                self.now["hot"] = self.coming.pop(0)[1]
            self.take()
            effect = self.state.effect("off")
            if effect and effect.acting_ns is not None:
                self.take(ReportEffect(effect="off", trip=self.state.trip, trouble=self.trouble))


def tried(plant: Plant) -> tuple[TrialFinding, list[str]]:
    said: list[str] = []
    trial = Trial(plant, plant.states(), plant.clock, lambda _, text: said.append(text), "hot", TEST, 5.0)
    return trial.run(), said


@pytest.mark.parametrize("latch", [True, False])
def test_a_trip_with_its_effects_and_a_reset_is_passed(latch: bool) -> None:
    plant = Plant(spec(latch=latch))
    finding, said = tried(plant)
    assert finding.passed, finding
    assert (finding.tripped_s, finding.reached_s) == (2.0, {"off": 3.0})
    assert plant.done == ["freeze", "restore", *(["reset"] if latch else [])]
    assert not plant.state.is_tripped
    assert said == [
        "fault: chiller freeze",
        "cause hot is present",
        "cause hot has tripped",
        "effect off begins: caen.0 off",
        "effect off is reached",
        "fault ended: chiller restore",
        "cause hot is gone",
        "reset",
    ]


def test_no_trip_is_failed_after_the_delay_and_the_staleness() -> None:
    plant = Plant(spec())
    plant.heats = False
    finding, _ = tried(plant)
    assert finding.missing == ("no trip within 17 s (plant.hot0 is high: false)",)
    assert plant.done == ["freeze", "restore"]


def test_an_effect_that_is_not_reached_is_failed_and_the_interlock_is_reset() -> None:
    plant = Plant(spec())
    plant.trouble = "caen.0 off: not confirmed"
    finding, _ = tried(plant)
    assert finding.missing == ("effect off is not reached: caen.0 off: not confirmed",)
    assert plant.done == ["freeze", "restore", "reset"]
    assert not plant.state.is_tripped


def test_a_cause_that_stays_is_failed_and_not_reset() -> None:
    plant = Plant(spec())
    plant.cools = False
    finding, _ = tried(plant)
    assert finding.missing == ("hot still present after the fault has ended: not reset",)
    assert in_words(plant.state) == "cooling is tripped by hot, cause hot is present, effect off acts"


def test_nothing_is_provoked_where_a_cause_is_present() -> None:
    plant = Plant(spec())
    plant.now["other"] = Truth.MISSING
    plant.take()
    with pytest.raises(CountingRoomError, match="cannot begin"):
        tried(plant)
    assert plant.done == []


def test_the_fault_is_ended_when_the_feed_ends() -> None:
    plant = Plant(spec())
    trial = Trial(plant, plant.states(until_s=plant.clock.monotonic() + 2), plant.clock, print, "hot", TEST, 5.0)
    with pytest.raises(LinkError):
        trial.run()
    assert plant.done == ["freeze", "restore"]


def test_a_fault_that_cannot_be_ended_is_told_with_the_command_for_it() -> None:
    plant = Plant(spec())
    plant.refused = NotFound("there is no simulator")
    said: list[str] = []
    trial = Trial(plant, plant.states(), plant.clock, lambda _, text: said.append(text), "hot", TEST, 5.0)
    with pytest.raises(NotFound):
        trial.run()
    assert said == [
        "the fault may NOT be ended: there is no simulator",
        "end it with: countingroom simulate fault chiller restore",
    ]


def test_the_states_are_those_of_one_interlock_at_each_message() -> None:
    feed = [{"states": {"interlock.b": {"name": "b"}}}, {"states": {"interlock.a": {"name": "a"}}}, {"kind": "tick"}]
    assert [one.name for one in states_of("a", iter(feed))] == ["a", "a"]

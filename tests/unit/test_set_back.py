"""What lasts a time lasts so long, also when the wall clock is set back meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.core.notify.missed import missed, together
from countingroom.core.notify.routes import NotifyRoute, NotifySpec, Recipients
from countingroom.core.notify.set_back import not_ahead, set_back
from countingroom.core.notify.tracks import PlanState, Track
from countingroom.core.set_back import SetBackWatch
from countingroom.testing.clock import FakeClock

S = 1_000_000_000
SPEC = NotifySpec(
    routes={"r": NotifyRoute(name="r", to=("mail",), after_ns=30 * S)},
    directory=Recipients(channels=frozenset({"mail"})),
)


def state_of(**changes: Any) -> PlanState:
    given: dict[str, Any] = {"route": "r", "alarm": "a", "occurrence": 1, "announced_ns": 100 * S, "priority": 1}
    track = Track(**{**given, **changes})
    return PlanState(tracks={track.key: track}, sent={"r": (90 * S,)})


async def test_a_clock_that_is_set_back_is_noticed_once() -> None:
    clock = FakeClock()
    watch = SetBackWatch(clock)
    await clock.advance(5)
    assert watch.by_ns() == 0
    clock.step(-0.5)
    assert watch.by_ns() == 0
    await clock.advance(10)
    clock.step(-3600)
    await clock.advance(2)
    assert watch.by_ns() == 3600 * S
    assert watch.by_ns() == 0
    clock.step(3600)
    assert watch.by_ns() == 0


def test_all_times_of_steps_are_earlier_and_the_identity_stays() -> None:
    state, changed = set_back(state_of(step=1, first_ns=130 * S, due_ns=730 * S, remind_ns=1930 * S), 50 * S)
    (track,) = state.tracks.values()
    assert (track.announced_ns, track.first_ns, track.due_ns, track.remind_ns) == (100 * S, 80 * S, 680 * S, 1880 * S)
    assert (state.sent, changed.tracks, changed.sent) == ({"r": (40 * S,)}, dict(state.tracks), {"r": (40 * S,)})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"due_ns": 130 * S}, {"due_ns": 40 * S}),
        ({"due_ns": 20 * S}, {"due_ns": 20 * S}),
        ({"step": 1, "first_ns": 130 * S, "due_ns": 730 * S}, {"first_ns": 10 * S, "due_ns": 610 * S}),
        ({"step": 1, "first_ns": 5 * S, "due_ns": 605 * S}, {"due_ns": 605 * S}),
        ({"step": 1, "first_ns": 5 * S, "returned_ns": 130 * S}, {"returned_ns": 10 * S}),
    ],
)
def test_saved_times_that_lie_ahead_count_from_now(given: dict[str, Any], expected: dict[str, int]) -> None:
    state = not_ahead(SPEC, state_of(**given), 10 * S)
    (track,) = state.tracks.values()
    assert {name: getattr(track, name) for name in expected} == expected
    assert state.sent == {"r": (10 * S,)}


def test_a_track_of_the_copy_counts_where_it_has_come_further() -> None:
    saved = state_of(step=1)
    (key,) = saved.tracks
    assert together(saved, state_of(step=1).tracks) == {}
    assert together(saved, state_of(step=0).tracks) == {}
    assert together(saved, state_of(step=2).tracks)[key].step == 2
    assert together(PlanState(), saved.tracks) == dict(saved.tracks)


def test_a_track_whose_alarm_is_at_rest_ends() -> None:
    (row,) = missed(SPEC, state_of(step=1), {}, 200 * S)
    assert (row.kind.value, row.alarm, row.occurrence, row.time_ns) == ("returned", "a", 1, 200 * S)
    assert missed(SPEC, state_of(step=1, returned_ns=150 * S), {}, 200 * S) == []

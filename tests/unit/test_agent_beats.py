"""The heartbeats of the agents of one process go out together, and never later than they are promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.runs.agents.agent import BEAT_S, beat_pause_s


@given(st.floats(min_value=0, max_value=1e8))
def test_a_heartbeat_is_never_late_and_goes_out_at_a_tenth_of_a_second(now_s: float) -> None:
    pause_s = beat_pause_s(now_s)
    assert BEAT_S - 0.1 - 1e-6 <= pause_s <= BEAT_S + 1e-6
    assert (now_s + pause_s) * 10 == pytest.approx(round((now_s + pause_s) * 10), abs=1e-6)


def test_two_agents_that_began_shortly_after_each_other_beat_together() -> None:
    first_s = 71.03
    second_s = 71.08
    assert first_s + beat_pause_s(first_s) == pytest.approx(second_s + beat_pause_s(second_s))


def test_a_heartbeat_on_time_is_followed_after_the_whole_interval() -> None:
    assert beat_pause_s(71.5) == pytest.approx(BEAT_S)
    assert beat_pause_s(71.502) == pytest.approx(BEAT_S - 0.002)

"""The waiting times after a start fit the heartbeats, and each other."""

from __future__ import annotations

from countingroom.alarms.engine.role_alarms import MISSING_S
from countingroom.bus.presence import INTERVAL_S, MISSED
from countingroom.bus.served import SWEEP_S
from countingroom.core.start_up import HEARD_S, START_UP_S


def test_a_process_that_runs_is_heard_before_it_is_told_as_gone() -> None:
    assert HEARD_S > MISSED * INTERVAL_S + SWEEP_S


def test_a_missing_process_is_told_before_its_devices() -> None:
    assert HEARD_S + MISSING_S + SWEEP_S < START_UP_S

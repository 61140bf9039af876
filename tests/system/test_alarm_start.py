"""`up` that is stopped in order and started again announces no alarm, nor does a role that is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from countingroom.core.start_up import HEARD_S
from tests.system.running import Running, until, up
from tests.system.test_alarm_department import DESCRIPTION, LINK, alarm, events


def decided(running: Running) -> None:
    """Wait until the alarm engine reports also what is gone."""
    until(lambda: running.state("chiller") == "OFF", "the chiller is connected")
    end_s = time.monotonic() + HEARD_S + 2.0
    until(lambda: time.monotonic() >= end_s, "the first heartbeats have come")


def test_a_start_after_a_stop_in_order_announces_nothing(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(DESCRIPTION)
    took_s: list[float] = []
    for _ in range(2):
        with up(tmp_path / "experiment.yaml", tmp_path / "data", "--simulate") as running:
            decided(running)
            for role in ("devices", "alarms"):
                before, began_s = running.role(role), time.monotonic()
                before.terminate()
                until(lambda role=role, pid=before.pid: running.role(role).pid != pid, f"{role} is started again")
                until(lambda: running.state("chiller") == "OFF", "the chiller is connected again")
                took_s.append(time.monotonic() - began_s)
                decided(running)
            if max(took_s) > HEARD_S:
                pytest.skip("on this busy machine a role was gone for so long that its alarm is right")
            assert events(running, LINK) == []
            assert events(running, "role.devices") == []
            assert alarm(running, LINK) is None

"""`interlock test` against a real `up --simulate`: the trip, its effect by readback, the reset, and the record."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up
from tests.warm_python import run

DESCRIPTION = """
experiment: { name: proof }
devices:
  chiller: { driver: julabo, port: /dev/ttyUSB0 }
  pump: { driver: julabo, port: /dev/ttyUSB1 }
alarms:
  guidance: { meaning: m, do: d }
  interlocks:
    cooling:
      causes:
        broken:
          inputs: [{ state: { of: device.chiller, in: [ERROR] } }]
          on_delay: 1 s
          test:
            simulate: { device: chiller, fault: trip, arguments: { code: -3 } }
            within: 20 s
        hot:
          inputs: [{ limit: { point: chiller.internal_temp, alarm_high: 90 } }]
          test: { simulate: { device: chiller, fault: slow, arguments: { seconds: 0.01 } }, within: 1 s }
        by_hand: { inputs: [{ limit: { point: pump.internal_temp, alarm_high: 95 } }] }
      effects:
        pump_off: { commands: [{ device: pump, command: stop }] }
      matrix: { broken: [pump_off], hot: [pump_off], by_hand: [pump_off] }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("proof")
    (folder / "experiment.yaml").write_text(DESCRIPTION)
    with up(folder / "experiment.yaml", folder / "data", "--simulate") as one:
        until(lambda: one.state("chiller") == one.state("pump") == "OFF", "the devices are connected")
        until(lambda: calm(one), "no cause is present")
        yield one


def calm(running: Running) -> bool:
    found = running.get("/interlocks/cooling")["interlock"]
    return not found["is_tripped"] and all(one["present_since_ns"] is None for one in found["causes"])


def words(running: Running, *more: str) -> list[str]:
    return [sys.executable, "-m", "countingroom", "interlock", "test", "cooling", "--url", running.url, *more]


def test_a_cause_trips_its_effect_is_reached_and_it_is_reset_and_recorded(running: Running) -> None:
    running.command("pump", "start", wait_s=PATIENCE_S)
    until(lambda: running.state("pump") == "ON", "the pump runs")
    done = run(*words(running, "--cause", "broken", "--yes")[3:])
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [text for line in done.stdout.splitlines() if (text := line.partition("  ")[2])]
    for step in ("cause broken has tripped", "effect pump_off is reached", "fault ended: chiller restore", "reset"):
        assert step in steps, done.stdout
    assert "Not tested, because they declare no `test`: by_hand." in done.stdout
    assert running.state("pump") == "OFF"
    found = running.get("/interlocks/cooling")["interlock"]
    assert (found["is_tripped"], found["trip"]) == (False, 1)
    assert (found["proof"]["passed"], found["proof"]["cause"]) == (True, "broken")


def test_a_cause_that_does_not_trip_is_recorded_as_failed(running: Running) -> None:
    until(lambda: calm(running), "no cause is present")
    done = run(*words(running, "--cause", "hot", "--yes")[3:])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no trip within" in done.stderr
    proof = running.get("/interlocks/cooling")["interlock"]["proof"]
    assert (proof["passed"], proof["cause"]) == (False, "hot")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_fault_and_records_nothing(running: Running, number: signal.Signals) -> None:
    until(lambda: calm(running), "no cause is present")
    before = running.get("/interlocks/cooling")["interlock"]["proof"]
    with subprocess.Popen(
        words(running, "--cause", "broken", "--yes"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout is not None
        assert any("fault: chiller trip" in line for line in test.stdout)
        test.send_signal(number)
        said, errors = test.communicate(timeout=30)
        assert test.returncode != 0
    assert "fault ended: chiller restore" in said
    assert "not finished, nothing is recorded" in errors
    until(lambda: running.state("chiller") == "OFF", "the fault is ended")
    assert running.get("/interlocks/cooling")["interlock"]["proof"] == before

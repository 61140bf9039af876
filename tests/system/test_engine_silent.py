"""A control room that is stopped in order and started again applies no safe outputs; one whose alarm engine stays away
does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from countingroom.simulators.julabo import JulaboSimulator
from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up

AFTER_S = 15.0
DESCRIPTION = """
experiment: {{ name: silent }}
devices:
  chiller: {{ driver: julabo, port: {port} }}
alarms:
  guidance: {{ meaning: m, do: d }}
  interlocks:
    away:
      causes: {{ history: {{ inputs: [{{ state: {{ of: role.history, in: [not_ready] }} }}], on_delay: 60 s }} }}
      effects: {{ stop: {{ commands: [{{ device: chiller, command: stop }}] }} }}
      matrix: {{ history: [stop] }}
      engine_silent: {{ after: {after} s, effects: [stop] }}
"""


@pytest.fixture
def port() -> Iterator[str]:
    """A chiller that outlives the control room."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    simulator = JulaboSimulator({})
    found = asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(PATIENCE_S)
    yield str(found["port"])
    asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def is_on(running: Running) -> bool:
    return running.state("chiller") not in ("", "OFF", "DISCONNECTED")


def stays_on(running: Running) -> None:
    """For longer than an engine may be silent."""
    end_s = time.monotonic() + AFTER_S + 2.0
    until(lambda: time.monotonic() >= end_s, "the time of a silent engine is over")
    assert is_on(running)
    assert not running.get("/interlocks/away")["interlock"]["is_tripped"]


def test_an_orderly_restart_applies_nothing_and_an_engine_that_stays_away_does(tmp_path: Path, port: str) -> None:
    (tmp_path / "experiment.yaml").write_text(DESCRIPTION.format(port=port, after=AFTER_S))
    with up(tmp_path / "experiment.yaml", tmp_path / "data") as running:
        until(lambda: running.state("chiller") == "OFF", "the chiller is connected")
        assert running.command("chiller", "start").status_code == 202
        until(lambda: is_on(running), "the chiller runs")
        before = running.role("alarms")
        before.terminate()
        until(lambda: running.role("alarms").pid != before.pid, "the engine is started again")
        stays_on(running)
    with up(tmp_path / "experiment.yaml", tmp_path / "data") as running:
        until(lambda: is_on(running), "the chiller is connected, and still runs")
        stays_on(running)
        began_s = time.monotonic()

        def is_off() -> bool:
            with suppress(StopIteration, psutil.Error):
                running.role("alarms").kill()
            return running.state("chiller") == "OFF"

        until(is_off, "the safe output is applied")
        assert time.monotonic() - began_s > AFTER_S - 3.0

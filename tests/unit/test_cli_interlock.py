"""`countingroom interlock` shows what is known of each interlock, and where that is not known."""

from __future__ import annotations

import threading

import pytest

from countingroom.cli.main import run
from countingroom.core import subjects
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import encode
from tests.console.alarm_console import alarm_console


def test_what_an_engine_could_not_read_is_not_called_not_tripped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = (InterlockState(name="gas", title="Gas"), InterlockState(name="pump", title="Pump", unread=True))
    with alarm_console() as console:
        monkeypatch.setenv("COUNTINGROOM_URL", console.url)
        monkeypatch.setenv("COLUMNS", "240")
        for state in states:
            console.do(
                console.alarms.here.bus.put(subjects.STATE_BUCKET, subjects.interlock_key(state.name), encode(state))
            )
        out, pause = "", threading.Event()
        while "Gas" not in out or "Pump" not in out:
            pause.wait(0.02)
            assert run(["interlock", "list"]) == 0
            out = capsys.readouterr().out
    rows = {name: line for line in out.splitlines() for name in ("Gas", "Pump") if name in line}
    assert "not tripped" in rows["Gas"]
    assert "not known: the database was not read" in rows["Pump"]

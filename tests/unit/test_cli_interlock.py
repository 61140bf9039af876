"""`countingroom interlock` shows what is known of each interlock, and where that is not known."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from countingroom.cli import interlock
from countingroom.cli.main import run
from countingroom.core import subjects
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import encode
from tests.console.alarm_console import AlarmConsole, alarm_console


async def _publish(console: AlarmConsole, state: InterlockState) -> None:
    await console.alarms.here.bus.put(subjects.STATE_BUCKET, subjects.interlock_key(state.name), encode(state))


def test_what_an_engine_could_not_read_is_not_called_not_tripped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = (InterlockState(name="gas", title="Gas"), InterlockState(name="pump", title="Pump", unread=True))
    with alarm_console() as console:
        monkeypatch.setenv("COUNTINGROOM_URL", console.url)
        monkeypatch.setenv("COLUMNS", "240")
        for state in states:
            console.do(_publish(console, state))
        out, pause = "", threading.Event()
        while "Gas" not in out or "Pump" not in out:
            pause.wait(0.02)
            assert run(["interlock", "list"]) == 0
            out = capsys.readouterr().out
    rows = {name: line for line in out.splitlines() for name in ("Gas", "Pump") if name in line}
    assert "not tripped" in rows["Gas"]
    assert "not known: the database was not read" in rows["Pump"]


def test_a_reset_takes_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, Any]] = []

    def give(_url: str, name: str, command: str, arguments: dict[str, Any], _wait: float, *, json: bool) -> None:
        sent.append((f"{name} {command}", arguments))

    monkeypatch.setattr(interlock, "_give", give)
    assert run(["interlock", "reset", "cooling", "-m", "pump exchanged"]) == 0
    assert run(["interlock", "reset", "cooling"]) == 0
    assert sent == [("cooling reset", {"reason": "pump exchanged"}), ("cooling reset", {})]

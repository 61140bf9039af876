"""`countingroom alarm stats` shows the figures with their targets, as tables, JSON or CSV."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from countingroom.cli.main import run
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.alarm_history import BATH, keep_a_day


@pytest.fixture(scope="module")
def console() -> Iterator[AlarmConsole]:
    """A console with a day of history."""
    with alarm_console() as console:
        console.do(keep_a_day(console.database, time.time_ns()))
        yield console


def test_the_figures_are_shown_with_their_targets(
    console: AlarmConsole, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTINGROOM_URL", console.url)
    assert run(["alarm", "stats", "--from", "-25h"]) == 0
    out = capsys.readouterr().out
    for text in ("Alarms per operator hour", "at most 6, manageable to 12", "acceptable", "over-demanding", "45 s"):
        assert text in out
    assert re.search(r"\d\d:\d\d:\d\dZ to .*\d\d:\d\d:\d\dZ: 56 announced", out)
    assert BATH in out
    assert "█" in out
    assert run(["alarm", "stats", "--from", "-25h", "--area", "power", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counted"]["announced"] == 40
    assert run(["alarm", "stats", "--from", "-25h", "--csv", "--table", "actors"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{BATH},Julabo chiller / Bath,")
    assert run(["alarm", "stats", "--csv", "--table", "nonsense"]) == 1
    assert "[invalid]" in capsys.readouterr().err

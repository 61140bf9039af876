"""`countingroom alarm` names alarms, shows them with what they mean, and ends with a status that scripts can use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from countingroom.cli.main import run
from countingroom.core.commands.alarms import MOST_ALARMS, named
from countingroom.core.errors import Cause
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.alarms_stage import BATH, a_night


@pytest.fixture(scope="module")
def console() -> Iterator[AlarmConsole]:
    """A console with an alarm department that is played."""
    with alarm_console() as console:
        yield console


@pytest.fixture
def night(console: AlarmConsole, monkeypatch: pytest.MonkeyPatch) -> AlarmConsole:
    """The alarms of a night, and no command yet."""
    monkeypatch.setenv("COUNTINGROOM_URL", console.url)
    monkeypatch.setenv("COLUMNS", "240")
    console.alarms.commands.clear()
    console.alarms.refuse = None
    console.do(console.alarms.publish(*a_night(console.alarms)))
    seen = threading.Event()
    while not seen.wait(0.02):
        if console.shows(len(a_night(console.alarms))):
            seen.set()
    return console


def sent(console: AlarmConsole) -> list[tuple[str, dict[str, Any]]]:
    return [
        (one.action, {**one.arguments, "alarms": named(str(one.arguments.get("alarms", "{}")))})
        for _, one in console.alarms.commands
    ]


def test_the_list_has_each_consequence_below_its_cause(night: AlarmConsole, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alarm", "list"]) == 0
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if "custom." in line or "point." in line or "partition." in line]
    assert BATH in rows[0]
    assert "└ Interlock cooling lost" in rows[1]
    assert "12 alarms, 4 not acknowledged, 3 shelved" in out
    assert "returned, not acknowledged" in out
    assert run(["alarm", "list", "-p", "4", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["alarms"]] == ["custom.history_disk"]
    assert run(["alarm", "list", "-p", "4"]) == 0
    assert "\n1 alarm, " in capsys.readouterr().out
    assert run(["alarm", "list", "--state", "shelved"]) == 0
    assert "shelved by ben until" in capsys.readouterr().out


def test_an_alarm_is_shown_with_what_to_do_and_what_was(
    night: AlarmConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alarm", "show", BATH]) == 0
    out = capsys.readouterr().out
    for text in ("not acknowledged", "means: The bath no longer cools", "fill the bath", "within: 5 min", "anna"):
        assert text in out
    assert run(["alarm", "history", BATH, "-n", "1"]) == 0
    assert "message to anna by anna_mail: sent" in capsys.readouterr().out
    assert run(["alarm", "show", "custom.no/../x"]) == 1
    assert "[not_found]" in capsys.readouterr().err


def test_alarms_are_acknowledged_by_name_by_area_or_all_with_their_present_occurrence(night: AlarmConsole) -> None:
    assert run(["alarm", "ack", BATH, "point.esp02.co2", "-m", "seen"]) == 0
    assert run(["alarm", "ack", "--area", "environment"]) == 0
    assert sent(night)[0] == ("acknowledge", {"comment": "seen", "alarms": {BATH: (1, 1), "point.esp02.co2": (1, 3)}})
    assert sent(night)[1][1]["alarms"].keys() == {"point.esp01.humidity"}
    assert run(["alarm", "ack", "--all"]) == 0
    assert "member.mCBM.TRD" in sent(night)[2][1]["alarms"]


def test_more_alarms_than_one_command_takes_are_several_commands(night: AlarmConsole) -> None:
    many = [night.alarms.alarm(f"point.many.p{number}") for number in range(MOST_ALARMS + 1)]
    night.do(night.alarms.publish(*many))
    while not night.shows(len(many) + len(a_night(night.alarms))):
        threading.Event().wait(0.02)
    assert run(["alarm", "ack", "--all"]) == 0
    named_ = [one["alarms"] for _, one in sent(night)]
    assert len(named_) > 1
    assert sum(map(len, named_)) > MOST_ALARMS
    gone = [night.alarms.states[one.id] for one in many]
    assert {one.base.value for one in gone} == {"acknowledged"}
    night.do(night.alarms.clear("point.many."))


@pytest.mark.parametrize(
    ("words", "action", "expected"),
    [
        (["shelve", BATH, "--for", "30min", "-m", "filling"], "shelve", {"reason": "filling", "seconds": 1800.0}),
        (
            ["shelve", "--area", "cooling", "--for", "1h", "-m", "x", "--once"],
            "shelve",
            {"once": True, "seconds": 3600},
        ),
        (["unshelve", "point.esp02.humidity"], "unshelve", {}),
        (["service", BATH, "--owner", "ben", "-m", "x", "--for", "7d"], "out_of_service", {"seconds": 604800.0}),
        (["service", "channel.caen.3", "--in"], "in_service", {}),
        (["reset", "point.caen.2.lv_i"], "reset", {}),
        (["comment", BATH, "-m", "pump exchanged"], "comment", {"comment": "pump exchanged"}),
    ],
)
def test_each_command_is_sent_with_its_arguments(
    night: AlarmConsole, words: list[str], action: str, expected: dict[str, object]
) -> None:
    assert run(["alarm", *words]) == 0
    ((sent_action, given),) = sent(night)
    assert sent_action == action
    assert expected.items() <= given.items()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ack"], "missing_argument"),
        (["ack", BATH, "--all"], "missing_argument"),
        (["ack", "custom.normal"], "not_found"),
        (["reset"], "missing_argument"),
        (["shelve", BATH, "-m", "x"], "missing_argument"),
        (["shelve", BATH, "-m", "x", "--until", "-1h"], "wrong_time"),
        (["shelve", BATH, "--area", "cooling", "-m", "x", "--for", "1h"], "missing_argument"),
        (["service", BATH, "-m", "x", "--for", "1d"], "missing_argument"),
    ],
)
def test_what_names_no_alarm_or_time_is_refused_before_it_is_sent(
    night: AlarmConsole, words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alarm", *words]) == 1
    assert f"[{code}]" in capsys.readouterr().err
    assert night.alarms.commands == []


@pytest.mark.parametrize("last", ["0", "-5min", "now", "0s", "2026-11-22T06:00:00Z"])
def test_a_wrong_duration_is_told_as_one(night: AlarmConsole, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alarm", "shelve", BATH, "-m", "x", "--for", last]) == 1
    assert "is not a duration above 0" in capsys.readouterr().err
    assert night.alarms.commands == []


def test_a_refusal_of_the_department_is_told_and_is_status_1(
    night: AlarmConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    night.alarms.refuse = Cause(code="not_allowed", message="it happened again")
    assert run(["alarm", "ack", BATH]) == 1
    assert "it happened again [not_allowed]" in capsys.readouterr().err
    assert run(["alarm", "shelve", BATH]) == 2

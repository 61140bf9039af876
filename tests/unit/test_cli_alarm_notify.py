"""`countingroom alarm notify` tests channels and lists the outbox, and ends with a status that scripts can use."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.cli.main import run
from tests.unit.answering import serving

TEST = ("POST", "/api/v1/notifications/commands/test")
LIST = ("GET", "/api/v1/notifications")
DUTY = ("GET", "/api/v1/notifications/duty")
CAUSE = {
    "code": "notification_refused",
    "message": "mail: smtp.example.org:587 refuses the login of cr: 535 wrong password",
    "source": "alarms.notify",
    "suggestion": "look at the channel and at its server",
}


def outcome(kind: str, cause: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "id": "1",
        "outcome": {"kind": kind, "message": "test done", "source": "_notify", "cause": cause, "data": {}},
    }


def test_a_test_that_arrives_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({TEST: (200, outcome("done"))}) as (url, sent):
        assert run(["alarm", "notify", "test", "mail", "--url", url]) == 0
        assert run(["alarm", "notify", "test", "--url", url]) == 0
    assert [one["arguments"] for one in sent] == [{"channel": "mail"}, {}]
    assert sent[0]["wait_s"] == 60.0
    assert capsys.readouterr().out.splitlines() == [
        "mail: the test message was accepted",
        "every channel: the test message was accepted",
    ]


def test_a_test_that_fails_tells_what_the_server_said(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({TEST: (200, outcome("failed", CAUSE))}) as (url, _):
        assert run(["alarm", "notify", "test", "mail", "--url", url]) == 1
    assert "535 wrong password" in capsys.readouterr().err


def test_the_outbox_is_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    message = {
        "id": "a",
        "channel": "mail",
        "state": "due",
        "is_repeat": True,
        "kind": "first",
        "title": "Chiller / Bath",
        "attempt": 2,
        "error": "451 later",
        "due_ns": 1_800_000_000_000_000_000,
        "ended_ns": None,
    }
    dead = {**message, "state": "dead", "is_repeat": False, "ended_ns": 1_800_000_060_000_000_000}
    channel = {
        "channel": "mail",
        "kind": "mail",
        "sent": 4,
        "failed": 2,
        "dead": 1,
        "last_sent_ns": None,
        "problem": "451 later",
    }
    with serving({LIST: (200, {"channels": [channel], "pending": [message], "ended": [dead]})}) as (url, _):
        assert run(["alarm", "notify", "list", "--url", url]) == 0
    out = capsys.readouterr().out
    assert "due, may be a repeat" in out
    assert "dead" in out
    assert "Chiller / Bath" in out
    assert "2027-01-15" in out
    assert out.splitlines()[-1] == "1 messages may still be sent"


def test_the_persons_on_duty_are_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    turns: list[dict[str, Any]] = [
        {"person": "anna", "from_ns": 1, "until_ns": 1_800_000_000_000_000_000, "channels": ["mail", "phone"]},
        {"person": "", "from_ns": 1_800_000_000_000_000_000, "until_ns": None, "channels": []},
    ]
    answer = {"calendars": [{"calendar": "shift", "zone": "UTC", "turns": turns}]}
    with serving({DUTY: (200, answer)}) as (url, _):
        assert run(["alarm", "notify", "duty", "--url", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "shift" in line] == [
        ["shift", "anna", "now", "2027-01-15T08:00:00Z", "mail,", "phone"],
        ["shift", "none", "2027-01-15T08:00:00Z"],
    ]

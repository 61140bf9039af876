"""The API and the command line of rules: states as they are published, arm and disarm with role and record."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from countingroom.cli.main import run
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.alarms_stage import AlarmStage, alarms_stage, two_rules
from tests.console.stage import served, stage


@asynccontextmanager
async def rules() -> AsyncGenerator[tuple[AlarmStage, httpx.AsyncClient]]:
    """Two rules behind the API."""
    async with stage(SystemClock()) as here, alarms_stage(here) as alarms:
        await alarms.publish_rules(*two_rules(here.clock.now_ns()))
        async with served(here) as (_, client):
            yield alarms, client


async def test_rules_are_listed_by_name_with_their_last_firing() -> None:
    async with rules() as (_, client):
        found = (await client.get("/api/v1/rules")).json()["rules"]
        one = (await client.get("/api/v1/rules/bath_warm")).json()["rule"]
    assert [rule["rule"] for rule in found] == ["bath_warm", "night"]
    assert found[0] == one
    assert one["last"]["evidence"] == {"chiller.internal_temp": 35.6, "state of partition mCBM": "Idle"}
    assert [outcome["result"] for outcome in one["last"]["outcomes"]] == ["done", "refused"]


async def test_what_does_not_exist_is_told() -> None:
    async with rules() as (_, client):
        for path in ("/api/v1/rules/other", "/api/v1/rules/a.b"):
            assert (await client.get(path)).status_code == 404
        answer = await client.post("/api/v1/rules/night/commands/jump")
        assert answer.status_code == 404
        assert "arm, disarm" in answer.json()["cause"]["suggestion"]
        assert (await client.post("/api/v1/rules/other/commands/arm")).status_code == 404


async def test_a_rule_is_armed_under_the_name_of_the_requester() -> None:
    async with rules() as (alarms, client):
        body = {"arguments": {"reason": "repaired", "rule": "bath_warm"}, "wait_s": 5}
        answer = await client.post("/api/v1/rules/night/commands/arm", json=body)
        assert (answer.status_code, answer.json()["outcome"]["kind"]) == (200, "done")
        ((user, command),) = alarms.commands
        assert (user, command.action, command.arguments) == ("local", "arm", {"reason": "repaired", "rule": "night"})
        assert alarms.rules["night"].armed
        alarms.refuse = Cause(code="denied", message="it needs expert", suggestion="ask one")
        answer = await client.post("/api/v1/rules/night/commands/disarm", json=body)
        assert answer.json()["cause"]["code"] == "denied"


def test_the_principal_of_a_rule_is_one_token_of_a_subject() -> None:
    subject = subjects.command("rule.night", "devices", "caen")
    assert subject == "command.rule=night.devices.caen"
    assert subjects.command_user(subject) == "rule.night"
    assert subjects.commands_of("rule.night", "runs") == "command.rule=night.runs.*"
    for wrong in ("rule.a.b", "rule.", ".a", "a=b", "rule.*"):
        with pytest.raises(ValueError, match="not a name"):
            subjects.command(wrong, "devices", "caen")


@pytest.fixture(scope="module")
def console() -> Iterator[AlarmConsole]:
    """A console with an alarm department that is played."""
    with alarm_console() as console:
        yield console


@pytest.mark.server
def test_the_command_line_shows_rules_and_turns_them(
    console: AlarmConsole, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTINGROOM_URL", console.url)
    monkeypatch.setenv("COLUMNS", "240")
    now_ns = console.alarms.here.clock.now_ns()
    console.do(console.alarms.publish_rules(*two_rules(now_ns)))
    while not httpx.get(f"{console.url}/api/v1/rules", timeout=60).json()["rules"]:
        pass
    assert run(["rules", "list"]) == 0
    out = capsys.readouterr().out
    assert "bath_warm" in out
    assert "disarmed by ben" in out
    assert run(["rules", "show", "bath_warm"]) == 0
    out = capsys.readouterr().out
    for text in ("chiller.internal_temp: 35.6", "caen: hv_off: refused: rule.bath_warm is viewer", "held back since"):
        assert text in out
    assert run(["rules", "arm", "night", "-m", "repaired"]) == 0
    assert console.alarms.commands[-1][1].arguments == {"reason": "repaired", "rule": "night"}
    assert run(["rules", "disarm", "night"]) == 2
    capsys.readouterr()
    assert run(["rules", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rules"]) == 2
    assert run(["rules", "show", "other"]) == 1

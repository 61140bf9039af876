"""A command says what came of it by its status, its words on the right stream, and JSON where asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from countingroom.cli.client import DEFAULT_URL, Client, Remote
from countingroom.cli.main import COMMANDS, NOT_BY_HAND, run
from countingroom.cli.simulate import typed_fault
from countingroom.cli.values import arguments, number, scalar
from countingroom.core.errors import RequestError
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Point, Type
from countingroom.simulators.julabo import JulaboSimulator
from tests.unit.answering import Answers, serving

POINT = {
    "name": "internal_temp",
    "unit": "degC",
    "precision": 2,
    "type": "float",
    "label": "Bath",
    "description": "bath temperature",
    "writable": True,
}
DEVICE = {
    "device": "chiller",
    "title": "Chiller [bold]of the lab[/bold]",
    "driver": "julabo",
    "group": "Cooling",
    "location": "socket://10.0.0.7:8000",
    "simulated": False,
    "state": {"state": "ON"},
    "channels": {},
    "abnormal": {"1": 0, "2": 1, "3": 0},
    "stale": 3,
    "alive": True,
}
REFUSED = {"cause": {"code": "out_of_range", "message": "80 degC is outside -50 to 50 degC", "suggestion": "give less"}}


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from countingroom.cli.main import run; status = run(['--help'])\n"
        "loaded = [n for n in sys.modules if n.split('.')[0] in {'httpx', 'duckdb', 'pyarrow', 'nats', 'pydantic'}]\n"
        "sys.exit(status or ' '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {name for name in COMMANDS if name not in done.stdout} == NOT_BY_HAND


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", "dance"]) == 2
    assert "dance" in capsys.readouterr().err


def test_an_invalid_description_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("experiment:\n  name: x\n  colour: red\n")
    assert run(["up", str(tmp_path / "bad.yaml"), "--data", str(tmp_path / "data")]) == 2
    assert "bad.yaml:3" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_an_unknown_role_is_told_with_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text("experiment: {name: x}\n")
    assert run(["serve", str(tmp_path / "good.yaml"), "cook", "--bus", "nats://127.0.0.1:4"]) == 2
    said = capsys.readouterr().err
    assert "cook" in said
    assert "history" in said


def test_a_missing_server_is_told_with_how_to_start_it(
    free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["list"], ["get", "chiller"], ["watch"]):
        assert run(["device", *words, "--url", f"http://127.0.0.1:{free_port()}"]) == 1
        assert "countingroom up" in capsys.readouterr().err


def test_an_address_that_is_none_is_told_with_one_that_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", "list", "--url", "http://[::1"]) == 2
    assert f"write it as {DEFAULT_URL}" in capsys.readouterr().err


def test_devices_are_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/api/v1/devices"): (200, {"devices": [DEVICE]})}) as (url, _):
        assert run(["device", "list", "--url", url]) == 0
        table = capsys.readouterr().out
        assert run(["device", "list", "--url", url, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
    assert "ON" in table
    assert "[bold]of the lab[/bold]" in table, "what a device is called is text, never markup"
    assert facts == {"devices": [DEVICE]}


def test_a_value_has_the_decimals_of_its_instrument(capsys: pytest.CaptureFixture[str]) -> None:
    reading = {"value": -12.48333, "quality": 0, "device_ns": 1, "received_ns": 1}
    path = "/api/v1/devices/chiller/points/internal_temp"
    with serving({("GET", path): (200, {"point": POINT, "reading": reading})}) as (url, _):
        assert run(["device", "get", "chiller.internal_temp", "--url", url]) == 0
    assert capsys.readouterr().out == "-12.48 degC\n"


def test_a_text_of_a_device_is_shown_and_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "\x1b[2K\rpressure 1.0 bar\x1b]0;x\x07\u202e\n"
    reading = {"value": forged, "quality": 0, "device_ns": 1, "received_ns": 1}
    path = "/api/v1/devices/chiller/points/internal_temp"
    refused = {"cause": {**REFUSED["cause"], "message": forged}}
    answers: Answers = {
        ("GET", path): (200, {"point": POINT | {"type": "string", "unit": ""}, "reading": reading}),
        ("POST", "/api/v1/devices/chiller/commands/refresh"): (409, refused),
    }
    with serving(answers) as (url, _):
        assert run(["device", "get", "chiller.internal_temp", "--url", url]) == 0
        assert run(["device", "get", "chiller.internal_temp", "--url", url, "--json"]) == 0
        given = capsys.readouterr().out
        with pytest.raises(Remote) as error, Client(url) as api:
            api.post("/api/v1/devices/chiller/commands/refresh", {})
    shown, _, facts = given.partition("{")
    assert "pressure 1.0 bar" in shown
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(shown + error.value.cause.message)
    assert json.loads("{" + facts)["reading"]["value"] == forged


def test_a_refusal_is_status_1_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {
        ("GET", "/api/v1/devices/chiller/points/internal_temp"): (200, {"point": POINT, "reading": None}),
        ("POST", "/api/v1/devices/chiller/commands/set"): (422, REFUSED),
    }
    with serving(answers) as (url, sent):
        assert run(["device", "set", "chiller.internal_temp", "80", "--url", url]) == 1
    assert sent[0]["arguments"] == {"point": "internal_temp", "value": 80.0}
    said = capsys.readouterr()
    assert "outside -50 to 50" in said.err
    assert "give less" in said.err
    assert not said.out


def test_a_failed_outcome_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = {"kind": "failed", "message": "it did not", "source": "chiller", "cause": REFUSED["cause"]}
    answers: Answers = {
        ("GET", "/api/v1/devices/chiller/points/internal_temp"): (200, {"point": POINT, "reading": None}),
        ("POST", "/api/v1/devices/chiller/commands/set"): (200, {"id": "1", "outcome": outcome}),
    }
    with serving(answers) as (url, _):
        assert run(["device", "set", "chiller.internal_temp", "20", "--url", url]) == 1
    assert "outside" in capsys.readouterr().err


def test_a_server_of_another_kind_is_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/api/v1/devices"): (500, "<html>")}) as (url, _):
        assert run(["device", "list", "--url", url]) == 1
    assert "500" in capsys.readouterr().err


def test_a_time_of_long_ago_is_asked_for_as_it_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    reading = {"value": 20.5, "quality": 0, "device_ns": -1, "received_ns": -1}
    answers: Answers = {("GET", "/api/v1/history/last"): (200, {"readings": {"chiller.power": reading}})}
    asked: list[Any] = []
    with serving(answers, asked) as (url, _):
        words = ["history", "last", "chiller.power", "chiller.bath", "--url", url]
        for at in ("1970-01-01", "1969-12-31T23:59:59Z"):
            assert run([*words, "--at", at]) == 0
    assert [one["at"] for one in asked] == [["1970-01-01T00:00:00Z"], ["1969-12-31T23:59:59Z"]]
    said = capsys.readouterr().out
    assert "20.5" in said
    assert "nothing recorded" in said, "a point without a value is told, not left out"


def test_the_further_stores_are_listed_with_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    store = {
        "store": "site",
        "kind": "postgresql",
        "health": "catching_up",
        "lag_s": 12.5,
        "behind_values": 2500,
        "sequence": 81230,
        "last_problem": "connection refused",
        "last_problem_ns": 1_790_000_000_000_000_000,
    }
    answers: Answers = {("GET", "/api/v1/history/stores"): (200, {"running": False, "stores": [store]})}
    with serving(answers) as (url, _):
        assert run(["history", "stores", "--url", url]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("site", "catching up", "12.5", "2500", "81230", "refused", "does not run"):
        assert word in said


def test_what_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "-o", str(tmp_path / "nowhere" / "schema.json")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_ctrl_c_before_a_command_has_begun_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("countingroom.cli.main.import_module", interrupted)
    assert run(["device", "list"]) == 130


def test_a_simulator_is_like_a_device_of_its_own_kind_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("experiment: {name: x}\ndevices: {co2: {driver: marta, host: h}}\n")
    assert run(["simulate", "julabo", "--like", str(file), "--device", "co2"]) == 1
    assert "countingroom simulate marta" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("slow", [], "needs the argument seconds"),
        ("slow", ["seconds=-5"], "outside 0 to 60"),
        ("slow", ["seconds=1e9"], "outside"),
    ],
)
def test_a_typed_fault_is_what_the_simulator_declares(name: str, given: list[str], told: str) -> None:
    faults = JulaboSimulator.faults
    assert typed_fault("julabo", faults, "slow", ["seconds=2"]) == {"seconds": 2.0}
    with pytest.raises(RequestError, match=told):
        typed_fault("julabo", faults, name, given)


SPECS = (
    CommandSpec(name="set_wt", parameters=(Parameter(name="setpoint", type=Type.INT), Parameter(name="temp"))),
    CommandSpec(name="start"),
)


def test_arguments_take_the_types_of_their_command() -> None:
    assert arguments("chiller", SPECS, "set_wt", ["setpoint=2", "temp=-5.5"]) == {"setpoint": 2, "temp": -5.5}


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("dance", [], "set_wt, start"),
        ("start", ["now=1"], "no arguments"),
        ("set_wt", ["setpoint"], "setpoint=… temp=…"),
    ],
)
def test_what_a_command_does_not_take_is_told_with_what_it_does(name: str, given: list[str], told: str) -> None:
    with pytest.raises(RequestError) as refused:
        arguments("chiller", SPECS, name, given)
    assert told in refused.value.cause.suggestion


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [(Type.FLOAT, "1e2", 100.0), (Type.INT, "0x10", 16), (Type.BOOL, "off", False), (Type.STRING, "Low", "Low")],
)
def test_a_typed_value_is_what_its_point_takes(kind: Type, typed: str, value: object) -> None:
    assert scalar(typed, Point(name="p", type=kind)) == value


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (Type.FLOAT, "warm"),
        (Type.FLOAT, "nan"),
        (Type.FLOAT, "-inf"),
        (Type.FLOAT, "1e9999"),
        (Type.FLOAT, "1_5"),
        (Type.FLOAT, "21,5"),
        (Type.FLOAT, "١٥"),
        (Type.INT, "1_5"),
        (Type.INT, "0x1_0"),
        (Type.INT, "١٥"),
        (Type.INT, "1.5"),
        (Type.BOOL, "maybe"),
    ],
)
def test_a_typed_value_of_another_kind_is_refused(kind: Type, typed: str) -> None:
    with pytest.raises(RequestError, match="takes a"):
        scalar(typed, Point(name="p", type=kind))


def test_a_code_is_typed_as_its_text() -> None:
    mode = Point(name="tripMode", type=Type.INT, codes={"0": "Ramp", "1": "Kill"})
    assert (scalar("kill", mode), scalar("1", mode)) == (1, 1)
    with pytest.raises(RequestError) as refused:
        scalar("Break", mode)
    assert "kill" in refused.value.cause.suggestion


@pytest.mark.parametrize("what", ["", ".power", "chiller."])
def test_getting_what_has_no_name_is_wrong_usage(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", "get", what]) == 2
    assert "is not an address" in capsys.readouterr().err


def test_setting_what_is_no_point_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", "set", "chiller", "5"]) == 2
    assert "DEVICE.POINT" in capsys.readouterr().err


def test_watching_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = {"cause": {"code": "not_found", "message": "there is no device 'nope'"}}
    with serving({("GET", "/api/v1/devices/nope"): (404, unknown)}) as (url, _):
        assert run(["device", "watch", "nope", "--url", url]) == 1
    assert "no device 'nope'" in capsys.readouterr().err


def test_a_code_is_read_as_its_text() -> None:
    assert number(3, {"codes": {"3": "ramping up"}}) == "ramping up"
    assert number(None, {}) == "—"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_a_shell(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["completion", "install", shell]) == 0
    assert any("countingroom" in path.name for path in tmp_path.rglob("*"))


def test_a_shell_is_told_the_commands_that_begin_so() -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "countingroom"],
        env={"_COUNTINGROOM_COMPLETE": "complete_bash", "COMP_WORDS": "countingroom se", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.split() == ["serve", "secop"]

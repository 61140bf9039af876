"""Commands find the running experiment, complete names from it, and take values as people write them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from countingroom.app.data_folder import LOCK
from countingroom.cli.demo import demo_directory
from countingroom.cli.main import run
from countingroom.cli.values import scalar
from countingroom.core.errors import RequestError
from countingroom.core.points import Point, Type
from countingroom.devices.description import DevicesSection
from countingroom.experiment import load
from tests.unit.answering import serving

DEVICES = {"devices": [{"device": "caen"}, {"device": "chiller"}]}
MINIMAL = "experiment: {name: lab}\n"
CHILLER = {"catalogue": {"points": [{"name": "setpoint_1"}, {"name": "power"}], "commands": [{"name": "start"}]}}
PARTITIONS = {"partitions": [{"name": "mCBM"}, {"name": "lab"}], "unmapped": []}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with all data folders."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("COUNTINGROOM_URL", raising=False)
    monkeypatch.delenv("COUNTINGROOM_DATA", raising=False)
    return tmp_path / "countingroom"


def owner(folder: Path, console: str, *, pid: int | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "pid": pid or os.getpid(),
        "description": f"/x/{folder.name}/experiment.yaml",
        "console": console,
        "since": "",
    }
    (folder / LOCK).write_text(json.dumps(content))


def test_a_link_for_a_user_is_of_the_console_that_runs_on_the_data_folder(
    state: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    description = tmp_path / "lab" / "experiment.yaml"
    description.parent.mkdir()
    description.write_text(MINIMAL + "console: {port: 8099}\n")
    owner(state / "other", "http://127.0.0.1:9001")

    def printed(*arguments: str) -> str:
        assert run(["user", *arguments]) == 0
        return capsys.readouterr().out.partition("/link#")[0]

    assert printed("first", str(description)) == "http://127.0.0.1:8099"
    owner(state / "lab", "http://127.0.0.1:9090")
    assert printed("add", str(description), "vera") == "http://127.0.0.1:9090"
    assert printed("link", str(description), "vera") == "http://127.0.0.1:9090"
    owner(state / "lab", "http://127.0.0.1:9090", pid=2**30)
    owner(tmp_path / "own", "https://console.lab:444/")
    assert printed("link", str(description), "vera") == "http://127.0.0.1:8099"
    assert printed("add", str(description), "sam", "--data", str(tmp_path / "own")) == "https://console.lab:444"


def test_a_command_finds_the_console_of_the_experiment_that_runs(
    state: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({("GET", "/api/v1/partitions"): (200, PARTITIONS | {"partitions": []})}) as (url, _):
        owner(state / "demo", url)
        owner(state / "ended", "http://127.0.0.1:1", pid=2**30)
        (state / "torn").mkdir()
        (state / "torn" / LOCK).write_text("{")
        assert run(["partition", "list", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["partitions"] == []
        owner(state / "other", "http://127.0.0.1:2")
        assert run(["partition", "list"]) == 2
        told = capsys.readouterr().err
        assert f"{url} (demo)" in told
        assert "http://127.0.0.1:2 (other)" in told
        assert run(["partition", "list", "--json", "--url", url]) == 0
        monkeypatch.setenv("COUNTINGROOM_DATA", str(state / "demo"))
        assert run(["partition", "list", "--json"]) == 0


def completed(monkeypatch: pytest.MonkeyPatch, words: str, *, incomplete: str) -> list[str]:
    line = f"countingroom {words} {incomplete}"
    ended = subprocess.run(
        [sys.executable, "-m", "countingroom"],
        env={
            **os.environ,
            "_COUNTINGROOM_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        ("device get", "c", ["caen", "chiller"]),
        ("device get", "chiller.", ["chiller.setpoint_1", "chiller.power"]),
        ("device set", "ch", ["chiller."]),
        ("device set", "chiller.set", ["chiller.setpoint_1"]),
        ("device do chiller", "s", ["start"]),
        ("device do", "ch", ["chiller"]),
        ("partition show", "m", ["mCBM"]),
        ("partition stop", "l", ["lab"]),
        ("history query", "caen", ["caen.0.lv_vMon"]),
    ],
)
@pytest.mark.server
def test_the_shell_completes_names_of_the_running_experiment(
    state: Path, monkeypatch: pytest.MonkeyPatch, words: str, incomplete: str, found: list[str]
) -> None:
    answers = {
        ("GET", "/api/v1/devices"): (200, DEVICES),
        ("GET", "/api/v1/devices/chiller"): (200, CHILLER),
        ("GET", "/api/v1/partitions"): (200, PARTITIONS),
        ("GET", "/api/v1/history/points"): (200, {"points": ["caen.0.lv_vMon"]}),
    }
    with serving(answers) as (url, _):
        owner(state / "demo", url)
        assert completed(monkeypatch, words, incomplete=incomplete) == found


@pytest.mark.server
def test_without_a_running_experiment_nothing_is_completed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTINGROOM_URL", "http://127.0.0.1:1")
    assert completed(monkeypatch, "device get", incomplete="c") == []


TEMPERATURE = Point(name="setpoint_1", unit="degC")


@pytest.mark.parametrize(
    ("typed", "value"),
    [("12.5degC", 12.5), ("12.5 degC", 12.5), ("-5", -5.0), ("-5°C", -5.0), (".5e1degC", 5.0), ("1e3", 1000.0)],
)
def test_a_value_may_have_the_unit_of_its_point(typed: str, value: float) -> None:
    assert scalar(typed, TEMPERATURE) == value


@pytest.mark.parametrize("typed", ["285K", "12.5 degF", "12.5degc", "12,5degC", "degC"])
def test_another_unit_is_refused_and_not_converted(typed: str) -> None:
    with pytest.raises(RequestError, match=r"degC|takes a float"):
        scalar(typed, TEMPERATURE)
    with pytest.raises(RequestError, match=r"has no unit|takes a int"):
        scalar("12V", Point(name="x", type=Type.INT))
    assert scalar("0x1F", Point(name="x", type=Type.INT)) == 31
    assert scalar("5 A", Point(name="x", type=Type.INT, unit="A")) == 5


@pytest.mark.parametrize("value", ["-5", "-5.5degC", "-.5"])
def test_a_negative_value_needs_no_dashes_before_it(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    reading = {"point": {"name": "setpoint_1", "type": "float", "unit": "degC", "writable": True}, "reading": None}
    done = {"id": "1", "accepted": True, "outcome": {"kind": "completed", "message": "done"}}
    answers = {
        ("GET", "/api/v1/devices/chiller/points/setpoint_1"): (200, reading),
        ("POST", "/api/v1/devices/chiller/commands/set"): (200, done),
    }
    with serving(answers) as (url, sent):
        run(["device", "set", "chiller.setpoint_1", value, "--url", url])
    assert [one["arguments"]["value"] for one in sent] == [float(value.removesuffix("degC"))], capsys.readouterr().err


@pytest.mark.parametrize(("name", "devices"), [("demo", 6), ("minimal", 0), ("bench", 1)])
def test_an_example_is_written_and_is_right(name: str, devices: int, tmp_path: Path) -> None:
    assert run(["example", name, "-o", str(tmp_path / "new")]) == 0
    assert len(load(tmp_path / "new" / "experiment.yaml").section(DevicesSection)) == devices
    assert run(["check", str(tmp_path / "new" / "experiment.yaml")]) == 0
    assert run(["example", name, "-o", str(tmp_path / "new")]) == 1


def test_the_demo_command_runs_what_make_demo_runs() -> None:
    root = Path(__file__).parents[2]
    assert demo_directory().resolve() == root / "examples" / "demo"
    (recipe,) = [line for line in (root / "Makefile").read_text().splitlines() if "countingroom demo" in line]
    assert recipe.startswith("\t@exec $(BIN)/countingroom demo --port $(PORT)")

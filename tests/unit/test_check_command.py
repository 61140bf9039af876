"""`countingroom check` says whether a description can be used, and leaves no trace of having looked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.cli.check import app
from countingroom.cli.schema import app as schema_app
from countingroom.experiment import schema

HERE = Path(__file__).parent / "description"
DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"
"""Every driver at once."""

GOOD = """
experiment: {name: cleanroom, title: Clean room}
devices:
  boards:
    driver: mqtt
    sensors: {ESP01: cold box, ESP02: lid}
    values:
      DS_temp: {topic: "{sensor}/sensors/#/DS/temp", unit: degC}
"""

WATCHED = """
import sys
TOUCHING = {"socket.bind", "socket.connect", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir",
            "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.fork", "os.posix_spawn"}

def watch(event, arguments):
    written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in TOUCHING or written:
        print("TOUCHED", event, arguments, file=sys.stderr, flush=True)

sys.addaudithook(watch)
sys.dont_write_bytecode = True
from countingroom.cli.check import app
app(sys.argv[1:])
"""


def test_a_good_description_is_summed_up(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(GOOD)
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{file}: Clean room, 1 device, nothing wrong")
    facts = json.loads(CliRunner().invoke(app, [str(file), "--json"]).stdout)
    assert facts["valid"] is True
    assert facts["problems"] == []
    assert [(one["device"], one["driver"], one["points"]) for one in facts["devices"]] == [("boards", "mqtt", 2)]


def test_a_bad_one_ends_with_status_2_and_every_mistake_on_its_own_line() -> None:
    result = CliRunner().invoke(app, [str(HERE / "ten_mistakes.yaml")])
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 11
    assert lines[1] == f"{HERE / 'ten_mistakes.yaml'}:4: experiment.titel: unknown key; did you mean title?"
    facts = json.loads(CliRunner().invoke(app, [str(HERE / "ten_mistakes.yaml"), "--json"]).stdout)
    assert facts["valid"] is False
    assert facts["problems"][1]["place"] == {"file": str(HERE / "ten_mistakes.yaml"), "line": 4}


def test_a_unit_that_is_none_is_told_once_for_a_device(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(GOOD.replace("degC", "decG"))
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 2
    assert result.stderr == (
        f"{file}:4: devices.boards: point ESP01.DS_temp: 'decG' is not a unit; write it as V, uA, degC or g/s\n"
    )


def test_every_point_that_is_changed_but_not_there_is_told_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(
        GOOD + "    points:\n      ESP03.DS_temp: {deadband: 1}\n      '*.DS_temp': {deadband: 1}\n      x: {}\n"
    )
    told = CliRunner().invoke(app, [str(file)]).stderr.splitlines()
    near = "choose from ESP01.DS_temp, ESP02.DS_temp"
    assert told == [
        f"{file}:10: devices.boards.points.ESP03.DS_temp: no point is named ESP03.DS_temp; {near}",
        f"{file}:12: devices.boards.points.x: no point is named x; {near}",
    ]


def test_two_devices_of_one_line_that_set_it_differently_are_told_at_the_second(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    line = "driver: julabo, port: /dev/ttyS77"
    file.write_text(f"experiment: {{name: x}}\ndevices:\n  a: {{{line}}}\n  b: {{{line}, baudrate: 9600}}\n")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{file}:4: devices.b: /dev/ttyS77 is in use with other settings")


@pytest.mark.server
def test_checking_writes_no_file_and_opens_no_connection(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(GOOD)
    for path in (file, DEMO, HERE / "ten_mistakes.yaml"):
        ended = subprocess.run(
            [sys.executable, "-c", WATCHED, str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert ended.returncode == (2 if path.stem == "ten_mistakes" else 0), ended.stderr
        assert "TOUCHED" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.yaml"]


def test_the_watch_of_the_test_above_sees_a_written_file(tmp_path: Path) -> None:
    code = WATCHED.replace("from countingroom.cli.check import app\napp(sys.argv[1:])", "open(sys.argv[1], 'w')")
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=False, timeout=60
    )
    assert "TOUCHED open" in ended.stderr


@pytest.mark.server
def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    assert json.loads(CliRunner().invoke(schema_app, []).stdout) == schema()
    assert CliRunner().invoke(schema_app, ["-o", str(tmp_path / "schema.json")]).exit_code == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == schema()

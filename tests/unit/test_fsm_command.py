"""Law: `countingroom fsm` reads the tables that are in use as they are, and says what is wrong or odd in them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from countingroom.cli.fsm import app
from countingroom.cli.tables import read_tables


def fsm(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def findings(result: Result) -> list[tuple[str, int, str, str]]:
    told: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return [(Path(one["place"]["file"]).name, one["place"]["line"], one["severity"], one["text"]) for one in told]


@pytest.fixture
def real(shared_data: Path) -> Path:
    return shared_data / "run-control"


def test_the_four_real_tables_load_unchanged(real: Path) -> None:
    read = read_tables(sorted(real.glob("*achine*.csv")), real / "map.csv")
    assert read.problems == []
    sizes = {Path(file).name: (len(one.chart.states), len(one.chart.rows)) for file, one in read.tables.items()}
    assert sizes == {
        "DetectorStatemachine.csv": (5, 13),
        "PCAStatemachine.csv": (10, 43),
        "globalSystemStatemachine+.csv": (5, 13),
        "globalSystemStatemachine.csv": (4, 10),
    }
    detector = read.tables[str(real / "DetectorStatemachine.csv")].chart
    assert detector.initial == "Unconfigured"
    assert detector.to_common("Configuring_Step2") == "Configuring"
    partition = read.tables[str(real / "PCAStatemachine.csv")].chart
    state = partition.initial
    for event in ["configure", "success"] * 4 + ["start_recording"]:
        state = partition.step(state, event)
    assert state == "Recording"
    assert partition.step(state, "error_FLES_OR_DCS") == "Detectors_Active"


def test_what_is_odd_in_the_real_tables_is_told_and_nothing_is_wrong(real: Path) -> None:
    result = fsm("check", *sorted(real.glob("*achine*.csv")), "--map", real / "map.csv", "--json")
    assert result.exit_code == 0
    told = findings(result)
    assert {severity for _, _, severity, _ in told} == {"odd"}
    assert ("map.csv", 4, "odd", "map row Configuring_Step3 → Configuring is used by no state") in told
    assert ("globalSystemStatemachine+.csv", 1, "odd", "error leads to Error from every state but Unconfigured") in told
    assert ("DetectorStatemachine.csv", 13, "odd", "resolved and reset do the same everywhere") in told
    unmapped = [line for file, line, _, text in told if file == "PCAStatemachine.csv" and "has no row in" in text]
    assert unmapped == [1, 1, 3, 8, 13, 19, 24, 31, 37]
    assert len(told) == 14


def test_a_table_alone_shows_which_map_rows_others_must_be_using(real: Path) -> None:
    result = fsm("check", real / "DetectorStatemachine.csv", "--map", real / "map.csv", "--json")
    assert [line for file, line, _, _ in findings(result) if file == "map.csv"] == [4, 7, 8]


def test_a_subsystem_file_checks_what_it_names_and_tells_where_a_missing_table_is_named(real: Path) -> None:
    result = fsm("check", real / "subsystem.cfg")
    assert result.exit_code == 2
    missing = real / "DetectorStatemachine2.csv"
    told = f"{real / 'subsystem.cfg'}:11: DETECTOR_B.stateFile: cannot read {missing}: No such file or directory\n"
    assert result.stderr == told
    assert result.stdout.count("transitions") == 3
    assert "Configuring_Step3" not in result.stdout, "the table that is not there may use it"


def test_a_subsystem_file_with_all_its_tables_is_checked_whole(real: Path, tmp_path: Path) -> None:
    for file in real.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    text = (real / "DetectorStatemachine.csv").read_text()
    steps = text.replace("Configuring_Step2,success,Active", "Configuring_Step2,success,Configuring_Step3")
    third = "Configuring_Step3,success,Active\nConfiguring_Step3,abort,Unconfigured\nConfiguring_Step3,error,Error\n"
    (tmp_path / "DetectorStatemachine2.csv").write_text(steps + third)
    result = fsm("check", tmp_path / "subsystem.cfg", "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert [len(one["states"]) for one in facts["tables"]] == [5, 6, 4, 5]
    assert not any(finding["code"] == "unused_map_row" for finding in facts["findings"])


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[A]\nstateFle = a.csv\n", 2, "A.stateFle: unknown key; did you mean stateFile?"),
        ("[A]\ntimeout = soon\nstateFile = a.csv\n", 2, "A.timeout: got 'soon'; expected a number above 0"),
        ("[A]\nstateFile = a.csv\n[A]\nstateFile = a.csv\n", 3, "A: [A] given twice; the first is at line 1"),
        ("stateFile = a.csv\n[A]\nstateFile = a.csv\n", 1, "stateFile: a key before the first [NAME]"),
        ("[A]\nmapFile = b.csv\n", 1, "A.stateFile: is missing"),
        ("[A]\nstateFile = a.csv\nwhat is this\n", 3, "A: got 'what is this'; expected [NAME] or KEY = VALUE"),
        ("", 0, "no section; expected [NAME]"),
    ],
)
def test_a_subsystem_file_with_a_mistake_is_refused_at_its_line(
    tmp_path: Path, text: str, line: int, told: str
) -> None:
    file = tmp_path / "s.cfg"
    file.write_text(text)
    result = fsm("check", file)
    assert result.exit_code == 2
    place = f"{file}:{line}: " if line else f"{file}: "
    assert f"{place}{told}" in result.stderr


def test_something_wrong_ends_with_status_1_and_something_unreadable_with_2(tmp_path: Path) -> None:
    trap = tmp_path / "trap.csv"
    trap.write_text("A,go,B\n")
    result = fsm("check", trap)
    assert result.exit_code == 1
    assert f"{trap}:1: error: B is a dead end" in result.stdout
    assert result.stdout.endswith("1 wrong, 0 odd\n")
    assert fsm("check", tmp_path / "gone.csv").exit_code == 2
    assert fsm("show", tmp_path / "gone.csv").exit_code == 2
    trap.write_bytes(b"\xff\xfe")
    assert "not a text in UTF-8" in fsm("check", trap).stderr


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    path = tmp_path / "lamp.yaml"
    path.write_text("common: {Off: off, Lit: on}\nrows: [['Off', switch, Lit], [Lit, switch, 'Off']]\n")
    return path


def test_show_prints_what_each_state_allows(lamp: Path) -> None:
    lines = [line.split() for line in fsm("show", lamp).stdout.splitlines()]
    assert ["Off", "(initial,", "safe)", "off", "switch", "Lit"] in lines
    assert ["Lit", "on", "switch", "Off"] in lines
    chart = json.loads(fsm("show", lamp, "--json").stdout)
    assert chart["rows"] == [
        {"state": "Off", "event": "switch", "next": "Lit"},
        {"state": "Lit", "event": "switch", "next": "Off"},
    ]


def test_draw_makes_the_three_forms_with_the_present_state_filled(lamp: Path) -> None:
    assert "class s1 present" in fsm("draw", lamp, "--state", "Lit").stdout
    assert 'fillcolor="#424b54"' in fsm("draw", lamp, "--format", "dot", "--state", "Lit").stdout
    picture = ET.fromstring(fsm("draw", lamp, "--format", "svg", "--state", "Lit").stdout)
    assert [box.attrib["data-state"] for box in picture.iter() if "present" in box.get("class", "")] == ["Lit"]
    assert fsm("draw", lamp, "--state", "Broken").exit_code == 2

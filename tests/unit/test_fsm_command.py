"""`countingroom fsm` reads the tables that are in use as they are, and says what is wrong or odd in them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from countingroom.cli.fsm import app
from countingroom.cli.tables import read_tables
from tests.input_files import OWN, Tables


def fsm(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def findings(result: Result) -> list[tuple[str, int, str, str]]:
    told: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return [(Path(one["place"]["file"]).name, one["place"]["line"], one["severity"], one["text"]) for one in told]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is found in a set of tables."""

    sizes: dict[str, tuple[int, int]]
    """States and rows of each."""
    levels: int
    lost: tuple[str, str]
    """An event while recording, and the state that it leads to."""
    unused: tuple[int, str]
    """The row of the map that no table uses."""
    unused_alone: list[int]
    """The rows of the map that the detector's table does not use."""
    odd: tuple[tuple[str, int, str], ...]
    unmapped: list[int]
    """Lines of the partition's table with a state that the map does not have."""
    findings: int
    spare_line: int


EXPECTED = {
    "own": Expected(
        sizes={"camera.csv": (5, 13), "partition.csv": (8, 30), "writer.csv": (5, 13), "clock.csv": (4, 10)},
        levels=3,
        lost=("storage_lost", "Cameras_Active"),
        unused=(5, "Warming"),
        unused_alone=[5, 6, 7, 9],
        odd=(
            ("writer.csv", 2, "error leads to Broken from every state but Off"),
            ("camera.csv", 14, "resolved and reset have the same effect in every state"),
        ),
        unmapped=[2, 2, 4, 8, 12, 17, 22, 28],
        findings=13,
        spare_line=9,
    ),
    "published": Expected(
        sizes={
            "DetectorStatemachine.csv": (5, 13),
            "PCAStatemachine.csv": (10, 43),
            "globalSystemStatemachine+.csv": (5, 13),
            "globalSystemStatemachine.csv": (4, 10),
        },
        levels=4,
        lost=("error_FLES_OR_DCS", "Detectors_Active"),
        unused=(4, "Configuring_Step3"),
        unused_alone=[4, 7, 8],
        odd=(
            ("globalSystemStatemachine+.csv", 1, "error leads to Error from every state but Unconfigured"),
            ("DetectorStatemachine.csv", 13, "resolved and reset have the same effect in every state"),
        ),
        unmapped=[1, 1, 3, 8, 13, 19, 24, 31, 37],
        findings=14,
        spare_line=11,
    ),
}


@pytest.fixture
def expected(tables: Tables) -> Expected:
    return EXPECTED["own" if tables is OWN else "published"]


def test_tables_load_unchanged(tables: Tables, expected: Expected) -> None:
    read = read_tables(tables.machines, tables.path(tables.map))
    assert read.problems == []
    sizes = {Path(file).name: (len(one.chart.states), len(one.chart.rows)) for file, one in read.tables.items()}
    assert sizes == expected.sizes
    detector = read.tables[str(tables.path(tables.detector))].chart
    assert detector.initial == tables.off
    assert detector.to_common(tables.steps[-1]) == "Configuring"
    partition = read.tables[str(tables.path(tables.partition))].chart
    state = partition.initial
    for event in ["configure", "success"] * expected.levels + ["start_recording"]:
        state = partition.step(state, event)
    assert state == "Recording"
    event, below = expected.lost
    assert partition.step(state, event) == below


def test_what_is_odd_in_tables_is_listed_and_is_no_error(tables: Tables, expected: Expected) -> None:
    result = fsm("check", *tables.machines, "--map", tables.path(tables.map), "--json")
    assert result.exit_code == 0
    told = findings(result)
    assert {severity for _, _, severity, _ in told} == {"odd"}
    line, state = expected.unused
    assert (tables.map, line, "odd", f"no state uses the map row {state} → Configuring") in told
    for file, line, text in expected.odd:
        assert (file, line, "odd", text) in told
    unmapped = [line for file, line, _, text in told if file == tables.partition and "has no row in" in text]
    assert unmapped == expected.unmapped
    assert len(told) == expected.findings


def test_a_table_alone_shows_which_map_rows_others_must_be_using(tables: Tables, expected: Expected) -> None:
    result = fsm("check", tables.path(tables.detector), "--map", tables.path(tables.map), "--json")
    assert [line for file, line, _, _ in findings(result) if file == tables.map] == expected.unused_alone


def test_a_subsystem_file_checks_what_it_names_and_tells_where_a_missing_table_is_named(
    tables: Tables, expected: Expected
) -> None:
    systems = tables.path(tables.systems)
    result = fsm("check", systems)
    assert result.exit_code == 2
    place = f"{systems}:{expected.spare_line}: {tables.spare_section}.stateFile"
    assert result.stderr == f"{place}: cannot read {tables.path(tables.spare)}: No such file or directory\n"
    assert result.stdout.count("transitions") == 3
    assert expected.unused[1] not in result.stdout, "the table that is not there may use it"


def test_a_subsystem_file_with_all_its_tables_is_checked_whole(
    tables: Tables, expected: Expected, tmp_path: Path
) -> None:
    for file in tables.folder.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    text = tables.path(tables.detector).read_text()
    last, third = tables.steps[-1], expected.unused[1]
    steps = text.replace(f"{last},success,{tables.ready}", f"{last},success,{third}")
    ends = [line.replace(last, third) for line in text.splitlines() if line.startswith(f"{last},")]
    (tmp_path / tables.spare).write_text("\n".join([steps.rstrip(), *ends]))
    result = fsm("check", tmp_path / tables.systems, "--json")
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
        ("stateFile = a.csv\n[A]\nstateFile = a.csv\n", 1, "stateFile: this key is before the first [NAME]"),
        ("[A]\nmapFile = b.csv\n", 1, "A.stateFile: is missing"),
        ("[A]\nstateFile = a.csv\nwhat is this\n", 3, "A: got 'what is this'; expected [NAME] or KEY = VALUE"),
        ("", 0, "has no section; expected [NAME]"),
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

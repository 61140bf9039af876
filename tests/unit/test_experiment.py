"""A description is taken whole and right, or every mistake in it is told at its own line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from countingroom import experiment
from countingroom.core.yaml.section import Section
from countingroom.experiment import Invalid, schema
from countingroom.experiment.loading import said_by
from countingroom.runs.description import RunsSection
from tests.input_files import Channels

HERE = Path(__file__).parent / "description"

MINIMAL = "experiment: {name: cleanroom}\n"
BOARD = """
    driver: mqtt
    values: {DS_temp: {topic: room/DS/temp, unit: degC}}
"""


def load(path: Path | str) -> Any:
    """The experiment in the file. Its sections are attributes that only the table of departments knows."""
    return experiment.load(path)


def write(folder: Path, **files: str) -> Path:
    """Files by their stem; the experiment's own is `main`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "main.yaml"


def problems(path: Path) -> list[tuple[str, int, str, str]]:
    with pytest.raises(Invalid) as invalid:
        load(path)
    return [(Path(one.place.file).name, one.place.line, one.path, one.message) for one in invalid.value.problems]


def test_ten_different_mistakes_in_three_files_are_all_told_with_their_lines_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(HERE)
    with pytest.raises(Invalid) as invalid:
        load("ten_mistakes.yaml")
    told = str(invalid.value).splitlines()
    expected = [
        ("ten_mistakes.yaml:3: experiment.name: ", "a name has letters, digits, _ and - only; got 'clean room'"),
        ("ten_mistakes.yaml:4: experiment.titel: ", "unknown key; did you mean title?"),
        ("ten_mistakes.yaml:9: bus.port: ", "got 99999; expected less than or equal to 65535"),
        ("ten_mistakes.yaml:13: history.keep.raw: ", "a duration is a number with one of ms, s, min, h, d, w, y"),
        ("ten_mistakes.yaml:18: devices.cellar.poll: ", "expected greater than 0"),
        ("values.yaml:6: devices.cellar.values.humidity.type: ", "got 'number'; expected 'float', 'int', 'bool'"),
        ("boards.yaml:4: devices.boards.port: ", "got 'eight'; expected a valid integer"),
        ("boards.yaml:7: devices.boards.values.3.topic: ", "is missing"),
        ("boards.yaml:8: devices.boards.values.3.tpoic: ", "unknown key; did you mean topic?"),
        ("boards.yaml:11: devices.hall.driver: ", "mqqt is not known; did you mean mqtt?"),
        ("boards.yaml:13: devices.boards: ", "key given twice; the first is at line 2"),
    ]
    # Eleven lines: a misspelt key is also a missing one.
    assert len(told) == len(expected), "\n".join(told)
    for line, (place, said) in zip(told, expected, strict=True):
        assert line.startswith(place), line
        assert said in line


def test_a_right_description_is_an_experiment_with_defaults(tmp_path: Path) -> None:
    found = load(write(tmp_path, main=MINIMAL))
    assert found.experiment.name == found.title == "cleanroom"
    assert len(found.devices) == 0
    assert found.console.host == "127.0.0.1"


def test_an_empty_section_is_as_if_left_out(tmp_path: Path) -> None:
    assert len(load(write(tmp_path, main=MINIMAL + "devices:\nhistory:\n")).devices) == 0


def test_sections_of_included_files_are_merged_also_by_pattern(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=MINIMAL + 'include: [console.yaml, "devices/*.yaml"]\ndevices:\n  own:' + BOARD,
        console="console: {port: 0}\n",
        devices__a="devices:\n  a:" + BOARD,
        devices__b="devices:\n  b:" + BOARD,
    )
    found = load(path)
    assert [name for name, _ in found.devices.items()] == ["own", "a", "b"]
    assert found.console.port == 0


def test_an_included_file_may_include_others_from_where_it_is(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=MINIMAL + "include: sub/a.yaml\n",
        sub__a="include: b.yaml\n",
        sub__b="console: {port: 0}\n",
    )
    assert load(path).console.port == 0


TABLE = "Idle,configure,Configuring\nConfiguring,success,{ready}\n{ready},abort,Idle\nConfiguring,abort,Idle\n"
MAP = "map: {{Idle: Unconfigured, {ready}: Active}}"


@pytest.mark.parametrize("form", ["systems: {S: {type: {table: t.csv, %s}}}", "systems: {S: !include sts/type.yaml}"])
def test_a_file_named_in_an_included_file_is_beside_it(tmp_path: Path, form: str) -> None:
    files = {
        "main": MINIMAL + "include: sub/runs.yaml\n",
        "sub__runs": "runs: {" + (form % MAP.format(ready="Ready") if "%s" in form else form) + "}\n",
    }
    path = write(tmp_path, **files)
    folder = tmp_path / "sub"
    if "!include" in form:
        folder = folder / "sts"
        folder.mkdir()
        (folder / "type.yaml").write_text(f"type: {{table: t.csv, {MAP.format(ready='Ready')}}}\n")
    (folder / "t.csv").write_text(TABLE.format(ready="Ready"))
    # One of the same name beside the main file is another one.
    (tmp_path / "t.csv").write_text(TABLE.format(ready="Other"))
    assert "Ready" in load(path).section(RunsSection).systems["S"].chart.states


def test_a_file_that_is_only_beside_the_main_file_is_still_found(tmp_path: Path) -> None:
    runs = f"runs: {{systems: {{S: {{type: {{table: t.csv, {MAP.format(ready='Ready')}}}}}}}}}\n"
    path = write(tmp_path, main=MINIMAL + "include: sub/runs.yaml\n", sub__runs=runs)
    (tmp_path / "t.csv").write_text(TABLE.format(ready="Ready"))
    assert "Ready" in load(path).section(RunsSection).systems["S"].chart.states
    (tmp_path / "t.csv").unlink()
    ((file, _, _, said),) = problems(path)
    assert file == "runs.yaml"
    assert str(tmp_path / "sub" / "t.csv") in said or "cannot be read" in said


def test_include_stands_for_a_value_and_for_keys_that_own_keys_replace(tmp_path: Path) -> None:
    board = "driver: mqtt\nport: 1\nuser: me\nvalues: {t: {topic: a}}\n"
    path = write(
        tmp_path, main=MINIMAL + "devices:\n  a: !include b.yaml\n  c: {<<: !include b.yaml, port: 7}\n", b=board
    )
    devices = load(path).devices
    assert devices["a"].model_dump()["port"] == 1
    assert (devices["c"].model_dump()["port"], devices["c"].model_dump()["user"]) == (7, "me")


def test_a_mistake_in_merged_keys_is_told_in_the_file_they_came_from(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=MINIMAL + "devices:\n  c:\n    <<: !include b.yaml\n    prot: 7\n",
        b="driver: mqtt\nhots: x\nvalues: {t: {topic: a}}\n",
    )
    assert [(file, line, spot) for file, line, spot, _ in problems(path)] == [
        ("main.yaml", 5, "devices.c.prot"),
        ("b.yaml", 2, "devices.c.hots"),
    ]


def test_a_device_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    path = write(tmp_path, main=MINIMAL + "include: b.yaml\ndevices:\n  a:" + BOARD, b="devices:\n  a:" + BOARD)
    ((file, line, spot, said),) = problems(path)
    assert (file, line, spot) == ("b.yaml", 2, "devices.a")
    assert said.startswith("given in two files; the first is") and said.endswith("main.yaml:4")


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, main=MINIMAL + "include: b.yaml\n", b="include: main.yaml\n")
    ((file, line, _, said),) = problems(path)
    assert (file, line) == ("b.yaml", 1)
    assert "includes itself: main.yaml → b.yaml" in said


def test_a_value_that_includes_its_own_file_is_refused(tmp_path: Path) -> None:
    ((file, line, _, said),) = problems(write(tmp_path, main=MINIMAL + "devices: !include main.yaml\n"))
    assert (file, line) == ("main.yaml", 2)
    assert "includes itself" in said


def test_a_missing_file_is_told_where_it_is_asked_for_and_nothing_else_about_what_it_should_have_said(
    tmp_path: Path,
) -> None:
    text = MINIMAL + "include:\n  - gone.yaml\n  - none/*.yaml\ndevices:\n  a: !include lost.yaml\nhistory: {max: 1}\n"
    told = [(line, spot) for _, line, spot, _said in problems(write(tmp_path, main=text))]
    assert told == [(3, ""), (4, "include[1]"), (6, "devices.a"), (7, "history.max")]


def test_a_file_that_is_not_there_or_no_yaml_or_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"cannot read .*gone\.yaml: No such file"):
        load(tmp_path / "gone.yaml")
    with pytest.raises(Invalid, match=r"main\.yaml:2: invalid YAML"):
        load(write(tmp_path, main="a: [1\n"))
    with pytest.raises(Invalid, match="expected"):
        load(write(tmp_path, main="- a\n"))
    with pytest.raises(Invalid, match="experiment: is missing"):
        load(write(tmp_path, main=""))


@pytest.mark.server
def test_a_file_that_would_not_end_or_not_fit_is_refused(tmp_path: Path) -> None:
    aliases = "".join(f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (said,) = problems(write(tmp_path, main=f"x0: &x0 [1]\n{aliases}{MINIMAL}"))
    assert "values" in said[3]
    (said,) = problems(write(tmp_path, main=f"{MINIMAL}x-a: {'[' * 5000}{']' * 5000}"))
    assert "nested too deeply" in said[3]
    (said,) = problems(write(tmp_path, main="experiment: !include /dev/zero"))
    assert "longer than any description" in said[3]


@pytest.mark.parametrize("duration", ["1e30 d", "99999999999999999999 d", ".inf", "300 y"])
def test_a_duration_that_no_clock_can_count_is_refused(tmp_path: Path, duration: str) -> None:
    (said,) = problems(write(tmp_path, main=f"{MINIMAL}history: {{keep: {{raw: {duration}}}}}"))
    assert said[2] == "history.keep.raw"


MODBUS = "driver: modbus, host: plant.example, registers: {p: {address: 1, type: float32, %s}}"
EPICS = "driver: epics, values: {p: {pv: a, %s}}"
MQTT = "driver: mqtt, values: {p: {topic: a/b, %s}}"


@pytest.mark.parametrize(
    ("device", "path", "message"),
    [
        (
            MODBUS % "input: true, write_low: 5, write_high: 1",
            "registers.p.write_high",
            "write_high 1 is below write_low 5",
        ),
        (MODBUS % "alarm_low: 5, warning_high: 1", "registers.p.warning_high", "warning_high 1 is below alarm_low 5"),
        (MODBUS % "alarm_high: .nan", "registers.p.alarm_high", "expected a finite number"),
        (MODBUS % "precision: -1", "registers.p.precision", "expected greater than or equal to 0"),
        (MODBUS.replace("address: 1", "address: 65535") % "", "registers.p.address", "needs 2 registers from 65535 on"),
        (MODBUS.replace("plant.example", "''") % "", "host", "at least 1 character"),
        (EPICS % "writable: true, write_low: 5, write_high: 1", "values.p.write_high", "is below write_low 5"),
        (EPICS % "deadband: .inf", "values.p.deadband", "expected a finite number"),
        (EPICS % "confirm: 0 s", "values.p.confirm", "expected greater than 0"),
        (MQTT % "low: 5, high: 1", "values.p.high", "high 1 is below low 5"),
        (MQTT % "deadband: -1", "values.p.deadband", "expected greater than or equal to 0"),
        (MQTT % "stale_after: -1", "values.p.stale_after", "expected greater than or equal to 0"),
        (MQTT.replace("a/b", "a/b#") % "", "values.p.topic", "# stands for whole levels"),
        (MQTT.replace("a/b", "''") % "", "values.p.topic", "at least 1 character"),
        ("driver: julabo, port: /dev/ttyUSB0, poll: 0 s", "poll", "expected greater than 0"),
        ("driver: julabo, port: ''", "port", "at least 1 character"),
        ("driver: julabo, port: 'socket://moxa'", "port", "written socket://HOST:PORT"),
        ("driver: julabo, port: x, baudrate: 0", "baudrate", "expected greater than 0"),
        ("driver: julabo, port: x, points: {power: {alarm_low: 2, alarm_high: 1}}", "points.power.alarm_high", "below"),
    ],
)
def test_numbers_that_cannot_be_meant_are_told_before_the_device_is_there(
    tmp_path: Path, device: str, path: str, message: str
) -> None:
    (told,) = problems(write(tmp_path, main=f"{MINIMAL}devices:\n  d: {{{device}}}\n"))
    assert told[:3] == ("main.yaml", 3, f"devices.d.{path}")
    assert message in told[3]


def test_a_character_that_no_yaml_may_have_is_told_at_its_line(tmp_path: Path) -> None:
    (told,) = problems(write(tmp_path, main=f"{MINIMAL}devices:\n  d: {{title: 'a\0b'}}\n"))
    assert told[:2] == ("main.yaml", 3)
    assert told[3] == "invalid YAML: the character #x0000 is not allowed"


def test_keys_that_begin_with_x_are_a_place_for_anchors(tmp_path: Path) -> None:
    text = MINIMAL + "x-board: &board\n  driver: mqtt\n  values: {t: {topic: a}}\ndevices:\n  a: *board\n  b: *board\n"
    assert len(load(write(tmp_path, main=text)).devices) == 2


def test_words_of_the_old_yaml_stay_words(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + "devices:\n  on:\n    driver: mqtt\n    title: off\n    user: 12:30:45\n    values: {0: {topic: no}}\n"
    )
    devices = load(write(tmp_path, main=text)).devices
    assert devices["on"].title == "off"
    assert devices["on"].model_dump()["user"] == "12:30:45"
    assert list(devices["on"].model_dump()["values"]) == ["0"]


def test_a_channel_file_is_included_unchanged(tmp_path: Path, channels: Channels) -> None:
    text = MINIMAL + f"devices:\n  caen:\n    driver: caen\n    <<: !include {channels.file}\n"
    section = load(write(tmp_path, main=text)).devices["caen"].model_dump()
    assert section["channels"][channels.changed]["lv"]["setV"] == channels.changed_v
    assert section["everywhere"]["lv"]["tripExt"] == channels.trip_mask


def test_a_mistake_deep_in_a_channel_file_is_told_at_its_path_there(tmp_path: Path) -> None:
    channels = "channels:\n  3:\n    lv: {board: 9, chan: 0}\n    hv: {board: 12, chan: 0}\n"
    text = MINIMAL + "devices:\n  caen:\n    driver: caen\n    <<: !include channels.yaml\n"
    told = problems(write(tmp_path, main=text, channels=channels))
    assert told == [("channels.yaml", 3, "devices.caen.channels.3.lv.board", "got 9; expected less than or equal to 4")]


def test_the_schema_describes_every_section_and_refuses_what_the_loader_refuses() -> None:
    made = schema()
    assert set(made["properties"]) == {
        "experiment",
        "bus",
        "alarms",
        "devices",
        "history",
        "storage",
        "console",
        "runs",
        "fleet",
        "tracker",
        "doors",
        "home_assistant",
        "include",
        "mirror",
        "backup",
        "pvs",
        "results",
        "snapshots",
        "synoptics",
    }
    assert all(part.get("description") for part in made["properties"].values())
    assert made["additionalProperties"] is False
    assert made["$defs"]["MqttSensorsSection"]["properties"]["poll"]["exclusiveMinimum"] == 0
    json.dumps(made)


class Part(Section):
    low: float
    high: float

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.low > self.high:
            yield ("low",), "is above high"


class Whole(Section):
    parts: dict[str, Part]
    rest: list[Part] = Field(default=[], alias="others")

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        yield ("parts",), "are never right"


def test_what_sections_say_across_their_keys_is_told_at_the_path_as_written() -> None:
    bad, good = {"low": 2, "high": 1}, {"low": 1, "high": 2}
    whole = Whole.model_validate({"parts": {"3": bad, "4": good}, "others": [good, bad]})
    assert list(said_by(whole)) == [
        (("parts",), "are never right"),
        (("parts", "3", "low"), "is above high"),
        (("others", 1, "low"), "is above high"),
    ]

"""`check` tells mistakes of structure, of references and of devices together, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.cli.check import app


def told(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{name: x}}\n{text}", encoding="utf-8")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == (2 if result.stderr else 0)
    return [line.removeprefix(f"{file}:") for line in result.stderr.splitlines()]


FOUR = """\
devices:
  boards: {driver: mqtt, values: {t: {topic: a, precison: 1}}}
  plant: {driver: marta, host: h, points: {nothing: {deadband: 1}}}
  mill:
    driver: modbus
    host: h
    registers:
      a: {address: 1, type: int16, input: true, write_low: 150, write_high: 100}
      b: {address: 2, typ: int16}
runs:
  systems:
    cooling: {kind: global, agent: {kind: slow-control, device: plat, states: {}}}
    STS: {agent: {kind: slow-control, device: boards, states: {}}}
  partitions:
    beam: {template: cmb, goal: Recording}
  tags: {night: 7}
"""


def test_mistakes_of_structure_references_limits_and_points_are_told_together(tmp_path: Path) -> None:
    lines = told(tmp_path, FOUR)
    expected = [
        "3: devices.boards.values.t.precison: unknown key; did you mean precision?",
        "4: devices.plant.points.nothing: no point is named nothing; choose from ",
        "9: devices.mill.registers.a.write_high: write_high 100 is below write_low 150",
        "10: devices.mill.registers.b.typ: unknown key; did you mean type?",
        "13: runs.systems.cooling.agent.device: there is no device plat; did you mean plant?",
        "16: runs.partitions.beam.template: there is no template cmb; did you mean cbm?",
        "17: runs.tags.night: got 7; expected a valid dictionary",
    ]
    assert len(lines) == len(expected), "\n".join(lines)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)


def test_what_follows_from_a_mistake_is_not_told_as_another_one(tmp_path: Path) -> None:
    text = """\
devices:
  plant: {driver: marta, prot: 1}
runs:
  systems:
    STS: {kind: detecor}
    DCS: {kind: global, agent: {kind: slow-control, device: plant, states: {CONNECTED: Active}}}
    TFC: 7
    FLES: {kind: global, type: {table: gone.csv}}
    QA: {kind: global}
  templates:
    bench: {levels: 3}
  partitions:
    a: {template: bench, detectors: [STS]}
    b: {template: cbm}
"""
    lines = told(tmp_path, text)
    assert [line.split(": ", 2)[1] for line in lines] == [
        "devices.plant.host",
        "devices.plant.prot",
        "runs.systems.STS.kind",
        "runs.systems.TFC",
        "runs.systems.FLES.type",
        "runs.templates.bench.levels",
    ], lines


def test_a_file_that_cannot_be_read_does_not_make_its_devices_unknown(tmp_path: Path) -> None:
    text = """\
include: gone.yaml
runs: {systems: {DCS: {kind: global, agent: {kind: slow-control, device: plant, states: {}}}}}
"""
    (line,) = told(tmp_path, text)
    assert "cannot read" in line


DCS = """\
devices:
  plant: {driver: marta, host: h}
runs:
  systems:
    DCS:
      kind: global
      agent:
        kind: slow-control
        device: plant
"""


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        (
            "states: {CO2_RUNING: Active}",
            "states.CO2_RUNING",
            "plant has no state CO2_RUNING; did you mean CO2_RUNNING?",
        ),
        ("states: {CO2_RUNNING: Activ}", "states.CO2_RUNNING", "the system has no state Activ; did you mean Active?"),
        (
            "states: {}\n        configure: start_cO2",
            "configure",
            "plant has no command start_cO2; did you mean start_co2?",
        ),
        ("states: {}\n        abort: nix", "abort", "plant has no command nix; known here: "),
    ],
)
def test_an_agent_names_only_states_and_commands_that_exist(tmp_path: Path, keys: str, path: str, message: str) -> None:
    (line,) = told(tmp_path, f"{DCS}        {keys}\n")
    assert line.split(": ", 1)[1].startswith(f"runs.systems.DCS.agent.{path}: {message}")


@pytest.mark.parametrize(
    ("device", "path", "message"),
    [
        # The driver's own limit of this setpoint is 25 degC.
        (
            "driver: marta, host: h, points: {set_temperature_setpoint: {write_low: 150}}",
            "points.set_temperature_setpoint",
            "write_high 25 is below write_low 150 of set_temperature_setpoint",
        ),
        (
            "driver: caen, points: {'*.lv_temp': {warning_high: 60}, 0.lv_temp: {alarm_high: 50}}, channels: "
            "{0: {lv: {board: 0, chan: 0}, hv: {board: 12, chan: 0}}}",
            "points.0.lv_temp",
            "alarm_high 50 is below warning_high 60 of 0.lv_temp",
        ),
        (
            "driver: modbus, host: h, registers: "
            "{a: {address: 1, type: int16, input: true, write_low: 0, write_high: 4e4}}",
            "registers.a.write_high",
            "write_high 40000 is outside -32768 to 32767, the range of int16",
        ),
        (
            "driver: modbus, host: h, registers: {a: {address: 1, type: uint16, alarm_low: -5}}",
            "registers.a.alarm_low",
            "alarm_low -5 is outside 0 to 65535, the range of uint16",
        ),
        (
            "driver: mqtt, values: {a: {topic: a, type: bool, low: 3}}",
            "values.a.low",
            "low is for numbers; this is bool",
        ),
    ],
)
def test_limits_that_contradict_the_driver_the_type_or_each_other_are_told(
    tmp_path: Path, device: str, path: str, message: str
) -> None:
    (line,) = told(tmp_path, f"devices:\n  d: {{{device}}}\n")
    assert line.startswith(f"3: devices.d.{path}: {message}"), line


def test_two_sections_with_one_client_id_at_one_broker_are_told(tmp_path: Path) -> None:
    text = """\
devices:
  a: {driver: mqtt, client_id: hall, values: {t: {topic: a}}}
  b: {driver: mqtt, client_id: hall, values: {t: {topic: b}}}
  c: {driver: mqtt, client_id: hall, host: other.example, values: {t: {topic: b}}}
"""
    assert told(tmp_path, text) == [
        "4: devices.b.client_id: hall is the client_id of device a already: the broker disconnects one when the other "
        "connects; give each its own"
    ]


def test_a_label_with_half_a_surrogate_pair_is_told(tmp_path: Path) -> None:
    text = 'devices: {a: {driver: mqtt, values: {t: {topic: a, label: "x\\ud800"}}}}\n'
    assert told(tmp_path, text) == [
        "2: devices.a.values.t.label: the text contains the hidden character U+D800; remove it"
    ]


@pytest.mark.parametrize(
    ("common", "own", "path"),
    [
        ("", ", maxI: 500, imRange: Low", "channels.0.hv.maxI"),
        ("global: {hv: {imRange: Low}}, ", ", maxI: 500", "channels.0.hv.maxI"),
        ("global: {hv: {maxI: 500}}, ", ", imRange: Low", "channels.0.hv.imRange"),
        ("global: {hv: {imRange: Low, maxI: 500}}, ", "", "global.hv.maxI"),
    ],
)
def test_a_current_limit_above_the_range_of_the_meter_is_told_and_not_refused(
    tmp_path: Path, common: str, own: str, path: str
) -> None:
    # Channel files in use have it, and are included unchanged.
    channel = f"{{lv: {{board: 0, chan: 0}}, hv: {{board: 12, chan: 0{own}}}}}"
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{name: x}}\ndevices:\n  d: {{driver: caen, {common}channels: {{0: {channel}}}}}\n")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 0
    assert result.stderr == (
        f"warning: {file}:3: devices.d.{path}: 500 uA is above the 350 uA of `imRange: Low`; give at most 350, or "
        "`imRange: High`\n"
    )


@pytest.mark.parametrize("keys", ["maxI: 350, imRange: Low", "maxI: 500, imRange: High", "maxI: 500", "imRange: Low"])
def test_a_current_limit_in_the_range_of_the_meter_is_right(tmp_path: Path, keys: str) -> None:
    channel = f"{{lv: {{board: 0, chan: 0}}, hv: {{board: 12, chan: 0, {keys}}}}}"
    assert told(tmp_path, f"devices: {{d: {{driver: caen, channels: {{0: {channel}}}}}}}\n") == []


def test_a_configuration_that_does_not_fit_the_schema_of_its_system_is_told(tmp_path: Path) -> None:
    text = """\
runs:
  systems:
    STS:
      parameters:
        type: object
        properties: {threshold: {type: number, maximum: 10}, mode: {enum: [beam, cosmic]}}
        required: [mode]
    MVD: {parameters: {type: objekt}}
  configurations:
    STS:
      beam: {threshold: 12, mode: beam}
      noise: {threshold: 3}
    MVD:
      beam: {anything: 1}
"""
    expected = [
        "9: runs.systems.MVD.parameters: the schema of MVD is invalid: type: 'objekt' is not valid",
        "12: runs.configurations.STS.beam.threshold: threshold: 12 is greater than the maximum of 10",
        "13: runs.configurations.STS.noise: 'mode' is a required property",
    ]
    lines = told(tmp_path, text)
    assert len(lines) == len(expected), "\n".join(lines)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)


def test_the_schema_of_a_file_that_refers_to_another_document_is_told(tmp_path: Path) -> None:
    (tmp_path / "sts.yaml").write_text("properties: {threshold: {$ref: 'other.json'}}\n", encoding="utf-8")
    (line,) = told(tmp_path, "runs: {systems: {STS: {parameters: sts.yaml}}}\n")
    assert "runs.systems.STS.parameters: the schema of STS refers to other.json, which is not in it" in line


def test_names_of_points_and_commands_are_told_beside_another_mistake_of_the_device(tmp_path: Path) -> None:
    text = """\
devices:
  plant: {driver: marta, host: h, pol: 1, points: {nothing: {deadband: 1}}}
  other: {driver: marta, host: h, poll: soon, commands: {nix: {dangerous: true}, nax: {dangerous: true}}}
  both: {driver: marta, host: h, points: {nothing: {deadband: 1}}, commands: {nix: {dangerous: true}}}
  half: {driver: marta, host: h, points: {nothing: {deadband: 1}, DP01_CO2_W: {deadbnd: 1}}}
"""
    lines = told(tmp_path, text)
    expected = [
        "3: devices.plant.pol: unknown key",
        "3: devices.plant.points.nothing: no point is named nothing",
        "4: devices.other.poll: a duration is a number",
        "4: devices.other.commands.nix: no command is named nix",
        "4: devices.other.commands.nax: no command is named nax",
        "5: devices.both.points.nothing: no point is named nothing",
        "5: devices.both.commands.nix: no command is named nix",
        "6: devices.half.points.DP01_CO2_W.deadbnd: unknown key",
        "6: devices.half.points.nothing: no point is named nothing",
    ]
    assert len(lines) == len(expected), "\n".join(lines)
    for start in expected:
        assert any(line.startswith(start) for line in lines), (start, lines)


def test_a_point_that_a_wrong_value_may_have_made_is_not_told_as_missing(tmp_path: Path) -> None:
    text = """\
devices:
  mill: {driver: modbus, host: h, registers: {a: {address: 1, type: int16}, b: 7}, points: {b: {deadband: 1}}}
  moll: {driver: modbus, host: h, registes: {b: {address: 1, type: int16}}, points: {b: {deadband: 1}}}
"""
    lines = told(tmp_path, text)
    assert all("no point is named" not in line for line in lines), lines
    assert {line.split(": ")[1] for line in lines} >= {"devices.mill.registers.b", "devices.moll.registes"}


def test_limits_in_the_wrong_order_are_told_once(tmp_path: Path) -> None:
    text = """\
devices:
  mill:
    driver: modbus
    host: h
    registers: {a: {address: 1, type: int16}}
    points: {a: {alarm_low: 5, alarm_high: 3}}
"""
    (line,) = told(tmp_path, text)
    assert line == "7: devices.mill.points.a.alarm_high: alarm_high 3 is below alarm_low 5"


@pytest.mark.parametrize(
    ("mistake", "is_told"),
    [
        ("nix: 1", True),
        ("poll: soon", True),
        ("values: {t: {topic: a, typ: 3}}", True),
        ("hots: other", False),
        ("port: x", False),
    ],
)
def test_one_client_id_of_two_devices_is_told_beside_other_mistakes(
    tmp_path: Path, mistake: str, is_told: bool
) -> None:
    keys = "" if mistake.startswith("values") else ", values: {t: {topic: a}}"
    text = f"""\
devices:
  first: {{driver: mqtt, client_id: dcs{keys}, {mistake}}}
  second: {{driver: mqtt, client_id: dcs, values: {{t: {{topic: a}}}}}}
"""
    lines = told(tmp_path, text)
    said = [line for line in lines if "dcs is the client_id of device first already" in line]
    assert len(said) == int(is_told), lines
    assert len(lines) == len(said) + 1

"""`check` warns of limits, choices and settings that can have no effect, with the line of each."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from countingroom.cli.check import app

HEAD = """\
experiment: {name: x}
devices:
  mill:
    driver: modbus
    host: h
    registers:
"""


def warned(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "experiment.yaml"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 0, result.output
    return [line.removeprefix(f"warning: {file}:") for line in result.stderr.splitlines()]


def test_limits_that_no_value_reaches_are_a_warning(tmp_path: Path) -> None:
    text = f"""\
{HEAD}\
      flag: {{address: 1, type: bool, alarm_high: 5, warning_low: 0.5}}
      text: {{address: 2, type: string, alarm_high: 5}}
      gate: {{address: 4, type: bool, input: true, write_low: 100, write_high: 150}}
      same: {{address: 6, type: int16, input: true, write_low: 5, write_high: 5, alarm_low: 3, alarm_high: 3}}
  boards:
    driver: mqtt
    sensors: {{a: "", b: ""}}
    values:
      word: {{topic: "{{sensor}}/w", type: string}}
    points:
      "*.word": {{alarm_high: 5}}
"""
    assert warned(tmp_path, text) == [
        "7: devices.mill.registers.flag.alarm_high: no value of flag is above 5: it is on (1) or off (0)",
        "8: devices.mill.registers.text.alarm_high: alarm_high is for numbers; text is a text",
        "9: devices.mill.registers.gate.write_low: write_low is for numbers; gate is on or off",
        "9: devices.mill.registers.gate.write_high: write_high is for numbers; gate is on or off",
        "17: devices.boards.points.*.word.alarm_high: alarm_high is for numbers; a.word is a text",
    ]


def test_choices_and_settings_that_would_be_refused_are_a_warning(tmp_path: Path) -> None:
    text = f"""\
{HEAD}\
      mode: {{address: 1, type: int16, input: true, choices: [1, 2.5, x]}}
      rate: {{address: 2, type: int16, input: true, write_low: 0, write_high: 5}}
      gate: {{address: 3, type: bool, input: true}}
    settings:
      rate: 50
      gate: 7
      mode: 1
"""
    assert warned(tmp_path, text) == [
        "7: devices.mill.registers.mode.choices: mode takes a int; got 2.5",
        "7: devices.mill.registers.mode.choices: mode takes a int; got 'x'",
        "11: devices.mill.settings.rate: rate: 50 is outside 0 to 5",
        "12: devices.mill.settings.gate: gate takes a bool; got 7",
    ]


def test_one_client_id_at_one_broker_is_told_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    boards = "{driver: mqtt, client_id: dcs, values: {t: {topic: a}}, host: "
    file.write_text(
        f"experiment: {{name: x}}\ndevices:\n  a: {boards}127.0.0.1}}\n  b: {boards}LocalHost}}\n  c: {boards}other}}\n"
        f"  d: {boards}Other}}\n",
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, [str(file)])
    told = [line.removeprefix(f"{file}:").partition(" already")[0] for line in result.stderr.splitlines()]
    assert told == [
        "4: devices.b.client_id: dcs is the client_id of device a",
        "6: devices.d.client_id: dcs is the client_id of device c",
    ]

"""`check` tells names in the section `alarms` that do not exist, and warns of alarms without guidance."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.alarms.description import AlarmsSection
from countingroom.cli.check import app
from countingroom.experiment import load

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"
HEAD = """\
experiment: {name: x}
devices:
  mill:
    driver: modbus
    host: h
    registers:
      speed: {address: 1, type: int16, unit: V, warning_high: 5, alarm_high: 6}
      load: {address: 2, type: int16, unit: A, alarm_high: 6}
      word: {address: 4, type: string}
runs:
  systems: {STS: {}, TFC: {kind: global}, DCS: {kind: global}, FLES: {kind: global}, QA: {kind: global}}
  partitions: {mCBM: {detectors: [STS]}}
alarms:
"""
AT = len(HEAD.splitlines())
QUIET = "  guidance: {meaning: m}\n"
"""Guidance for all, so that only what is looked for is told."""


def checked(tmp_path: Path, text: str) -> tuple[int, list[str]]:
    """Exit status, and the lines that are told, each with its line number in the section."""
    file = tmp_path / "experiment.yaml"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, [str(file)])
    told: list[str] = []
    for one in result.stderr.splitlines():
        mark, _, rest = one.partition(f"{file}:")
        line, _, message = rest.partition(": ")
        told.append(f"{mark}{int(line) - AT}: {message}")
    return result.exit_code, told


def problems(tmp_path: Path, section: str) -> list[str]:
    status, told = checked(tmp_path, HEAD + QUIET + section)
    assert status == (2 if any(not one.startswith("warning: ") for one in told) else 0)
    return told


def test_a_section_without_a_mistake_is_right(tmp_path: Path) -> None:
    section = """\
  areas:
    plant:
      devices: [mill]
      points: ["mill.s*", mill.load]
      areas:
        runs: {partitions: [mCBM], systems: [STS, "T*"], roles: [history]}
  overrides:
    point.mill.speed: {on_delay: 1 s}
    "value.mill.*": {priority: 3}
    "device.*.link": {off: true}
    "*.STS": {latching: true}
    custom.slow: {latching: true}
  custom:
    slow: {silence: {point: mill.load, longer_than: 5 s}}
    early: {state: {of: device.mill, not_in: [CONNECTED]}}
  suppress:
    idle: {when: {state: {of: partition.mCBM, in: [Idle]}}, alarms: [point.mill.speed], areas: [plant], reason: idle}
"""
    assert problems(tmp_path, section) == []


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "  areas: {a: {devices: [mil, 'caen*'], points: [mill.sped], channels: [mill.0], roles: [histry]}}\n",
            [
                "2: alarms.areas.a.devices[0]: no device is named mil; did you mean mill?",
                "2: alarms.areas.a.devices[1]: no device is named caen*",
                "2: alarms.areas.a.points[0]: no point is named mill.sped; did you mean mill.speed?",
                "2: alarms.areas.a.channels[0]: no channel is named mill.0",
                "2: alarms.areas.a.roles[0]: no role is named histry; did you mean history?",
            ],
        ),
        (
            "  areas:\n    a:\n      areas:\n        b: {partitions: [lab], systems: [STX]}\n",
            [
                "warning: 5: alarms.areas.a.areas.b.partitions[0]: no partition is named lab; known here: mCBM",
                "warning: 5: alarms.areas.a.areas.b.systems[0]: no system is named STX; did you mean STS?",
            ],
        ),
        (
            "  overrides:\n    point.mill.sped: {latching: true}\n    'channel.mill.*': {off: true}\n"
            "    member.lab.STS: {off: true}\n",
            [
                "3: alarms.overrides.point.mill.sped: no alarm is named point.mill.sped"
                "; did you mean point.mill.speed?",
                "4: alarms.overrides.channel.mill.*: no alarm is named channel.mill.*",
                "warning: 5: alarms.overrides.member.lab.STS: no alarm is named member.lab.STS"
                "; did you mean member.mCBM.STS?",
            ],
        ),
        (
            "  custom:\n    a: {rate: {point: mill.word, rise: 1}}\n"
            "    b: {deviation: {point: mill.speed, setpoint: mill.goal, more_than: 1}}\n"
            "    c: {state: {of: device.mill, in: [CONECTED]}}\n"
            "    d: {state: {of: system.STS, in: [Activ]}}\n"
            "    e: {state: {of: partition.mCBM, in: [Idel]}}\n"
            "    f: {state: {of: device.mil, in: [X]}}\n",
            [
                "4: alarms.custom.b.deviation.setpoint: no point is named mill.goal; did you mean mill.load?",
                "5: alarms.custom.c.state.in[0]: device.mill has no state CONECTED; did you mean CONNECTED?",
                "6: alarms.custom.d.state.in[0]: system.STS has no state Activ; did you mean Active?",
                "7: alarms.custom.e.state.in[0]: partition.mCBM has no state Idel; did you mean Idle?",
                "8: alarms.custom.f.state.of: no device is named mil; did you mean mill?",
                "warning: 3: alarms.custom.a.rate.point: mill.word is a text, which is beyond no number",
            ],
        ),
        (
            "  custom:\n    a: {expression: {text: x > mill.lod, names: {x: mill.spee, y: mill.load}}}\n"
            "    c: {expression: {text: mill.speed + mill.load > 1}}\n"
            "    b: {hysteresis: 3, limit: {point: mill.load, warning_low: 1, alarm_high: 2}}\n"
            "  overrides: {'point.mill.*': {hysteresis: 3}}\n",
            [
                "3: alarms.custom.a.expression.names.x: no point is named mill.spee; did you mean mill.speed?",
                "3: alarms.custom.a.expression.text: no point is named mill.lod; did you mean mill.load?",
                "4: alarms.custom.c.expression.text: column 14: `mill.load` is in A; the part before is in V"
                "; allowed: equal units",
                "warning: 5: alarms.custom.b.hysteresis: 3 is wider than the range between the limits of it; 1 is used",
            ],
        ),
        (
            "  suppress:\n    a: {when: {quality: {point: mill.x}}, alarms: ['point.mil.*'], reason: r}\n",
            [
                "3: alarms.suppress.a.when.quality.point: no point is named mill.x; did you mean mill.word?",
                "3: alarms.suppress.a.alarms[0]: no alarm is named point.mil.*",
            ],
        ),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_its_place(tmp_path: Path, section: str, told: list[str]) -> None:
    assert sorted(problems(tmp_path, section)) == sorted(told)


def test_points_of_a_device_with_mistakes_may_be_there(tmp_path: Path) -> None:
    text = (HEAD + QUIET).replace("address: 4", "address: -4")
    _, told = checked(tmp_path, text + "  overrides: {point.mill.x: {off: true}}\n  areas: {a: {points: [mill.y]}}\n")
    assert len(told) == 1
    assert "registers.word.address" in told[0]


def test_alarms_without_guidance_are_one_warning_for_each_area(tmp_path: Path) -> None:
    section = """\
  areas:
    plant:
      devices: [mill]
      areas:
        speed: {points: [mill.speed]}
        load: {points: [mill.load], guidance: {do: slow down}}
    runs: {partitions: [mCBM], guidance: {meaning: The run is in danger.}}
    control: {roles: ['*'], guidance: {do: call}}
  custom: {a: {state: {of: partition.mCBM, in: [Idle]}}}
"""
    status, told = checked(tmp_path, HEAD + section)
    assert status == 0
    assert sorted(told) == [
        "warning: 0: alarms: 1 alarm in no area has no guidance (custom.a); give meaning and do",
        "warning: 2: alarms.areas.plant: 2 alarms of area plant have no guidance "
        "(device.mill.state, device.mill.link); give meaning and do",
        "warning: 5: alarms.areas.plant.areas.speed: 1 alarm of area plant/speed has no guidance (point.mill.speed); "
        "give meaning and do",
    ]


def test_a_description_without_the_section_gets_no_warning(tmp_path: Path) -> None:
    assert checked(tmp_path, HEAD.removesuffix("alarms:\n")) == (0, [])


def test_an_area_that_a_device_names_must_exist(tmp_path: Path) -> None:
    text = HEAD.replace("    host: h\n", "    host: h\n    area: plnt\n") + QUIET + "  areas: {plant: {}}\n"
    status, told = checked(tmp_path, text)
    assert (status, told) == (2, [f"{6 - AT}: devices.mill.area: there is no area plnt; did you mean plant?"])


def test_every_alarm_of_the_demo_has_guidance() -> None:
    assert load(DEMO).section(AlarmsSection).areas["cooling"].areas["chiller"].guidance.time_to_act == 300
    result = CliRunner().invoke(app, [str(DEMO)])
    assert (result.exit_code, result.stderr) == (0, "")

"""The key `interlocks` of the section `alarms`, and the specs that are made of it."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_specs
from countingroom.core.interlocks.inputs import InterlockInputs
from countingroom.core.interlocks.specs import InterlockEffect, InterlockSpec
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import Readings
from countingroom.core.policy import Role
from countingroom.core.values import Quality, Scalar

WARM = {"limit": {"point": "chiller.bath", "alarm_high": 35}}
COOLING: dict[str, Any] = {
    "title": "Cooling lost",
    "causes": {
        "bath_too_warm": {"title": "Bath too warm", "inputs": [WARM], "on_delay": "2 s"},
        "plant": {
            "inputs": [
                {"limit": {"point": "plant.p1", "alarm_low": 1}},
                {"expression": {"text": "plant.p2 < 1 and plant.p3 < 1"}},
                {"state": {"of": "device.chiller", "in": ["error"]}},
            ],
            "vote": "2oo3",
            "unknown_delay": "5 s",
        },
    },
    "effects": {
        "hv_off": {"title": "HV off", "commands": [{"device": "caen", "channel": 0, "command": "off"}]},
        "stop_run": {"stop": "mCBM"},
        "no_start": {"forbid": "mCBM"},
    },
    "matrix": {"bath_too_warm": {"hv_off": "0 s", "no_start": "300 s"}, "plant": ["hv_off", "stop_run"]},
    "reset": "expert",
    "bypass": {"role": "administrator", "longest": "1 h"},
    "proof_test": "180 d",
    "engine_silent": {"after": "10 s", "effects": ["hv_off"]},
}


def specs(**changes: Any) -> InterlockSpec:
    section = AlarmsSection.model_validate({"interlocks": {"cooling": {**COOLING, **changes}}})
    return interlock_specs(section.interlocks)[0]


def problems(**changes: Any) -> list[str]:
    section = AlarmsSection.model_validate({"interlocks": {"cooling": {**COOLING, **changes}}})
    one = section.interlocks["cooling"]
    parts = [one, *one.causes.values(), *one.effects.values()]
    return [f"{'.'.join(map(str, path))}: {message}" for part in parts for path, message in part.problems()]


def test_specs_of_a_section() -> None:
    spec = specs()
    assert (spec.shown, spec.latch, spec.reset_role, spec.priority) == ("Cooling lost", True, Role.EXPERT, 1)
    warm, plant = spec.causes
    assert (warm.on_delay_ns, warm.unknown_delay_ns, warm.vote) == (2_000_000_000, 2_000_000_000, 1)
    assert (plant.on_delay_ns, plant.unknown_delay_ns, plant.vote) == (0, 5_000_000_000, 2)
    assert plant.points == ("plant.p1", "plant.p2", "plant.p3", "state of device chiller.word")
    assert [one.kind for one in spec.effects] == [
        InterlockEffect.COMMANDS,
        InterlockEffect.STOP,
        InterlockEffect.FORBID,
    ]
    assert spec.effects[0].does == "caen.0 off"
    assert [(cell.cause, cell.effect, cell.delay_ns) for cell in spec.matrix] == [
        ("bath_too_warm", "hv_off", 0),
        ("bath_too_warm", "no_start", 300_000_000_000),
        ("plant", "hv_off", 0),
        ("plant", "stop_run", 0),
    ]
    assert (spec.bypass.role, spec.bypass.longest_ns) == (Role.ADMINISTRATOR, 3_600_000_000_000)
    assert spec.engine_silent is not None
    assert (spec.engine_silent.after_ns, spec.engine_silent.effects) == (10_000_000_000, ("hv_off",))
    assert specs(priority=2).priority == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"causes": {**COOLING["causes"], "x": {"inputs": [WARM], "vote": "2oo3"}}}, "vote: 2oo3 names 3 inputs"),
        ({"causes": {**COOLING["causes"], "x": {"inputs": [WARM], "vote": "2oo1"}}}, "vote: 2 of 1 inputs cannot be"),
        ({"effects": {**COOLING["effects"], "x": {}}}, "give exactly one of commands, stop, forbid; found none"),
        ({"effects": {**COOLING["effects"], "x": {"stop": "a", "forbid": "a"}}}, "found stop and forbid"),
        ({"matrix": {"bath": ["hv_off"]}}, "matrix.bath: there is no cause bath"),
        ({"matrix": {"plant": ["hv_of"]}}, "there is no effect hv_of; did you mean hv_off"),
        ({"engine_silent": {"after": "10 s", "effects": ["x"]}}, "engine_silent.effects.0: there is no effect x"),
        ({"engine_silent": {"after": "10 s", "effects": ["stop_run"]}}, "stop_run has no commands"),
    ],
)
def test_mistakes_of_a_section(changes: dict[str, Any], message: str) -> None:
    found = problems(**changes)
    assert message in "; ".join(found)
    assert bool(found) is bool(message)


def reading(device: str, quality: Quality = Quality.GOOD, **points: Scalar) -> Readings:
    count = len(points)
    return Readings(
        device=device,
        boot="b",
        sequence=1,
        full=False,
        sent_ns=0,
        points=list(points),
        values=list(points.values()),
        qualities=[int(quality)] * count,
        device_ns=[0] * count,
        received_ns=[0] * count,
        alarms=dict.fromkeys(points, 2),  # which a device gives itself, and which is no part of a condition
    )


def test_inputs_are_true_false_or_lost() -> None:
    inputs = InterlockInputs([specs()], 0)

    def truths() -> list[str]:
        return [one.truth.value for one in inputs.of("cooling").values()]

    assert truths() == ["missing"] * 4
    assert inputs.read(reading("chiller", bath=20.0), 1) == {"cooling"}
    assert inputs.read(reading("chiller", bath=21.0), 2) == set()
    assert truths() == ["false", "missing", "missing", "missing"]
    inputs.read(reading("chiller", bath=36.0), 3)
    assert inputs.of("cooling")["bath_too_warm", 0].value == 36.0
    inputs.read(reading("plant", p1=2.0, p2=0.0), 4)
    assert truths() == ["true", "false", "missing", "missing"]
    inputs.read(reading("plant", p2=2.0), 5)  # the expression is false, whatever p3 is
    inputs.state("device.chiller", "ON", "on", 6)
    assert truths() == ["true", "false", "false", "false"]
    assert inputs.is_known("cooling")
    assert inputs.read(reading("chiller", Quality.STALE, bath=36.0), 7) == {"cooling"}
    assert inputs.read(reading("chiller", Quality.BAD, bath=None), 8) == {"cooling"}
    assert truths() == ["bad", "false", "false", "false"]
    inputs.lost("chiller", 9)
    assert truths() == ["stale", "false", "false", "stale"]
    inputs.lost("plant", 10)
    assert inputs.of("cooling")["plant", 0].truth is Truth.STALE

"""Proof tests of interlocks name a cause that there is, and alarms of a partition belong to that partition."""

from __future__ import annotations

import pytest

from countingroom.core.alarms import identity
from countingroom.core.interlocks.chart import initial, step
from countingroom.core.interlocks.events import InputReading, RecordProofTest
from countingroom.core.interlocks.states import Truth
from countingroom.core.policy import Role
from countingroom.core.subjects import EXPERIMENT
from tests.unit.interlock_specs import cause, interlock


@pytest.mark.parametrize(("name", "code"), [("warm", ""), ("", ""), ("wram", "not_found")])
def test_a_proof_test_of_a_cause_that_there_is_not_is_refused(name: str, code: str) -> None:
    spec = interlock(cause("warm"), cells={("warm", "off"): 0})
    event = RecordProofTest(by="eva", role=Role.EXPERT, passed=True, cause=name)
    _, actions = step(spec, initial(spec), {("warm", 0): InputReading(Truth.FALSE)}, 100, event)
    assert next((one.refusal.code for one in actions if one.refusal), "") == code


@pytest.mark.parametrize(
    ("alarm", "target"),
    [
        ("partition.mCBM.goal", "partition.mCBM"),
        ("member.mCBM.sts", "partition.mCBM"),
        ("point.caen.0.lv_vMon", "device.caen"),
        ("value.caen.0.lv_vMon", "device.caen"),
        ("device.caen.link", "device.caen"),
        ("channel.caen.0", "device.caen"),
        ("interlock.cooling", EXPERIMENT),
        ("backup.failed", EXPERIMENT),
    ],
)
def test_an_alarm_belongs_to_what_its_users_have_a_role_for(alarm: str, target: str) -> None:
    assert identity.target(alarm) == target

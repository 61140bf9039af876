"""The conditions of the section `alarms` are evaluated on readings, states and the time."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.watched import WatchedConditions
from countingroom.core.messages import Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar

S = 1_000_000_000
BATH = Point(name="bath", label="Bath", unit="degC", precision=1)


def watched(section: dict[str, Any], now_ns: int = 0) -> WatchedConditions:
    definitions = Definitions(AlarmsSection.model_validate(section))
    made = WatchedConditions(definitions.of_customs(), definitions.suppressions(), now_ns=now_ns)
    made.learn("chiller", [BATH])
    return made


def readings(quality: Quality = Quality.GOOD, device: str = "chiller", **values: Scalar) -> Readings:
    count = len(values)
    return Readings(
        device=device,
        boot="b",
        sequence=1,
        full=False,
        sent_ns=0,
        points=list(values),
        values=list(values.values()),
        qualities=[int(quality)] * count,
        device_ns=[0] * count,
        received_ns=[0] * count,
    )


def told(found: list[Any]) -> list[tuple[str, int, str, bool]]:
    return [(subject.id, finding.level, finding.text, finding.unknown) for subject, finding in found]


@pytest.mark.parametrize(
    ("section", "values", "text"),
    [
        (
            {"limit": {"point": "chiller.bath", "warning_high": 30}},
            [{"bath": 20.0}, {"bath": 31.0}],
            "Bath 31.0 °C is above its warning limit 30.0 °C",
        ),
        (
            {"deviation": {"point": "chiller.bath", "setpoint": "chiller.goal", "more_than": 2}},
            [{"bath": 20.0, "goal": 20.0}, {"goal": 25.0}],
            "Bath 20 °C differs from chiller.goal 25 °C by more than 2 °C",
        ),
        (
            {"expression": {"text": "t > 5 and chiller.pump == 0", "names": {"t": "chiller.bath"}}},
            [{"bath": 20.0, "pump": 1}, {"pump": 0}],
            "t > 5 and chiller.pump == 0 is true: Bath 20, chiller.pump 0",
        ),
    ],
)
def test_a_condition_of_points_is_told_once_with_its_values(
    section: dict[str, Any], values: list[dict[str, Scalar]], text: str
) -> None:
    made = watched({"custom": {"a": section}})
    first, second = (made.read(readings(**one), now_ns=n) for n, one in enumerate(values))
    assert told(first) == [("custom.a", 0, "", False)]
    assert told(second) == [("custom.a", 3, text, False)]
    assert made.read(readings(**values[1]), now_ns=9) == []
    assert made.read(readings(device="other", bath=99.0), now_ns=9) == []


def test_a_change_that_is_too_fast_is_found_when_its_window_is_over() -> None:
    made = watched({"custom": {"a": {"rate": {"point": "chiller.bath", "rise": 2, "per": "1 min"}}}})
    made.read(readings(bath=20.0), 0)
    made.read(readings(bath=23.0), 10 * S)
    assert made.next_due_ns() == 60 * S
    found = made.pass_time(60 * S)
    assert told(found) == [("custom.a", 3, "Bath changes by more than +2 °C in 60 s", False)]


def test_silence_is_found_by_the_time_and_ends_with_a_reading() -> None:
    made = watched({"custom": {"a": {"silence": {"point": "chiller.bath", "longer_than": 5}}}})
    made.read(readings(bath=20.0), 1 * S)
    assert made.pass_time(5 * S) == []
    assert told(made.pass_time(6 * S)) == [("custom.a", 3, "Bath has had no new reading for 5 s", False)]
    assert told(made.read(readings(bath=20.0), 7 * S)) == [("custom.a", 0, "", False)]


def test_the_values_of_a_lost_device_are_stale() -> None:
    made = watched(
        {
            "custom": {
                "quality": {"quality": {"point": "chiller.bath", "qualities": ["stale"]}},
                "limit": {"limit": {"point": "chiller.bath", "alarm_high": 30}},
            }
        }
    )
    made.read(readings(bath=35.0), 0)
    assert told(made.lost("chiller", 1)) == [
        ("custom.quality", 3, "Bath has no usable value", False),
        ("custom.limit", 0, "", True),
    ]
    assert told(made.read(readings(bath=20.0), 2)) == [
        ("custom.quality", 0, "", False),
        ("custom.limit", 0, "", False),
    ]


def test_a_state_or_its_common_state_is_watched() -> None:
    made = watched(
        {
            "custom": {
                "bad": {"state": {"of": "device.caen", "in": ["error"]}},
                "down": {"state": {"of": "device.caen", "not_in": ["on", "MOVING"]}, "on_delay": 10},
            }
        }
    )
    assert made.subjects == {"device.caen"}
    assert told(made.state("device.caen", "HV_ON", "on", 0)) == [
        ("custom.bad", 0, "", False),
        ("custom.down", 0, "", False),
    ]
    assert told(made.state("device.caen", "TRIPPED", "error", 1 * S)) == [
        ("custom.bad", 3, "device.caen is in TRIPPED", False)
    ]
    assert told(made.pass_time(11 * S)) == [("custom.down", 3, "device.caen is in TRIPPED", False)]
    assert told(made.state("device.caen", "MOVING", "moving", 12 * S)) == [
        ("custom.bad", 0, "", False),
        ("custom.down", 0, "", False),
    ]
    assert told(made.state("device.caen", None, "", 13 * S)) == [
        ("custom.bad", 0, "", True),
        ("custom.down", 0, "", True),
    ]
    assert made.state("device.other", "X", "x", 14 * S) == []


def test_a_suppression_is_in_force_while_its_condition_is_known_to_be_true() -> None:
    made = watched(
        {
            "suppress": {
                "idle": {
                    "when": {"state": {"of": "partition.mCBM", "in": ["Idle"]}},
                    "alarms": "point.*",
                    "reason": "mCBM is Idle",
                },
                "cold": {
                    "when": {"limit": {"point": "chiller.bath", "alarm_low": 0}},
                    "alarms": "point.*",
                    "reason": "it is cold",
                },
            }
        }
    )
    assert made.suppressed_by() == {}
    made.state("partition.mCBM", "Idle", "", 0)
    made.read(readings(bath=-5.0), 0)
    assert made.suppressed_by() == {"cold": "it is cold", "idle": "mCBM is Idle"}
    made.lost("chiller", 1)
    made.state("partition.mCBM", "Recording", "", 1)
    assert made.suppressed_by() == {}


def test_a_device_named_as_a_kind_of_state_is_not_taken_for_it() -> None:
    made = watched({"custom": {"a": {"state": {"of": "partition.a", "in": ["1"]}}}})
    assert made.read(readings(device="partition", a=1), 0) == []

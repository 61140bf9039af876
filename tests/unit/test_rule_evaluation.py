"""Rules of a description, from readings, states and events to what they find."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.rules.described_rules import actions_of, spec_of, when_in_words
from countingroom.alarms.rules.evaluation import RuleEvaluation, RuleOutcome
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.messages import Event, EventKind, Readings
from countingroom.core.policy import Role
from countingroom.core.rules.actions import CommandAction, LogAction, RampAction, words
from countingroom.core.rules.specs import ConditionTrigger, CronTrigger
from countingroom.core.rules.step import SET_BACK_NS
from countingroom.core.values import Quality, Scalar
from countingroom.experiment.loading import said_by

S = 1_000_000_000
HOUR = 3600 * S
LOG = [{"log": "it acted"}]


def rule(**keys: Any) -> RuleSection:
    return RuleSection.model_validate({"reason": "a test", "do": LOG, **keys})


def above(limit: float, **keys: Any) -> RuleSection:
    return rule(when={"limit": {"point": "chiller.bath", "alarm_high": limit}}, **keys)


def evaluation(now_ns: int = 0, **rules: RuleSection) -> RuleEvaluation:
    return RuleEvaluation(rules, now_ns=now_ns)


def readings(at_ns: int, quality: Quality = Quality.GOOD, **points: Scalar) -> Readings:
    count = len(points)
    return Readings(
        device="chiller",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=at_ns,
        points=list(points),
        values=list(points.values()),
        qualities=[int(quality)] * count,
        device_ns=[at_ns] * count,
        received_ns=[at_ns] * count,
    )


def read(rules: RuleEvaluation, at: int, quality: Quality = Quality.GOOD, **points: Scalar) -> list[str]:
    return told(rules.read(readings(at * S, quality, **points), at * S))


def told(outcomes: list[RuleOutcome]) -> list[str]:
    return [f"{one.rule} {one.effect.kind}" for one in outcomes]


def test_a_rule_acts_once_when_its_condition_has_held() -> None:
    rules = evaluation(warm=above(30, **{"for": 10}))
    assert read(rules, 1, bath=20.0) == []
    assert read(rules, 2, bath=31.0) == []
    assert rules.next_due_ns() == 12 * S
    (outcome,) = rules.pass_time(12 * S)
    assert (outcome.effect.number, outcome.effect.time_ns, outcome.now_ns) == (1, 2 * S, 12 * S)
    assert outcome.evidence == {"chiller.bath": 31.0}
    assert read(rules, 20, bath=32.0) == []
    assert read(rules, 100, bath=20.0) == []
    assert read(rules, 101, bath=31.0) == []
    assert told(rules.pass_time(111 * S)) == ["warm fired"]


def test_a_value_that_is_not_usable_begins_the_time_anew() -> None:
    rules = evaluation(warm=above(30, **{"for": 10}))
    read(rules, 1, bath=20.0)
    read(rules, 2, bath=31.0)
    assert read(rules, 5, Quality.STALE, bath=31.0) == []
    assert rules.evidence("warm") == {"chiller.bath": None}
    assert told(rules.pass_time(30 * S)) == []
    read(rules, 31, bath=31.0)
    assert told(rules.pass_time(41 * S)) == ["warm fired"]


def test_unless_that_is_not_known_stops_a_rule() -> None:
    unless = {"state": {"of": "partition.mCBM", "in": ["Recording"]}}
    rules = evaluation(warm=above(30, unless=unless))
    read(rules, 1, bath=20.0)
    assert read(rules, 2, bath=31.0) == []
    assert told(rules.state("partition.mCBM", "Recording", "", 3 * S)) == []
    (outcome,) = rules.state("partition.mCBM", "Idle", "", 4 * S)
    assert outcome.evidence == {"chiller.bath": 31.0, "state of partition mCBM": "Idle"}


def test_a_device_that_is_lost_leaves_nothing_known() -> None:
    rules = evaluation(
        warm=above(30), off=rule(when={"state": {"of": "device.chiller", "in": ["off"]}}), mute=above(99)
    )
    read(rules, 1, bath=20.0)
    rules.state("device.chiller", "ON", "on", 1 * S)
    assert [rules.memories[name].when for name in ("warm", "off")] == [False, False]
    assert rules.lost("chiller", 2 * S) == []
    assert [rules.memories[name].when for name in ("warm", "off")] == [None, None]
    assert told(rules.state("device.chiller", "STANDBY", "off", 3 * S)) == ["off fired"]


def test_a_time_and_an_event_are_triggers_too() -> None:
    rules = evaluation(
        night=rule(when={"cron": "0 * * * *"}),
        stopped=rule(when={"event": {"department": "runs", "kind": "done", "action": "stop"}}),
    )
    assert rules.departments == {"runs"}
    assert rules.next_due_ns() == HOUR
    assert told(rules.pass_time(HOUR)) == ["night fired"]
    event = Event(
        id="e1", kind=EventKind.DONE, time_ns=5, department="runs", source="mCBM", message="stop done", action="stop"
    )
    (outcome,) = rules.event(event, HOUR + S)
    assert outcome.evidence["event.message"] == "stop done"


def test_a_rule_does_not_act_on_its_own_event() -> None:
    rules = evaluation(loop=rule(when={"event": {"department": "alarms", "action": "log"}}))
    own = Event(
        id="1", kind=EventKind.NOTE, time_ns=1, department="alarms", source="loop", message="x", action="log",
        principal="rule.loop",
    )  # fmt: skip
    assert rules.event(own, S) == []


def test_a_clock_that_is_set_back_moves_the_next_time() -> None:
    far = 1000 * HOUR
    rules = evaluation(far, night=rule(when={"cron": "0 * * * *"}))
    assert rules.next_due_ns() == far + HOUR
    assert rules.pass_time(far - 2 * SET_BACK_NS + S) == []
    assert rules.memories["night"].next_ns == far - HOUR


def test_what_outlives_a_restart_is_told_to_the_one_who_saves() -> None:
    rules = evaluation(warm=above(30))
    assert rules.to_save == {"warm"}
    rules.to_save.clear()
    rules.changed.clear()
    read(rules, 1, bath=20.0)
    assert (rules.to_save, rules.changed) == (set(), {"warm"})
    read(rules, 2, bath=31.0)
    assert rules.to_save == {"warm"}
    later = RuleEvaluation({"warm": above(30)}, rules.memories, now_ns=5 * S)
    assert read(later, 6, bath=31.0) == []


def test_a_rule_that_cannot_be_evaluated_harms_no_other() -> None:
    wide = rule(when={"limit": {"point": "chiller.bath", "alarm_high": 30}})
    broken = wide.model_copy(update={"when": wide.when.model_copy(update={"limit": None})})
    rules = evaluation(broken=broken, warm=above(30))
    assert list(rules.specs) == ["broken", "warm"] or rules.problems
    read(rules, 1, bath=20.0)
    assert read(rules, 2, bath=31.0) == ["warm fired"]


def test_the_description_of_a_rule() -> None:
    found = RuleSection.model_validate(
        {
            "reason": "cold at night",
            "when": {"cron": "0 22 * * *", "zone": "Europe/Berlin"},
            "do": [
                {"command": {"device": "caen", "channel": "0", "command": "hv_off"}},
                {"command": {"partition": "mCBM", "command": "stop"}},
                {"ramp": {"point": "chiller.set_temp", "to": 20, "rate": 6, "per": "1 min"}},
                {"log": {"text": "night", "run_book": "mCBM"}},
            ],
            "roles": {"device.*": "expert"},
            "most": {"times": 3, "per": "1 h"},
            "armed": False,
        }
    )
    spec, does = spec_of("night", found), actions_of(found)
    assert spec.trigger == CronTrigger(expression="0 22 * * *", zone="Europe/Berlin")
    assert (spec.most.times, spec.most.per_ns, spec.armed) == (3, HOUR, False)
    assert does.roles == {"device.*": Role.EXPERT}
    assert does.actions == (
        CommandAction(department="devices", target="caen", command="hv_off", channel="0"),
        CommandAction(department="runs", target="mCBM", command="stop"),
        RampAction(device="chiller", point="set_temp", to=20.0, rate_per_s=0.1),
        LogAction(text="night", partition="mCBM"),
    )
    assert [words(one) for one in does.actions] == [
        "caen: hv_off 0",
        "mCBM: stop",
        "ramp chiller.set_temp to 20 at 0.1 per s",
        "log: night",
    ]
    assert when_in_words(found) == "0 22 * * * (Europe/Berlin)"
    held = above(30, if_already_true="act", **{"for": "5 min"})
    assert spec_of("x", held).trigger == ConditionTrigger(hold_ns=300 * S, acts_if_already_true=True)


WHEN = {"cron": "0 22 * * *"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"when": WHEN, "do": []}, "at least 1"),
        ({"when": WHEN, "roles": {"caen": "expert"}}, "match"),
        ({"when": WHEN, "do": [{"log": ""}]}, "at least 1"),
    ],
)
def test_a_wrong_value_is_told(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(**keys)


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"when": {}}, ("when",), "found none"),
        ({"when": {"cron": "0 22 * * *", "quality": {"point": "a.b"}}}, ("when",), "found cron and quality"),
        ({"when": {"cron": "0 25 * * *"}}, ("when", "cron"), "bad hour"),
        ({"when": {"cron": "0 22 * * *", "zone": "Europe/Bern"}}, ("when", "zone"), "no time zone"),
        ({"when": {"event": {"department": "runs"}}}, ("when", "event"), "every event"),
        ({"when": WHEN, "for": 5}, ("for",), "only a condition"),
        ({"when": WHEN, "if_already_true": "act"}, ("if_already_true",), "only a condition"),
        ({"when": WHEN, "do": [{}]}, ("do", 0), "found none"),
        (
            {"when": WHEN, "do": [{"command": {"device": "a", "partition": "b", "command": "c"}}]},
            ("do", 0, "command", "partition"),
            "not both",
        ),
    ],
)
def test_what_does_not_fit_together_is_told_with_its_place(
    keys: dict[str, Any], place: tuple[str | int, ...], message: str
) -> None:
    section = AlarmsSection.model_validate({"rules": {"x": {"reason": "a test", "do": LOG, **keys}}})
    found = dict(said_by(section))
    assert message in found["rules", "x", *place]

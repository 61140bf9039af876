"""For any rules and children an aggregate has exactly one answer: that of the first rule that holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.charts.aggregates import Aggregate, aggregate, prove
from countingroom.core.errors import ConfigurationError

STATES = ("OFF", "ON", "RAMP", "ERROR", "GONE")

terms = st.builds(
    lambda quantifier, states: f"{quantifier} {'|'.join(states)}",
    st.sampled_from(["any", "all", "none"]),
    st.lists(st.sampled_from(STATES), min_size=1, max_size=3, unique=True),
)
conditions = st.lists(terms, min_size=1, max_size=3).map(" and ".join)
rules = st.lists(st.tuples(conditions, st.sampled_from(["A", "B", "C"])), max_size=6, unique_by=lambda rule: rule[0])
aggregates = st.builds(lambda rules: aggregate("dcs", [*rules, ("else", "MIXED")], empty="NONE"), rules)
children = st.dictionaries(st.integers(0, 40).map(str), st.sampled_from(STATES), max_size=12)


@given(aggregates, children, st.sets(st.integers(0, 40).map(str)))
def test_every_combination_has_an_answer_of_the_first_rule_that_holds(
    subject: Aggregate, children: dict[str, str], excluded: set[str]
) -> None:
    verdict = subject.decide(children, excluded=excluded)
    counted = {name: state for name, state in children.items() if name not in excluded}
    assert verdict.state in subject.states
    if not counted:
        assert verdict.state == "NONE"
        return
    for rule in subject.rules:
        if rule.text == verdict.rule:
            break
        assert not rule.holds(counted.values())
    assert set(verdict.because) <= set(counted)


@given(aggregates, children.filter(bool))
def test_a_complete_proof_tells_the_answer_for_any_number_of_children(
    subject: Aggregate, children: dict[str, str]
) -> None:
    proof = prove(subject, STATES, up_to=len(STATES))
    assert proof.complete
    assert subject.state(children) == proof.answers[tuple(sorted(set(children.values())))]
    assert subject.decide(children).rule not in proof.never


@given(aggregates, children, st.sampled_from(STATES))
def test_an_excluded_child_changes_nothing_whatever_its_state(
    subject: Aggregate, children: dict[str, str], state: str
) -> None:
    assert subject.state({**children, "out": state}, excluded={"out"}) == subject.state(children)


POWER = aggregate(
    "power",
    [
        ("any ERROR", "ERROR"),
        ("all OFF", "OFF"),
        ("any OFF and any ON", "MIXED"),
        ("all ON|RAMP", "ON"),
        ("else", "ERROR"),
    ],
    empty="NOTHING",
)


def test_the_verdict_names_the_children_it_is_about() -> None:
    verdict = POWER.decide({"0": "ON", "1": "ERROR", "2": "ON", "3": "ERROR"})
    assert (verdict.state, verdict.rule, verdict.because) == ("ERROR", "any ERROR", ("1", "3"))


def test_no_children_is_a_state_of_its_own_and_never_all_of_something() -> None:
    assert POWER.state({}) == "NOTHING"
    assert POWER.state({"0": "ON"}, excluded={"0"}) == "NOTHING"


def test_the_proof_shows_what_falls_to_else() -> None:
    proof = prove(POWER, ["OFF", "ON", "RAMP", "ERROR"], up_to=4)
    assert proof.left_to_else == (("OFF", "RAMP"),)
    assert proof.never == {}
    assert len(proof.answers) == 15


def test_the_proof_names_a_rule_that_an_earlier_one_shadows() -> None:
    subject = aggregate("x", [("any ON", "A"), ("all ON", "B"), ("else", "C")], empty="E")
    assert prove(subject, ["ON", "OFF"]).never == {"all ON": ("any ON",)}


def test_the_proof_names_a_rule_nothing_can_fulfil_and_the_unknown_state_in_it() -> None:
    subject = aggregate("x", [("any OM", "A"), ("else", "C")], empty="E")
    proof = prove(subject, ["ON", "OFF"])
    assert proof.never == {"any OM": ()}
    assert proof.unknown == ("OM",)


def test_a_partial_proof_says_so() -> None:
    assert not prove(POWER, ["OFF", "ON", "RAMP", "ERROR"]).complete


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [("any ON", "A")],
        [("else", "A"), ("any ON", "B"), ("else", "C")],
        [("some ON", "A"), ("else", "B")],
        [("any", "A"), ("else", "B")],
        [("any ON", "A"), ("any  ON", "B"), ("else", "C")],
        [("any ON or OFF", "A"), ("else", "B")],
        [("any ON|", "A"), ("else", "B")],
    ],
)
def test_rules_that_are_not_total_or_not_readable_are_refused(rules: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigurationError):
        aggregate("x", rules, empty="E")

"""What changed and everything above it is configured again, and nothing else."""

from __future__ import annotations

from countingroom.runs.planner.fingerprint import Chosen, with_fingerprints
from countingroom.runs.planner.members import resolve_members
from tests.unit.plant import CBM

MEMBERS = resolve_members(CBM, ["sts", "rich"])
ALL = {member.system: Chosen(tag="physics", parameters={"threshold": 12}) for member in MEMBERS}


def changed(after: dict[str, Chosen]) -> set[str]:
    old, new = with_fingerprints(CBM, MEMBERS, ALL), with_fingerprints(CBM, MEMBERS, after)
    return {a.system for a, b in zip(old, new, strict=True) if a.wanted != b.wanted}


def test_the_members_are_the_globals_of_the_template_and_the_detectors_of_the_partition() -> None:
    assert [member.system for member in MEMBERS] == ["TFC", "sts", "rich", "FLES", "DCS", "QA"]
    assert {member.level for member in MEMBERS if member.kind == "detector"} == {"Detectors"}
    assert all(member.critical and member.included for member in MEMBERS)
    spared = resolve_members(CBM, ["sts", "rich"], expendable=["rich"], excluded=["sts"])
    assert [m.system for m in spared if not m.critical] == ["rich"]
    assert [m.system for m in spared if not m.included] == ["sts"]


def test_nothing_changes_where_nothing_changed() -> None:
    assert changed(dict(ALL)) == set()


def test_another_parameter_changes_it_and_all_above() -> None:
    assert changed({**ALL, "sts": Chosen(tag="physics", parameters={"threshold": 13})}) == {"sts", "FLES", "DCS", "QA"}


def test_another_tag_changes_it_and_all_above() -> None:
    assert changed({**ALL, "QA": Chosen(tag="cosmics", parameters={"threshold": 12})}) == {"QA"}
    everything = {member.system for member in MEMBERS}
    assert changed({**ALL, "TFC": Chosen(tag="cosmics", parameters={"threshold": 12})}) == everything


def test_the_order_of_parameters_and_members_says_nothing() -> None:
    first = with_fingerprints(CBM, MEMBERS, {**ALL, "sts": Chosen(tag="t", parameters={"a": 1, "b": 2})})
    second = with_fingerprints(CBM, MEMBERS[::-1], {**ALL, "sts": Chosen(tag="t", parameters={"b": 2, "a": 1})})
    assert {m.system: m.wanted for m in first} == {m.system: m.wanted for m in second}


def test_leaving_somebody_out_does_not_unsettle_the_others() -> None:
    without = resolve_members(CBM, ["sts", "rich"], excluded=["rich"])
    old, new = with_fingerprints(CBM, MEMBERS, ALL), with_fingerprints(CBM, without, ALL)
    assert [m.wanted for m in old] == [m.wanted for m in new]


def test_a_system_without_a_choice_has_none() -> None:
    found = with_fingerprints(CBM, MEMBERS, {})
    assert all(member.wanted is None for member in found)

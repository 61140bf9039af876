"""What leaves: rules of fields, aliases, and templates of lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.fields import (
    AliasRule,
    BooleanRule,
    FieldRule,
    IntegerRule,
    ListRule,
    NumberRule,
    OneOfRule,
    PatternRule,
    RecordRule,
    TableRule,
    TimeRule,
)
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import LogCount, Redactor
from countingroom.core.mirror.templates import Approval, SlotRule, problem_of, read_line, render, slot_kinds
from countingroom.core.mirror.tokens import tokens

KEY = Pseudonyms(b"k" * 32)
NOTHING = LastCheck([])
HOST = "fu-c2f11-11-04"


def redactor(rules: dict[str, FieldRule], *approvals: Approval, check: LastCheck = NOTHING) -> Redactor:
    return Redactor(KEY, check, {"run": RecordRule(fields=rules)}, approvals)


def leaves(value: Any, rule: FieldRule) -> Any:
    """What leaves of one field; `...` where it stays inside."""
    found = redactor({"x": rule}).record("run", {"x": value})
    assert found.record is not None
    return found.record.get("x", ...)


# RecordRule


VALUES: list[tuple[FieldRule, list[Any], list[Any]]] = [
    (IntegerRule(least=0, most=10), [0, 10, None], [-1, 11, 1.0, True, "1", [1], {}]),
    (NumberRule(least=-1, most=1), [0.5, 1, -1, None], [1.1, float("nan"), float("inf"), True, "0"]),
    (BooleanRule(), [True, False, None], [0, 1, "true"]),
    (OneOfRule(values=("good", 1)), ["good", 1], ["bad", True, "Good", ["good"]]),
    (PatternRule(pattern=r"v\d+"), ["v1", "v22"], ["v1\n", "xv1", "v1x", "v\u0661", 1]),
    (TimeRule(), ["2026-11-30T10:00:00Z", 1796000000, 1796000000000, 1796000000000000000.0], ["now", 5, True, "2026"]),
]


@pytest.mark.parametrize(("rule", "passes", "stays"), VALUES)
def test_a_value_leaves_only_as_what_its_rule_says(rule: FieldRule, passes: list[Any], stays: list[Any]) -> None:
    assert [leaves(one, rule) for one in passes] == passes
    assert [leaves(one, rule) for one in stays] == [...] * len(stays)


def test_a_number_is_rounded_so_that_its_digits_carry_no_text() -> None:
    assert leaves(0.12345678901234567, NumberRule(least=0, most=1, digits=3)) == 0.123


def test_what_no_rule_names_stays_inside_and_is_told() -> None:
    found = redactor({"number": IntegerRule(least=0, most=99)}).record("run", {"number": 1, HOST: HOST, "path": "/a/b"})
    assert found.record == {"number": 1}
    assert [(one.path, one.what) for one in found.decisions] == [
        ("number", "published"),
        (HOST, "not listed"),
        ("path", "not listed"),
    ]


def test_a_kind_of_record_that_is_not_listed_stays_inside() -> None:
    assert redactor({}).record("user", {"name": "anna"}).record is None


def test_nested_records_lists_and_tables_are_read_item_by_item() -> None:
    client = RecordRule(fields={"host": AliasRule(), "lumi": IntegerRule(least=0, most=9999)})
    rules: dict[str, FieldRule] = {
        "clients": ListRule(of=client, most=2),
        "streams": TableRule(key=PatternRule(pattern="[a-z]+"), of=NumberRule(least=0, most=1e9)),
    }
    found = redactor(rules).record(
        "run",
        {
            "clients": [
                {"lumi": 1},
                {"host": HOST, "lumi": 2, "pid": 3},
                "no client",
                {"host": HOST + ".cms", "lumi": -1},
            ],
            "streams": {"express": 1.5, "sm-c2a11-43-01": 2, "debug": "x"},
        },
    )
    alias = KEY.of("host", HOST)
    assert found.record == {"clients": [{"host": alias}], "streams": {"express": 1.5}}
    assert HOST not in str(found.record)


def test_a_deeply_nested_record_is_withheld_and_ends_nothing() -> None:
    rule: FieldRule = IntegerRule(least=0, most=9)
    value: Any = 1
    for _ in range(50):
        rule, value = ListRule(of=rule), [value]
    found = redactor({"x": rule}).record("run", {"x": value})
    assert "nested too deeply" in str(found.decisions)
    assert "1" not in str(found.record)


# Aliases


def test_the_same_computer_has_the_same_alias_in_fields_and_lines() -> None:
    line = f"connected to {HOST}.cms in 3 ms"
    read = read_line(line)
    assert read is not None
    approval = Approval(template=read.template, slots=(SlotRule(how="pseudonym"), SlotRule()))
    text = render(read, approval, KEY).text
    assert text == f"connected to {leaves(HOST.upper(), AliasRule())} in [int] ms"


def test_aliases_differ_by_key_kind_and_period() -> None:
    other = Pseudonyms(b"o" * 32)
    some = {KEY.of("host", HOST), KEY.of("user", HOST), other.of("host", HOST), KEY.period(1).of("host", HOST)}
    assert len(some | {KEY.period(2).of("host", HOST)}) == 5
    assert KEY.of("host", "10.0.0.1") != KEY.of("host", "10.0.0.2")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16"):
        Pseudonyms(b"short")


# LogRule


def approved(line: str, *slots: SlotRule) -> Approval:
    read = read_line(line)
    assert read is not None
    made = Approval(template=read.template, slots=slots)
    assert problem_of(made) == ""
    return made


def public(lines: list[str], *approvals: Approval, own: tuple[str, ...] = (), check: LastCheck = NOTHING) -> list[str]:
    return [one.text for one in redactor({}, *approvals, check=check).lines(lines, LogCount(), own)]


PUBLISH = SlotRule(how="publish", least=0, most=99_999)


def test_a_line_leaves_only_by_an_approved_template() -> None:
    known = approved("event 1 of run 2", PUBLISH, PUBLISH)
    lines = ["event 7 of run 12", "user anna logged in", "password is x", "", "event 8 of run 12"]
    assert public(lines, known) == ["event 7 of run 12", "[2 lines withheld]", "", "event 8 of run 12"]


def test_values_outside_their_range_or_list_are_masked() -> None:
    known = approved(
        "read 1 of 'calib'", SlotRule(how="publish", least=0, most=100), SlotRule(how="one_of", values=("'calib'",))
    )
    assert public(["read 100 of 'calib'", "read 101 of 'calib'", "read 1 of '/home/anna'"], known) == [
        "read 100 of 'calib'",
        "read [int] of 'calib'",
        "read 1 of [quoted]",
    ]
    assert public([f"read {'9' * 400} of 'calib'"], known) == ["read [int] of 'calib'"]


def test_the_process_id_of_the_record_is_masked_in_its_log() -> None:
    known = approved("process 1 began", PUBLISH)
    assert public(["process 41551 began", "process 041551 began", "process 41552 began"], known, own=("041551",)) == [
        "process [int] began",
        "process [int] began",
        "process 41552 began",
    ]


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("see /opt/fff/x.log and C:\\\\a\\b", ["path", "path"]),
        ("at 2026-11-30 10:22:33.5 and 14-Oct-2026 13:22:10 CEST", ["time", "time"]),
        ("10.1.2.3 2001:db8::1 00:1b:44:11:3a:b7", ["ip", "ip", "mac"]),
        ("anna@lab.org https://lab.org/x?y=1", ["address", "url"]),
        ("CMSSW_13_0_5_patch1 v1.2.3", ["version", "version"]),
        ("0xdeadbeef 9f86d081884c7d65", ["hex", "hex"]),
        ("sm-c2a11-43-01 some_name x12", ["name", "name", "name"]),
        ("12 -3 4.5 1e5 12ms 3.5kB", ["int", "int", "float", "float", "int", "float"]),
        ("p\u0430ypal \u202eabc", ["other", "other"]),
        ("A" * 50, ["other"]),
    ],
)
def test_the_kinds_of_slots(line: str, kinds: list[str]) -> None:
    read = read_line(line)
    assert read is not None
    assert [one.kind for one in read.slots] == kinds
    assert list(slot_kinds(read.template)) == kinds


@given(st.text(max_size=300))
def test_tokens_lose_no_character(line: str) -> None:
    assert "".join(one.text for one in tokens(line)) == line


@given(st.text(alphabet="<>int a1/", max_size=40))
def test_a_line_cannot_look_like_another_template(line: str) -> None:
    read = read_line(line)
    assert read is not None
    assert slot_kinds(read.template) == tuple(one.kind for one in read.slots)


@pytest.mark.parametrize(
    "piece", ["a-", "0-", "/a", "1.", "a_", "f0", "a:", "A_1_", "1e", "'", "\\a", " -", "x@", "&#1;", "%41"]
)
def test_a_long_line_of_any_form_is_read_at_once(piece: str) -> None:
    # It would take minutes if a rule looked at the rest of the line from each place.
    for line in (piece * 4000, piece * (3999 // len(piece))):
        read = read_line(line)
        assert (read is None) == (len(line) > 4000 or sum(1 for one in tokens(line) if one.kind) > 100)
        LastCheck([("host", HOST)]).find(line[:4000])


@pytest.mark.parametrize(
    ("approval", "told"),
    [
        (Approval(template="a <int>"), "1 slots, and 0"),
        (Approval(template="a <path>", slots=(SlotRule(how="publish"),)), "not published"),
        (Approval(template="a <int>", slots=(SlotRule(how="publish"),)), "least and most"),
        (Approval(template="a <int>", slots=(SlotRule(how="publish", least=2, most=1),)), "above"),
        (Approval(template="a <name>", slots=(SlotRule(how="one_of"),)), "values"),
    ],
)
def test_an_approval_that_would_publish_too_much_is_refused(approval: Approval, told: str) -> None:
    assert told in problem_of(approval)

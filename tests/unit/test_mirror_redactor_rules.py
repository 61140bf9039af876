"""A redactor that is made from the rules of another, read from a message, gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from countingroom.core.mirror.fields import (
    AliasRule,
    BooleanRule,
    FieldRule,
    IntegerRule,
    ListRule,
    LogRule,
    NumberRule,
    OneOfRule,
    PatternRule,
    RecordRule,
    TableRule,
    TextRule,
    TimeRule,
)
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.redactor_rules import RedactorRules
from countingroom.core.mirror.templates import Approval, ReadLine, SlotRule
from countingroom.mirror.description import MirrorSection

HOST = "fu-c2f11-11-01"
FIELDS: dict[str, FieldRule] = {
    "integer": IntegerRule(least=0, most=10),
    "number": NumberRule(least=-1, most=1e9, digits=3),
    "boolean": BooleanRule(),
    "one_of": OneOfRule(values=("on", 1.0, False)),
    "pattern": PatternRule(pattern="v[0-9]+"),
    "time": TimeRule(),
    "alias": AliasRule(of="host"),
    "text": TextRule(most=50),
    "log": LogRule(),
    "list": ListRule(of=ListRule(of=IntegerRule(least=0, most=3), most=2), most=3),
    "table": TableRule(key=AliasRule(of="user"), of=RecordRule(fields={"up": BooleanRule()})),
}
RECORD: dict[str, Any] = {
    "integer": 3,
    "number": 1234567.0,
    "boolean": True,
    "one_of": "on",
    "pattern": "v12",
    "time": 1.79e9,
    "alias": HOST,
    "text": f"see {HOST}",
    "list": [[1, 2, 3], [9]],
    "table": {"anna": {"up": True, "x": 1}},
    "log": ["event 12 of run 7", f"connected to {HOST}", "never seen"],
}
APPROVALS = (
    Approval(template="event <int> of run <int>", slots=(SlotRule(how="publish", least=0, most=50), SlotRule())),
    Approval(template="connected to <name>", slots=(SlotRule(how="pseudonym"),), by="anna", changed_ns=7),
)


def _redactor(**more: Any) -> Redactor:
    pseudonyms = Pseudonyms(b"k" * 32, lasting=b"l" * 32)
    return Redactor(pseudonyms, LastCheck([("host", HOST)]), {"all": RecordRule(fields=FIELDS)}, APPROVALS, **more)


def _sent(redactor: Redactor) -> RedactorRules:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(redactor.rules()), type=RedactorRules)


@pytest.mark.parametrize(
    "value", [RECORD, {**RECORD, "one_of": 1.0}, {**RECORD, "one_of": 1}, {**RECORD, "integer": 11}]
)
def test_each_kind_of_rule_comes_through_a_message(value: dict[str, Any]) -> None:
    made = _redactor()
    again = Redactor.of(_sent(made))
    found = again.record("all", value, (HOST, "anna"))
    assert found.record == made.record("all", value, (HOST, "anna")).record
    assert found.record is not None
    assert found.record["log"]
    assert again.lasting("document", HOST).value == made.lasting("document", HOST).value
    assert again.record("other", value).record is None


def test_the_default_rules_come_through_a_message() -> None:
    rules = MirrorSection.default().records()
    made = Redactor(Pseudonyms(b"k" * 32), LastCheck([], patterns=False), rules, ())
    sent = _sent(made)
    assert sent.records == rules
    assert not sent.patterns
    assert Redactor.of(sent).rules() == made.rules()


def test_undecided_lines_are_told_as_if_they_were_read_here() -> None:
    here: list[tuple[Sequence[tuple[ReadLine, str]], str]] = []
    there: list[tuple[Sequence[tuple[ReadLine, str]], str]] = []

    def tell(lines: Sequence[tuple[ReadLine, str]], log: str) -> None:
        here.append((lines, log))

    made = _redactor(undecided=tell)
    rules = _sent(made)
    assert rules.wants_undecided
    Redactor.of(rules, lambda lines, log: there.append((lines, log))).record("all", RECORD, (HOST,))
    ((lines, log),) = there
    made.tell_undecided([line for _, line in lines], log)
    made.record("all", RECORD, (HOST,))
    assert here[0] == here[1] == there[0]


def test_the_keys_are_not_in_what_is_logged() -> None:
    assert "kkk" not in repr(_redactor().rules())

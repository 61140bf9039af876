"""The fast way through a log gives the same texts and counts as the plain one, line by line."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.mirror import log_texts
from countingroom.core.mirror.approvals import ApprovalTable, TemplateDecision
from countingroom.core.mirror.decoding import coded_spans, decoded, is_readable
from countingroom.core.mirror.last_check import LastCheck, TextShape
from countingroom.core.mirror.proposals import learn, proposal
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import LogCount, Redactor
from countingroom.core.mirror.templates import Approval, ReadLine, SlotRule, read_line
from tests.mirror_logs import corpus

HOST, USER, SHORT, PATH = "fu-c2f11-11-01", "anna.rossi", "plc7", "/opt/secrets/anna"
NAMES = [("host", HOST), ("user", USER), ("word", SHORT), ("path", PATH)]
_CODED = b64encode(HOST.encode()).decode()
_HEX = USER.encode().hex()
_PIECES = (
    *(HOST, HOST[:6], HOST[6:], "fu-c2f12-11-01", HOST.replace("-", ""), USER[:5], USER[5:], SHORT, "plc8", "plc"),
    *(_CODED, _CODED[:9], _CODED[9:], _HEX, _HEX[:7], _HEX[7:], "%66u", "&#102;u", "\\x66", "0x66", "x66", "0", "fu"),
    *(" ", " ", " ", "-", ".", ":", "<", "/opt/a/b/", PATH, "user@lab.org", "10.1.2.3", "event", "of run", "ms"),
    *("CMSSW_15_0_3", "2026-11-30 13:45:22", "'quoted one'", "µs", "%", "&", "41", "+41", "0041", "1e3", "\t", "\n"),
)
_TEXT = st.lists(st.sampled_from(_PIECES) | st.integers(0, 10**6).map(str) | st.text("01fu ", max_size=4), max_size=7)
_LINE = _TEXT.map("".join)
_RULE = st.sampled_from(
    [
        SlotRule(),
        SlotRule(how="pseudonym"),
        SlotRule(how="publish", least=0, most=5e5),
        SlotRule(how="publish"),
        SlotRule(how="one_of", values=("'quoted one'", "plc8", "plc7", HOST, _CODED, _HEX, "0x66")),
    ]
)
_MORE = st.tuples(st.integers(0, 99), st.sampled_from(["whole", "digits", "long", "blank"]))


def plain(redactor: Redactor, lines: Sequence[str], own: Sequence[str]) -> tuple[tuple[str, ...], LogCount]:
    count = LogCount()
    return tuple(one.text for one in redactor.lines(lines, count, own)), count


def again(lines: Sequence[str], more: Sequence[tuple[int, str]], rng: random.Random) -> list[str]:
    """The lines, and some of them again: as they are, with other digits, very long, or blank."""
    out = list(lines)
    for number, how in more:
        line = lines[number % len(lines)]
        if how == "digits":
            line = re.sub("[0-9]", lambda _: str(rng.randint(0, 9)), line)
        out.append({"long": line * 40, "blank": " "}.get(how, line))
    return out


def approve(lines: Sequence[str], rules: Sequence[SlotRule], refused: Sequence[bool]) -> list[Approval]:
    out: list[Approval] = []
    at = 0
    for number, line in enumerate(lines):
        read = read_line(line)
        if read is not None and number % 6 != 5:
            slots = tuple(rules[(at + place) % len(rules)] for place in range(len(read.slots)))
            at += len(slots)
            out.append(Approval(template=read.template, slots=slots, refused=refused[number % len(refused)]))
    return out


@settings(deadline=None)
@given(
    st.lists(_LINE, min_size=1, max_size=12),
    st.lists(_MORE, max_size=20),
    st.lists(_RULE, min_size=1, max_size=8),
    st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["41", "plc8", "0x66", "quoted one", HOST, ""]), max_size=2),
    st.sampled_from([NAMES, NAMES[:1], NAMES[2:3], []]),
    st.randoms(use_true_random=False),
)
def test_the_fast_way_gives_the_same_as_the_plain_one(
    lines: list[str],
    more: list[tuple[int, str]],
    rules: list[SlotRule],
    refused: list[bool],
    own: list[str],
    names: list[tuple[str, str]],
    rng: random.Random,
) -> None:
    given = again(lines, more, rng)
    seen: list[tuple[ReadLine, str]] = []
    redactor = Redactor(
        Pseudonyms(b"k" * 32), LastCheck(names), {}, approve(lines, rules, refused), lambda some, _: seen.extend(some)
    )
    # The second time with what is remembered of the first; a whole log that comes again is not read again.
    for one in (given, [*given[::-1], "the end"], [*given, "the end of it"]):
        undecided: list[tuple[ReadLine, str]] = []
        count = LogCount()
        texts = tuple(shown.text for shown in redactor.lines(one, count, own, undecided))
        seen.clear()
        assert redactor.log(tuple(one), tuple(own)) == (texts, count)
        shown = [(read.template, read.slots, line) for read, line in seen]
        assert shown == [(read.template, read.slots, line) for read, line in undecided]


def test_the_logs_of_a_farm_leave_as_by_the_plain_way() -> None:
    made = corpus()
    names = [("host", one) for one in made.hosts] + [("user", one) for one in made.users]
    check = LastCheck(names)
    seen, _ = learn([(pid, lines) for _, pid, lines in made.logs], ())
    redactor = Redactor(Pseudonyms(b"k" * 32), check, {}, [proposal(one, check) for one in seen[:400]])
    for host, pid, lines in made.logs[:4]:
        own = (host, pid, made.users[0])
        assert redactor.log(tuple(lines[:1500]), own) == plain(redactor, lines[:1500], own)


def test_a_decision_counts_for_a_line_that_is_remembered() -> None:
    table = ApprovalTable()
    redactor = Redactor(Pseudonyms(b"k" * 32), LastCheck([]), {}, table)
    line = "event 4 of run 7"
    assert redactor.log((line,), ())[0] == ("[1 line withheld]",)
    approval = Approval(template="event <int> of run <int>", slots=(SlotRule(how="publish", least=0, most=9),) * 2)
    table.decide([TemplateDecision(approval=approval)], 1)
    assert redactor.log((line,), ())[0] == (line,)
    table.decide([TemplateDecision(approval=approval, withdrawn=True)], 2)
    assert redactor.log((line,), ())[0] == ("[1 line withheld]",)


def test_own_names_are_masked_in_a_line_that_is_remembered() -> None:
    approval = Approval(template="process <int>", slots=(SlotRule(how="publish", least=0, most=9e9),))
    redactor = Redactor(Pseudonyms(b"k" * 32), LastCheck([]), {}, [approval])
    line = "process 41551"
    assert redactor.log((line,), ())[0] == (line,)
    assert redactor.log((line,), ("041551",))[0] == ("process [int]",)
    assert redactor.log((line,), ("41552",))[0] == (line,)


def test_what_is_remembered_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_texts, "_MOST_LINES", 3)
    approval = Approval(template="event <int>", slots=(SlotRule(how="publish", least=0, most=99),))
    redactor = Redactor(Pseudonyms(b"k" * 32), LastCheck([]), {}, [approval])
    lines = tuple(f"event {number}" for number in range(20))
    assert redactor.log(lines, ())[0] == lines
    with patch.object(log_texts, "read_line", side_effect=AssertionError):  # the shape is remembered all the same
        assert redactor.log(lines[::-1], ())[0] == lines[::-1]


@given(_LINE.filter(lambda text: not set(text) & set("%&\\\n")))
def test_a_text_in_which_nothing_is_readable_is_not_decoded(text: str) -> None:
    if not is_readable(text, coded_spans(text)):
        assert list(decoded(text)) == []


CHECK = LastCheck(NAMES)
LONG = "a text that is longer than any of these names and ends with "
_END = st.tuples(st.sampled_from(["", LONG]), st.lists(st.sampled_from(_PIECES), min_size=1, max_size=2)).map(
    lambda one: one[0] + "".join(one[1])
)


@pytest.mark.parametrize(
    ("before", "last", "text"),
    [
        ("", f"{LONG}fu-c2f", "11-11-01 is up"),
        ("", f"{LONG}{_CODED[:9]}", f"{_CODED[9:]} it was"),
        ("", f"{LONG}{_HEX[:7]}", f"{_HEX[7:]} it was"),
        (f"{LONG}fu-c2", "f11", "-11-01 is up"),
        (f"{LONG}an", " n a . r", " ossi was here"),
        (f"{LONG}{_CODED[:6]}", _CODED[6:9], _CODED[9:]),
        (f"{LONG}{_CODED[:3]}", _CODED[3:-2], _CODED[-2:]),
    ],
)
def test_a_name_that_lines_make_up_is_found(before: str, last: str, text: str) -> None:
    assert not any(map(CHECK.find, (before, last, text)))
    assert CHECK.across(text, before + last)
    assert CHECK.joins(before + last, CHECK.shape(last), text, CHECK.shape(text))
    assert not CHECK.joins(LONG, CHECK.shape(LONG), text, CHECK.shape(text))


def test_what_another_thread_forgets_is_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetting(dict[str, Any]):
        """As if another thread cleared it at the worst moment."""

        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

    check = LastCheck(NAMES)
    monkeypatch.setattr(check, "_decodings", Forgetting())
    text = f"value {_CODED} and more"
    assert [bool(check.find(text)) for _ in range(3)] == [True] * 3


@settings(deadline=None)
@given(_END, st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3).map("".join))
def test_what_two_texts_make_up_is_found_by_their_shapes(before: str, text: str) -> None:
    if not CHECK.find(before) and not CHECK.find(text):
        found = CHECK.joins(before, CHECK.shape(before), text, CHECK.shape(text))
        assert found == (CHECK.across(text, before) is not None)


def test_lines_that_the_last_check_holds_back_are_counted() -> None:
    approvals = [Approval(template=one) for one in ("anna rossi is here", "all is well")]
    redactor = Redactor(Pseudonyms(b"k" * 32), LastCheck([("user", "anna rossi")]), {}, approvals)
    texts, count = redactor.log(("anna rossi is here", "all is well", "anna rossi is here", "what is this"), ())
    assert texts == ("[1 line withheld]", "all is well", "[2 lines withheld]")
    assert (count.lines, count.kept, count.hits) == (4, 1, 2)


@pytest.mark.parametrize(("second", "is_in_full"), [("xylophones are plain", True), ("saxophones are plain", False)])
def test_the_start_of_a_hexadecimal_number_over_two_lines_is_looked_at_in_full(second: str, is_in_full: bool) -> None:
    looked: list[bool] = []

    class Recorded(LastCheck):
        def joins(self, before: str, before_shape: TextShape | None, text: str, shape: TextShape | None) -> bool:
            looked.append(before_shape is None)
            return super().joins(before, before_shape, text, shape)

    lines = ("the last value was 0", second, "and it goes on")
    approvals = [
        Approval(template=read.template, slots=(SlotRule(how="publish", least=0, most=9),))
        for one in lines
        if (read := read_line(one))
    ]
    redactor = Redactor(Pseudonyms(b"k" * 32), Recorded([]), {}, approvals)
    assert redactor.log(lines, ())[0] == lines
    assert looked == [False, is_in_full]

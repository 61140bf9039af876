"""Fast ways of the redaction of a catch-up give the same as the plain ones."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countingroom.core.messages import Malformed
from countingroom.core.mirror import last_check, tokens
from countingroom.core.mirror.dqm_documents import DocumentHeader, GivenDocument, documents_in, raw_document
from countingroom.core.mirror.fields import lines_of
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import LogCount, Redactor
from countingroom.core.mirror.templates import Approval, SlotRule, read_line

_PIECES = (
    "word",
    "Event",
    " ",
    "\t",
    "  ",
    "12",
    "3.5",
    "a" * 31,
    "a",
    "http",
    "://x",
    "@lab",
    "/",
    "C:",
    "\\a",
    "v1.2",
)
_MORE = ("-", "_", ".", ":", "é", "\n", "'", '"', "0x1f", "dead", "beef", "::", "ms", "CMSSW", "_1_2_3", "7-Nov-2026")
_TEXT = st.lists(st.sampled_from(_PIECES + _MORE) | st.text(max_size=3), max_size=12).map("".join)


@settings(deadline=None)
@given(_TEXT)
@example("C: \\a\\b word  end")
@example("word\n")
def test_words_and_spaces_that_are_tried_first_are_the_same_tokens(text: str) -> None:
    plain = [(match.lastgroup, match[0]) for match in tokens.pattern(tokens.KINDS).finditer(text)]
    found = [(match.lastgroup, match[0]) for match in tokens.pattern(tokens.FIRST + tokens.KINDS).finditer(text)]
    assert [(kind and kind.partition("_")[0], text) for kind, text in found] == [
        (kind and kind.partition("_")[0], text) for kind, text in plain
    ]


@given(st.lists(st.text("ab\r\n\x0b\x1c\x85\u2028", max_size=4) | st.sampled_from(["a", ""]), max_size=6))
def test_the_lines_of_texts_are_those_of_each(items: list[str]) -> None:
    assert lines_of(items) == [line for one in items for line in one.splitlines() or [""]]


@pytest.mark.parametrize("items", [["a", 1], [None], [["a"]], [b"a"]])
def test_what_is_no_text_has_no_lines(items: list[Any]) -> None:
    assert lines_of(items) is None


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("run", "hostname", "tag", "timestamp", "stdlog_end", "extra", "pid", "_rev", "events_rate", "other")


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=5), max_size=4), st.booleans())
def test_documents_that_are_read_late_are_the_same(fields: list[dict[str, Any]], strange: bool) -> None:
    documents = [{"_id": f"source-state{number}", **one} for number, one in enumerate(fields)]
    message = json.dumps({"event": "update_documents", "documents": [*documents, 7, None] if strange else documents})
    found = documents_in([json.dumps({"event": "update_headers", "headers": []}), message])
    assert list(found) == [one["_id"] for one in documents]
    for one, text in zip(documents, found.values(), strict=True):
        header = DocumentHeader(one["_id"], 1, "")
        plain = raw_document(json.loads(json.dumps(one)), header)
        assert repr(GivenDocument(header, text).read()) == repr(plain)  # nan is not equal to itself


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        '{"event": "update_documents"}',
        '{"event": "update_documents", "documents": {}}',
        '{"event": "update_documents", "documents": [{"a": 1]}',
        '{"event": "update_documents", "documents": [{"a": "\\q"}]}',
    ],
)
def test_what_is_no_answer_is_malformed(message: str) -> None:
    with pytest.raises(Malformed):
        documents_in([message])


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"run": ' + b"9" * 9999 + b"}"])
def test_a_document_that_cannot_be_read_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        GivenDocument(DocumentHeader("source-state", 1, ""), text).read()


HOST, CODED, HEX = "fu-c2f11-11-01", "ZnUtYzJmMTEtMTEtMDE", "66752d633266"
_WORDS = (
    "event",
    "begins",
    "fu",
    "fu-c2f",
    "c2f11-11-01",
    CODED[:8],
    CODED[8:],
    HEX[:6],
    HEX[6:],
    "x41",
    "value 0",
    "4",
)
_LINES = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map(" ".join)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(_LINES, min_size=1, max_size=6),
    st.lists(st.integers(0, 5), min_size=5, max_size=80),
    st.sampled_from([(), ("4",), ("0",)]),
    st.sampled_from([1, 4, 100]),
)
def test_lines_of_known_shapes_leave_beside_each_other_as_by_the_plain_way(
    lines: list[str], order: list[int], own: tuple[str, ...], most: int
) -> None:
    """Many lines of few shapes: how two of them meet is remembered, also where little may be."""
    rules = (SlotRule(how="publish", least=0, most=1e9), SlotRule(how="one_of", values=(*_WORDS, HOST)))
    given = [f"the long text of a line that ends so: {lines[place % len(lines)]}" for place in order[::3]]
    given += [lines[place % len(lines)] for place in order]
    reads = [read for one in given if (read := read_line(one))]
    approvals = [
        Approval(template=one.template, slots=tuple(rules[slot.kind != "int"] for slot in one.slots)) for one in reads
    ]
    redactor = Redactor(Pseudonyms(b"k" * 32), LastCheck([("host", HOST)]), {}, approvals)
    for some in (given, given[::-1], [*given, *given]):
        count = LogCount()
        texts = tuple(one.text for one in redactor.lines(some, count, own))
        with patch.multiple(last_check, MOST_JOINTS=most, MOST_BORDERS=most):
            assert redactor.log(tuple(some), own) == (texts, count)

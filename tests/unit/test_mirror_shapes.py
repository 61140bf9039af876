"""What is remembered of shapes never lets a line out that would be withheld without it, and changes no line."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.mirror import last_check
from countingroom.core.mirror.last_check import Hit, LastCheck
from countingroom.core.mirror.shapes import shape_of
from countingroom.core.mirror.templates import LineReader, read_line

HOST, USER, SHORT = "fu-c2f11-11-01", "anna.rossi", "plc7"
CHECK = LastCheck([("host", HOST), ("user", USER), ("word", SHORT)])
READER = LineReader()
_CODED = b64encode(HOST.encode()).decode()
_HEX = USER.encode().hex()
_PIECES = (
    *(HOST, HOST[:6], HOST[6:], "fu-c2f12-11-01", HOST.replace("-", ""), USER[:5], USER[5:], SHORT, "plc8", "plc"),
    *(_CODED, _CODED[:9], _CODED[9:], _HEX, _HEX[:7], _HEX[7:], "%66u", "&#102;u", "\\x66", "0x66", "fu", "c2f"),
    *(" ", " ", "-", ".", ":", "/opt/a/b/", "user@lab.org", "10.1.2.3", "event", "of run", "ms", "CMSSW_15_0_3"),
)
_TEXT = st.lists(st.sampled_from(_PIECES) | st.integers(0, 10**6).map(str) | st.text("01fu ", max_size=4), max_size=8)
_LINE = _TEXT.map("".join)


@contextmanager
def _without_shapes() -> Generator[None]:
    with patch.object(last_check, "shape_of", return_value=None), patch.object(last_check, "_CODED", re.compile("")):
        yield


def _exact(text: str, before: str) -> Hit | None:
    with _without_shapes():
        return LastCheck([("host", HOST), ("user", USER), ("word", SHORT)]).find(text, before)


@given(_LINE, _LINE)
def test_a_hit_without_shapes_is_a_hit_with_them(text: str, before: str) -> None:
    if _exact(before, ""):
        before = ""  # it has not left
    assert bool(CHECK.find(text, before)) == bool(_exact(text, before))


@given(_LINE)
def test_a_line_of_a_known_shape_is_read_as_any_other(line: str) -> None:
    exact = read_line(line)
    digits = re.sub("[0-9]", "5", line)
    READER.read(digits)
    read = READER.read(line)
    assert (read is None) == (exact is None)
    if read and exact:
        assert (read.template, read.slots) == (exact.template, exact.slots)
        assert [one.text for one in read.pieces if one.kind] == [one.text for one in exact.pieces if one.kind]


def test_what_has_no_shape() -> None:
    assert shape_of("run 17 of 9") == shape_of("run 38 of 1") == b"run 11 of 1"
    assert shape_of("at 0x17") is None
    assert shape_of("µs") is None
    assert shape_of("a" * 2000) is None

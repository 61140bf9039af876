"""Of an output that never pauses, a number of lines each second is kept, the rest is counted, the last lines stay."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.line_limit import LineLimit


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, last + 1))


def test_what_is_within_the_limit_is_kept_whole() -> None:
    limit = LineLimit(10)
    assert limit.take(b"a\nb", 0.0) == [b"a"]
    assert limit.take(b"c\n", 0.1) == [b"bc"]
    assert limit.take(b"end", 0.2) == []
    assert limit.rest() == [b"end"]


def test_what_is_too_much_is_counted_and_its_last_lines_stay() -> None:
    limit = LineLimit(3)
    assert limit.take(numbered(1, 100), 0.0) == [b"1", b"2", b"3"]
    assert limit.take(numbered(101, 110), 0.5) == []
    told, *last = limit.take(numbered(111, 111), 1.0)
    assert told == b"... 102 lines were dropped here: there were more than 3 in a second"
    assert last == [b"106", b"107", b"108", b"109", b"110", b"111"]


def test_the_end_of_a_chatty_program_is_known() -> None:
    limit = LineLimit(3)
    limit.take(numbered(1, 1000) + b"fatal: no space", 0.0)
    assert limit.rest()[-2:] == [b"1000", b"fatal: no space"]


def test_a_line_without_end_does_not_grow() -> None:
    limit = LineLimit(3)
    for _ in range(100):
        assert limit.take(b"x" * 100_000, 0.0) == []
    (line,) = limit.rest()
    assert len(line) == 1 << 16


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1.5)), max_size=30),
    st.integers(1, 20),
)
def test_every_line_is_kept_or_counted(steps: list[tuple[int, float]], per_s: int) -> None:
    limit, now_s, written, kept = LineLimit(per_s), 0.0, 0, list[bytes]()
    for count, pause_s in steps:
        now_s += pause_s
        kept += limit.take(numbered(written + 1, written + count), now_s)
        written += count
    kept += limit.rest()
    counted = [int(found[1]) for line in kept if (found := re.match(rb"\.\.\. (\d+) lines", line))]
    numbers = [int(line) for line in kept if line.isdigit()]
    assert len(numbers) + sum(counted) == written
    assert numbers == sorted(set(numbers))

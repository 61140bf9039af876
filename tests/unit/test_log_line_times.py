"""The times of the lines of a log of a node: each line has the last time that was noted at or before its first byte."""

from __future__ import annotations

from countingroom.core.fleet.node_answers import log_lines

S = 1_000_000_000


def test_a_line_has_the_time_of_the_place_where_it_begins() -> None:
    lines = [f"line {number:02}" for number in range(40)]
    data = "".join(f"{line}\n" for line in lines).encode()
    size = len(lines[0]) + 1
    noted = "".join(f"{size * number} {100 + number}.0\n" for number in range(40))
    answer = f"log a {len(data)}\n{noted}".rstrip("\n").encode() + b"\nlines\n" + data
    assert list(log_lines(answer, 0)) == [((100 + number) * S, line) for number, line in enumerate(lines)]
    assert list(log_lines(answer, 2 * S, 136 * S)) == [(136 * S, "line 38"), (137 * S, "line 39")]

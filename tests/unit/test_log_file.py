"""A log stays small while its child runs, and the child is never held up by it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from countingroom.app.log_file import LogFile
from countingroom.core.line_limit import LONGEST
from tests.patience import PATIENCE_S


def write(log: LogFile, data: bytes) -> float:
    """Write it all as a child does; how long that took in s."""
    end, thread = log.pipe()
    began = time.monotonic()
    with os.fdopen(end, "wb") as stream:
        stream.write(data)
    took_s = time.monotonic() - began
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return took_s


def test_it_is_rotated_while_it_is_written(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "child.log", most_bytes=1000, lines_per_s=10_000)
    for number in range(30):
        write(log, b"line %03d of this log is long enough\n" % number * 10)
    sizes = {file.name: file.stat().st_size for file in log.path.parent.iterdir()}
    assert set(sizes) <= {"child.log", "child.old.log"}
    assert max(sizes.values()) < 2000
    assert log.path.parent.joinpath("child.old.log").stat().st_mode & 0o777 == 0o600


def test_fifty_megabytes_are_counted_and_not_written(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "child.log")
    write(log, b"Too many open files, and the same again and again\n" * 1_000_000 + b"the end\n")
    lines = log.path.read_bytes().splitlines()
    assert log.path.stat().st_size < 1_000_000
    assert lines[-1] == b"the end"
    assert any(b"lines were dropped here" in line for line in lines)


def test_without_room_on_the_disk_the_child_goes_on_and_it_is_told_later(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "child.log")
    log.path.mkdir()  # a file cannot be opened there
    write(log, b"lost\n")
    log.path.rmdir()
    write(log, b"kept\n")
    assert log.path.read_bytes() == b"... 5 bytes could not be written here\nkept\n"


def test_control_characters_of_a_program_are_shown_and_not_acted_on(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "child.log")
    write(log, "plain 5 µA\tx\r\n\x1b]0;title\x07\x1b[2J hidden \u202e\x9b1m\rover\n".encode() + b"\xff\x9b\n")
    text = log.path.read_bytes().decode()
    assert text == ("plain 5 µA\tx\n\\u001b]0;title\\u0007\\u001b[2J hidden \\u202e\\u009b1m\\u000dover\n\\xff\\x9b\n")


def test_a_line_of_control_characters_is_no_longer_than_any_other(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "child.log")
    write(log, b"\x1b" * (2 * LONGEST) + b"\n")
    assert log.path.stat().st_size == LONGEST + 1

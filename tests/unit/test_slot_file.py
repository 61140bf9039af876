"""What was written last is read again, wherever the process was killed in a later write."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.messages import Malformed
from countingroom.devices.interlocks.slot_file import SlotFile

WRITER = """
import sys
from pathlib import Path
from countingroom.devices.interlocks.slot_file import SlotFile
file, number = SlotFile(Path(sys.argv[1])), 0
while True:
    number += 1
    file.write(b'"%d"' % number)
    print(number, flush=True)
"""


def content(text: str) -> bytes:
    return msgspec.json.encode({"text": text})


def test_what_was_written_last_is_read_again(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "folder" / "latches.json")
    assert SlotFile(file.path).read() is None
    for text in ("one", "two\n\r", "three"):
        file.write(content(text))
        file.sync()
        assert SlotFile(file.path).read() == content(text)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [one.name for one in file.path.parent.iterdir()] == ["latches.json"]


def test_a_later_process_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "latches.json"
    SlotFile(path).write(content("one"))
    before = path.stat()
    later = SlotFile(path)
    assert later.read() == content("one")
    later.write(content("two"))
    assert SlotFile(path).read() == content("two")
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)


def test_it_grows_with_its_content(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "latches.json")
    for size in (10, 20_000, 300_000, 5):
        file.write(content("x" * size))
        assert SlotFile(file.path).read() == content("x" * size)


def test_a_file_that_was_deleted_or_put_back_is_written_again(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "latches.json")
    file.write(content("one"))
    copy = file.path.read_bytes()
    file.path.unlink()
    file.write(content("two"))
    assert SlotFile(file.path).read() == content("two")
    file.path.unlink()
    file.path.write_bytes(copy)
    file.write(content("three"))
    assert SlotFile(file.path).read() == content("three")
    file.path.write_bytes(b"something else")
    file.write(content("four"))
    assert SlotFile(file.path).read() == content("four")


@pytest.mark.parametrize("found", [b"", b"{}", b"\0" * 8192, b"[" * 5000, b'{"number":1,"crc":1,"content":{}}\n'])
def test_a_file_without_a_whole_line_is_malformed(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "latches.json"
    path.write_bytes(found)
    with pytest.raises(Malformed):
        SlotFile(path).read()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=300), min_size=1, max_size=6), st.integers(0, 17_000))
def test_a_write_that_ends_in_the_middle_leaves_the_one_before_it(sizes: list[int], at: int) -> None:
    def torn(opened: int, data: bytes, offset: int) -> int:
        whole(opened, data[:at], offset)
        raise KeyboardInterrupt  # for a kill

    whole = os.pwrite
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        file = SlotFile(Path(folder) / "latches.json")
        for size in sizes:
            file.write(content("a" * size))
        patch.setattr(os, "pwrite", torn)
        with pytest.raises(KeyboardInterrupt):
            file.write(content("new"))
        assert SlotFile(file.path).read() in (content("a" * sizes[-1]), content("new"))
        with pytest.raises(KeyboardInterrupt):
            file.write(content("newer"))
        patch.undo()
        found = SlotFile(file.path)
        assert found.read() in (content("a" * sizes[-1]), content("newer"), content("new"))
        found.write(content("last"))
        assert SlotFile(file.path).read() == content("last")


def test_a_full_disk_takes_what_replaces_an_earlier_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "latches.json"
    SlotFile(path).write(content("one"))
    opening = os.open

    def full(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "no space left on device")
        return opening(name, flags, mode)

    monkeypatch.setattr(os, "open", full)
    file = SlotFile(path)
    file.write(content("two"))
    assert SlotFile(path).read() == content("two")
    with pytest.raises(OSError, match="no space"):
        file.write(content("x" * 100_000))
    file.write(content("three"))
    assert SlotFile(path).read() == content("three")


def test_nothing_is_forgotten_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "latches.json"
    told = 0
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(40):
                told = int(writer.stdout.readline())
            writer.kill()
            rest = [line for line in writer.stdout.read().split("\n") if line.isdecimal()]
            told = int(rest[-1]) if rest else told
        found = SlotFile(path).read()
        assert found is not None
        assert int(msgspec.json.decode(found)) in (told, told + 1)

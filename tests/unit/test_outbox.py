"""Records wait in a file in order, survive their process, and are given to one process only."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countingroom.core.errors import Cause, LinkError, NotFound
from countingroom.storage.highest_run import HighestRun
from countingroom.storage.outbox import Outbox
from countingroom.storage.refused_entries import RefusedEntries


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("waiting-*"))


def test_records_come_out_in_order_and_the_file_goes_with_the_last_one(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "book")
    outbox.add([b"1", b"2"])
    outbox.add([b"3"])
    (file,) = files(tmp_path / "book")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for record in (b"1", b"2", b"3"):
        assert outbox.first == record
        outbox.remove(1)
    assert outbox.first is None
    assert files(tmp_path / "book") == []
    outbox.add([b"4"])
    assert list(outbox) == [b"4"]


def test_the_records_of_a_dead_process_come_before_ones_own(tmp_path: Path) -> None:
    dead = Outbox(tmp_path)
    dead.add([b"1", b"2", b"3"])
    dead.remove(1)
    dead.close()
    own = Outbox(tmp_path)
    own.add([b"4"])
    assert own.adopt() == (0, [b"2", b"3"])
    assert list(own) == [b"2", b"3", b"4"]
    assert own.adopt() == (2, [])
    for _ in range(3):
        own.remove(1)
    assert files(tmp_path) == []


def test_the_file_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    lives = Outbox(tmp_path)
    lives.add([b"1"])
    assert Outbox(tmp_path).adopt() == (0, [])
    lives.remove(1)
    assert files(tmp_path) == []


def test_a_line_that_was_not_finished_was_never_promised(tmp_path: Path) -> None:
    dead = Outbox(tmp_path)
    dead.add([b"1", b"2"])
    dead.close()
    (file,) = files(tmp_path)
    with file.open("ab") as torn:
        torn.write(b'{"half')
    own = Outbox(tmp_path)
    assert own.adopt() == (0, [b"1", b"2"])
    own.remove(1)
    own.close()
    assert Outbox(tmp_path).adopt() == (0, [b"2"])


def test_a_full_file_takes_no_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, most_bytes=5)
    outbox.add([b"1234"])
    with pytest.raises(LinkError) as refused:
        outbox.add([b"5"])
    assert refused.value.cause.code == "full"
    assert list(outbox) == [b"1234"]


def test_a_record_that_the_disk_does_not_take_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path)
    outbox.add([b"1"])

    def fails(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="No space"):
            outbox.add([b"2"])
    outbox.add([b"3"])
    outbox.close()
    assert Outbox(tmp_path).adopt() == (0, [b"1", b"3"])


def test_a_reserve_becomes_the_file_and_that_of_a_dead_process_is_used_again(tmp_path: Path) -> None:
    dead = Outbox(tmp_path, reserve_bytes=1000)
    dead.reserve()
    (reserve,) = tmp_path.iterdir()
    held = dead._reserve  # pyright: ignore[reportPrivateUsage]
    assert held
    held.close()  # as the end of a process does it
    own = Outbox(tmp_path, reserve_bytes=1000)
    own.reserve()
    other = Outbox(tmp_path, reserve_bytes=1000)
    other.reserve()
    assert len(list(tmp_path.iterdir())) == 2
    other.close()
    assert list(tmp_path.iterdir()) == [reserve]
    own.add([b"1", b"2"])
    (file,) = files(tmp_path)
    assert not reserve.exists()
    assert file.stat().st_size == 1000
    own.remove(1)
    own.close()
    last = Outbox(tmp_path)
    assert last.adopt() == (0, [b"2"])
    last.remove(1)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_entry_is_kept_with_its_reason_until_a_person_removes_it(tmp_path: Path) -> None:
    refused = RefusedEntries(tmp_path / "book")
    assert (refused.list(), refused.count()) == ((), 0)
    reason = Cause(code="out_of_range", message="the database cannot store the value")
    path = refused.add(b'{"type": "note"}', reason, 5)
    refused.add(b"\xff", reason, 6)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = refused.list()
    assert (first.time_ns, first.reason, first.entry) == (5, reason, '{"type": "note"}')
    assert refused.get(first.name) == first
    assert refused.get(second.name[-6:]) == second
    with pytest.raises(NotFound):
        refused.get("0000")  # both begin so
    with pytest.raises(NotFound):
        refused.get("x")
    refused.remove(first.name)
    assert refused.list() == (second,)


def test_a_refused_entry_that_cannot_be_read_is_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "refused-1.json").write_text("no JSON")
    (found,) = RefusedEntries(tmp_path).list()
    assert (found.name, found.reason.code) == ("1", "unreadable")


def test_the_highest_run_is_kept_beside_the_database(tmp_path: Path) -> None:
    highest = HighestRun(tmp_path / "book")
    assert highest.read() == 0
    highest.write(41)
    assert HighestRun(tmp_path / "book").read() == 41
    for damaged in ("", "-3", "9" * 40, "x"):
        (tmp_path / "book" / "highest-run").write_text(damaged)
        assert highest.read() == 0


def waits(folder: Path, data: bytes, name: str = "waiting-1.jsonl") -> Path:
    """A file of an earlier process."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(data)
    return file


def adopted(folder: Path, *, most_bytes: int = 1000) -> list[bytes]:
    """What a new process takes over, whatever lies in the folder."""
    outbox = Outbox(folder, most_bytes=most_bytes)
    try:
        return outbox.adopt()[1]
    finally:
        outbox.close()


def test_a_link_is_not_followed_and_its_target_is_left_alone(tmp_path: Path) -> None:
    target = waits(tmp_path / "elsewhere", b"1\nhalf")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "waiting-1.jsonl").symlink_to(target)
    waits(tmp_path / "book", b"2\n", "waiting-2.jsonl")
    assert adopted(tmp_path / "book") == [b"2"]
    assert target.read_bytes() == b"1\nhalf"


def test_a_pipe_or_a_folder_with_such_a_name_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waiting-1.jsonl")
    (tmp_path / "waiting-2.jsonl").mkdir()
    waits(tmp_path, b"3\n", "waiting-3.jsonl")
    assert adopted(tmp_path) == [b"3"]


def test_a_file_that_is_larger_than_a_process_makes_it_is_left_alone_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = waits(tmp_path, b"")
    with file.open("wb") as huge:
        huge.truncate(1 << 40)
    waits(tmp_path, b"2\n", "waiting-2.jsonl")
    outbox = Outbox(tmp_path)
    assert outbox.adopt() == (0, [b"2"])
    assert outbox.adopt() == (1, [])
    outbox.close()
    assert file.stat().st_size == 1 << 40
    (told,) = [one.getMessage() for one in caplog.records]
    assert str(file) in told


def test_a_line_that_looks_like_done_removes_no_record(tmp_path: Path) -> None:
    waits(tmp_path, b"1\n2\ndone\r\n\rdone\n")
    assert adopted(tmp_path) == [b"1", b"2", b"done\r", b"\rdone"]


def test_more_done_than_records_leave_what_follows(tmp_path: Path) -> None:
    waits(tmp_path, b"done\ndone\n1\ndone\ndone\n2\n")
    assert adopted(tmp_path) == [b"2"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"done", b"\n", b"\0" * 9, b'{"a": 1}']))))
def test_any_bytes_in_a_file_are_records_or_none(tmp_path: Path, pieces: list[bytes]) -> None:
    waits(tmp_path, b"\n".join(pieces))
    outbox = Outbox(tmp_path)
    _, records = outbox.adopt()
    assert all(b"\n" not in one for one in records)
    outbox.add([b"mine"])
    for record in [*records, b"mine"]:
        assert outbox.first == record
        outbox.remove(1)
    assert outbox.first is None
    assert files(tmp_path) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_file_that_is_cut_at_any_byte_keeps_what_was_promised_in_order(tmp_path: Path, data: st.DataObject) -> None:
    written = Outbox(tmp_path)
    records = [b'{"n": %d}' % number for number in range(6)]
    written.add(records[:4])
    written.remove(2)
    written.add(records[4:])
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    written.close()
    at = data.draw(st.integers(0, len(whole)))
    torn = data.draw(st.sampled_from([b"", b"\0" * 40, b'{"n', b'{"n\0\0']))
    file.write_bytes(whole[:at] + torn)
    lines = whole[:at].split(b"\n")[:-1]
    stored = lines.count(b"done")
    assert adopted(tmp_path) == [one for one in lines if one != b"done"][stored:]
    for left in files(tmp_path):
        left.unlink()

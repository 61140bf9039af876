"""A restore that is ended, fails or has a rival leaves either nothing, or a folder that is marked as incomplete."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.app import backup
from countingroom.backup import contents, disk_space, restore
from countingroom.backup.container import BackupWriter
from countingroom.backup.contents import BackupHeader, BackupManifest, StreamPart
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Conflict, CountingRoomError, RequestError
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

EMPTY = StreamPart(first=1, last=0, sha256=hashlib.sha256().hexdigest())
MANIFEST = BackupManifest(
    experiment="bench",
    program="1",
    moment_ns=1,
    data="/nowhere",
    description="description/experiment.yaml",
    dialect="sqlite",
    database="",
    schema="0001",
    rows={},
    highest_run=0,
    first_sequence=0,
    history_sequence=0,
    history_rows={},
    readings=EMPTY,
    events=EMPTY,
    positions={},
    secrets=False,
)
MEMBERS = {f"data/{name}": b"x" * 100 for name in ("audit/one", "audit/two", "run-book/three")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bench.backup"
    with path.open("wb") as out:
        header = BackupHeader(experiment="bench", program="1", began_ns=1)
        writer = BackupWriter(out, msgspec.json.encode(header))
        for name, data in MEMBERS.items():
            writer.member(name, [data])
        for name in (contents.READINGS, contents.EVENTS):
            writer.member(name, [])
        writer.member(contents.MANIFEST, [msgspec.json.encode(MANIFEST)])
        writer.finish()
    return path


def begin(file: Path, into: Path) -> asyncio.Task[Any]:
    return asyncio.create_task(restore.restore(file, None, into, FakeClock(), lambda line: None))


class SlowDisk:
    """Writing a member takes until `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        self.writing = 0
        self._write = restore._write  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(restore, "_write", self._slow)

    def _slow(self, path: Path, data: Iterable[bytes]) -> None:
        self.writing += 1
        self.began.set()
        self.go_on.wait(PATIENCE_S)
        try:
            self._write(path, data)
        finally:
            self.writing -= 1


async def test_a_restore_that_is_ended_ends_its_thread_before_the_folder_is_removed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, into = SlowDisk(monkeypatch), tmp_path / "new"
    task = begin(file, into)
    await asyncio.to_thread(disk.began.wait, PATIENCE_S)
    assert (into / "data" / contents.UNFINISHED).exists()
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, disk.go_on.set)
    await asyncio.wait([task])
    assert task.cancelled()
    assert disk.writing == 0
    assert not into.exists()


async def test_what_could_not_be_removed_has_the_mark_of_an_incomplete_restore(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, into = SlowDisk(monkeypatch), tmp_path / "new"
    removed: list[Path] = []

    def killed(path: Path, **_: Any) -> None:
        removed.append(path)
        if path.name == "run-book":
            raise LookupError

    task = begin(file, into)
    await asyncio.to_thread(disk.began.wait, PATIENCE_S)
    (into / "data" / "run-book").mkdir()
    monkeypatch.setattr(shutil, "rmtree", killed)
    task.cancel()
    disk.go_on.set()
    await asyncio.wait([task])
    assert isinstance(task.exception(), LookupError)
    assert (into / "data" / contents.UNFINISHED).exists()


async def test_two_restores_into_one_folder_do_not_remove_each_others_files(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, into = SlowDisk(monkeypatch), tmp_path / "new"
    first = begin(file, into)
    await asyncio.to_thread(disk.began.wait, PATIENCE_S)
    with pytest.raises(Conflict, match=r"another restore|not empty"):
        await begin(file, into)
    assert (into / "data" / contents.UNFINISHED).exists()
    first.cancel()
    disk.go_on.set()
    await asyncio.wait([first])


async def test_a_full_disk_is_told_and_leaves_no_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: Iterable[bytes]) -> None:
        raise disk_space.no_space(OSError(28, "No space left on device"), path.parent, is_restore=True)

    monkeypatch.setattr(restore, "_write", full)
    with pytest.raises(disk_space.DiskFull, match="is full"):
        await begin(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_history_with_other_rows_is_refused_before_the_restore_counts_as_complete(
    file: Path, tmp_path: Path
) -> None:
    def check(manifest: BackupManifest, data: Path) -> None:
        assert (data / contents.UNFINISHED).exists()
        raise RequestError("the history differs", source="restore")

    with pytest.raises(CountingRoomError, match="the history differs"):
        await restore.restore(file, None, tmp_path / "new", SystemClock(), lambda line: None, check=check)
    assert not (tmp_path / "new").exists()


async def test_a_database_for_a_backup_that_has_none_is_refused_and_not_ignored(file: Path, tmp_path: Path) -> None:
    url = "postgresql://postgres@127.0.0.1:1/bench"
    with pytest.raises(RequestError, match="SQLite"):
        await restore.restore(file, None, tmp_path / "new", FakeClock(), lambda line: None, database=url)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["", "/etc/passwd", "data/../../x", "other/x", "data"])
async def test_a_member_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bench.backup"
    with path.open("wb") as out:
        writer = BackupWriter(out, msgspec.json.encode(BackupHeader(experiment="bench", program="1", began_ns=1)))
        writer.member(name, [b"x"])
        writer.member(contents.MANIFEST, [msgspec.json.encode(MANIFEST)])
        writer.finish()
    with pytest.raises(RequestError):
        await begin(path, tmp_path / "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bench.backup"]


def test_a_restore_that_is_terminated_removes_what_it_has_written(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def terminated(path: Path, data: Iterable[bytes]) -> None:
        write(path, data)
        written.append(path)
        os.kill(os.getpid(), signal.SIGTERM)

    write = restore._write  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(restore, "_write", terminated)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended:
            backup.restore_into(file, tmp_path / "new", lambda line: None)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 128 + signal.SIGTERM
    assert written
    assert not (tmp_path / "new").exists()

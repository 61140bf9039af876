"""Files that disappear while they are copied, a clock that was wrong, and disks that do not answer."""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from countingroom.app import backup, child_command
from countingroom.app.backup_schedule import make_in_child
from countingroom.backup import contents, folder, take
from countingroom.backup.container import BackupReader, BackupWriter
from countingroom.backup.identity import identity_of
from countingroom.cli.main import run
from countingroom.core.errors import LinkError
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

_S = 10**9
NOW_NS = 1_900_000_000 * _S


def source(data: Path) -> take.CopiedExperiment:
    return take.CopiedExperiment(
        experiment="bench",
        program="1",
        data=data,
        database="",
        database_given=False,
        files={},
        description="",
        outside={},
        secrets=False,
    )


async def test_outputs_that_a_program_removes_meanwhile_do_not_end_the_backup(tmp_path: Path) -> None:
    output = tmp_path / "result-files" / "000001" / "output"
    output.mkdir(parents=True)
    incoming = tmp_path / "result-files" / ".incoming-1" / "documents"
    incoming.mkdir(parents=True)
    for path in (output / "gone.json", output / "short.json", output.parent / "log.txt", incoming / "a.json"):
        path.write_bytes(b"12345")
    growing = contents.growing_files(tmp_path)
    assert sorted(name.rpartition("/")[2] for name in growing) == ["gone.json", "log.txt", "short.json"]
    (output / "gone.json").unlink()
    (output / "short.json").write_bytes(b"1")
    (output.parent / "log.txt").write_bytes(b"1234567")
    file, said = io.BytesIO(), list[str]()
    writer = BackupWriter(file, b"{}")
    moment = take._Moment(  # pyright: ignore[reportPrivateUsage]
        at_ns=1, readings=0, events=0, positions={}, files={}, growing=growing, held_ms=0
    )
    made = take._Taking(  # pyright: ignore[reportPrivateUsage]
        cast(Any, None), FakeClock(), source(tmp_path), writer, tmp_path, said.append
    )
    await made._files(moment)  # pyright: ignore[reportPrivateUsage]
    writer.finish()
    file.seek(0)
    found = {name.rpartition("/")[2]: b"".join(parts) for name, parts in BackupReader(file).members()}
    assert found == {"short.json": b"1", "log.txt": b"12345"}
    assert any("gone.json: removed since" in line for line in said)


def test_a_small_file_that_is_taken_while_it_is_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "waiting").write_bytes(b"x")

    def files(place: Path) -> Iterator[Path]:
        yield from (place / "taken", place / "waiting") if place.is_dir() else ()

    monkeypatch.setattr(contents, "_files", files)
    assert contents.small_files(tmp_path) == {"data/audit/waiting": b"x"}
    assert contents.size_of(tmp_path / "audit") == 1


def test_the_backup_that_was_just_made_is_kept_beside_those_of_a_wrong_clock_and_of_others(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    data.mkdir()
    copy.mkdir()
    description = tmp_path / "experiment.yaml"
    description.write_text(
        f"experiment: {{name: bench}}\nbackup: {{folder: {tmp_path}, keep: {{last: 1, daily: 0, weekly: 0}}}}\n"
    )
    made = backup.Backups(description, data)
    names = [
        folder.name("bench", made.identity, NOW_NS + hours * 3600 * _S, encrypted=False) for hours in (-1, 0, 9000)
    ]
    for name in names:
        (tmp_path / name).touch()
    other = tmp_path / folder.name("bench", identity_of(copy), NOW_NS - 10**6 * _S, encrypted=False)
    other.touch()
    assert made._removed(tmp_path / names[1], lambda line: None)  # pyright: ignore[reportPrivateUsage]
    assert [one.path.name for one in made.found()] == [names[2], names[1], other.name]


def test_a_copy_of_a_data_folder_is_another_one_and_a_moved_one_is_the_same(tmp_path: Path) -> None:
    data, copy, moved = (tmp_path / name for name in ("data", "copy", "moved"))
    data.mkdir()
    own = identity_of(data)
    assert identity_of(data) == own
    shutil.copytree(data, copy)
    assert identity_of(copy) != own
    assert identity_of(copy) == identity_of(copy)
    data.rename(moved)
    assert identity_of(moved) == own
    (moved / "backup-id").write_text("nonsense")
    assert identity_of(moved) != own
    assert [path.name for path in moved.iterdir()] == ["backup-id"]
    assert (moved / "backup-id").stat().st_mode & 0o077 == 0


async def test_up_can_stop_while_a_backup_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ntrap '' TERM\ntouch {tmp_path}/began\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(child_command, "_END_S", 0.05)
    making = asyncio.create_task(make_in_child(tmp_path, tmp_path))
    async with asyncio.timeout(PATIENCE_S):
        while not (tmp_path / "began").exists():
            await asyncio.sleep(0.01)
    making.cancel()
    await asyncio.wait([making], timeout=5)
    assert making.cancelled()


def test_a_folder_that_cannot_be_made_is_an_error_with_a_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def restored(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(tmp_path / "new"))

    from countingroom.backup import restore

    file = tmp_path / "a.backup"
    manifest = contents.BackupManifest(
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
        readings=contents.StreamPart(first=1, last=0),
        events=contents.StreamPart(first=1, last=0),
        positions={},
        secrets=False,
    )

    def verified(*_: Any) -> tuple[contents.BackupManifest, list[Any]]:
        return manifest, []

    monkeypatch.setattr(restore, "verified", verified)
    monkeypatch.setattr(restore._Restoring, "run", restored)  # pyright: ignore[reportPrivateUsage]
    assert run(["restore", str(file), "--into", str(tmp_path / "new")]) == 1
    told = capsys.readouterr().err
    assert "cannot be written: Permission denied" in told
    assert "--into" in told


async def test_a_file_of_the_description_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "box.svg"
    wanted = msgspec.structs.replace(source(tmp_path), files={"description/box.svg": missing})
    moment = take._Moment(  # pyright: ignore[reportPrivateUsage]
        at_ns=1, readings=0, events=0, positions={}, files={}, growing={}, held_ms=0
    )
    writer = BackupWriter(io.BytesIO(), b"{}")
    made = take._Taking(  # pyright: ignore[reportPrivateUsage]
        cast(Any, None), FakeClock(), wanted, writer, tmp_path, lambda line: None
    )
    with pytest.raises(LinkError, match=r"box\.svg, which the description names, cannot be read"):
        await made._files(moment)  # pyright: ignore[reportPrivateUsage]

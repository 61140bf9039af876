"""Which backups are kept, when they are made, where run numbers go on, and what is in a backup."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.app import backup, data_folder
from countingroom.app.description_files import description_files
from countingroom.backup import contents, disk_space, folder
from countingroom.backup.contents import BackupManifest, StreamPart
from countingroom.backup.description import BackupSection, KeepSection
from countingroom.backup.folder import FoundBackup
from countingroom.backup.run_numbers import decide, last_known
from countingroom.core.errors import Conflict
from countingroom.experiment import load_located
from countingroom.storage.highest_run import HighestRun
from tests.patience import PATIENCE_S

OWN = "0a1b2c3d"
START = datetime(2026, 11, 30, tzinfo=UTC)
MANIFEST = BackupManifest(
    experiment="bench",
    program="1",
    moment_ns=1_000 * 60_000_000_000,
    data="/nowhere",
    description="description/experiment.yaml",
    dialect="sqlite",
    database="",
    schema="0001",
    rows={},
    highest_run=41,
    first_sequence=0,
    history_sequence=0,
    history_rows={},
    readings=StreamPart(first=1, last=0),
    events=StreamPart(first=1, last=0),
    positions={},
    secrets=False,
)


def found(hours: float) -> FoundBackup:
    made = START - timedelta(hours=hours)
    name = folder.name("bench", OWN, int(made.timestamp()) * 10**9, encrypted=False)
    return FoundBackup(
        path=Path(name), experiment="bench", of=OWN, made=made.replace(microsecond=0), bytes=1, encrypted=False
    )


@given(
    st.lists(st.integers(0, 3000), unique=True, max_size=60),
    st.builds(KeepSection, last=st.integers(1, 5), daily=st.integers(0, 5), weekly=st.integers(0, 5)),
)
def test_the_newest_and_one_of_each_day_and_week_are_kept(hours: list[int], keep: KeepSection) -> None:
    backups = [found(one) for one in hours]
    kept = folder.kept(backups, keep)
    newest = sorted(backups, key=lambda one: one.made, reverse=True)
    assert {one.path for one in newest[: keep.last]} <= kept
    days = sorted({one.made.date() for one in backups}, reverse=True)[: keep.daily]
    for day in days:
        assert any(one.path in kept for one in backups if one.made.date() == day)
    assert len(kept) <= keep.last + keep.daily + keep.weekly


def test_backups_are_found_by_their_names(tmp_path: Path) -> None:
    at = int(START.timestamp()) * 10**9
    for name in ("bench", "other"):
        (tmp_path / folder.name(name, OWN, at, encrypted=name == "other")).touch()
    (tmp_path / "bench-20261130.backup").touch()
    assert [(one.experiment, one.made, one.encrypted) for one in folder.backups(tmp_path, "bench")] == [
        ("bench", START, False)
    ]
    (tmp_path / folder.name("bench", "ffffffff", at, encrypted=False)).touch()
    assert [one.of for one in folder.backups(tmp_path, "bench", OWN)] == [OWN]
    assert len(folder.backups(tmp_path, "bench")) == 2
    (tmp_path / folder.name("bench", "ffffffff", at, encrypted=False)).unlink()
    assert len(folder.backups(tmp_path)) == 2
    assert folder.backups(tmp_path / "missing") == []


def test_keys_of_the_section_that_contradict_each_other_are_told() -> None:
    section = BackupSection(every=3600, at="99 * * * *", secrets=True, folder=Path("here"))
    assert [path for path, _ in section.problems()] == [("folder",), ("at",), ("secrets",), ("at",)]


@pytest.mark.parametrize(
    ("known", "minutes", "number"),
    [(None, 5, 142), (None, 500, 542), (41, 5, 42), (50, 5, 51), (3, 5, 142), (0, 5, 142)],
)
def test_run_numbers_go_on_behind_all_that_may_have_been_given(known: int | None, minutes: int, number: int) -> None:
    now_ns = MANIFEST.moment_ns + minutes * 60_000_000_000
    assert decide(MANIFEST, now_ns, known).number == number


def test_the_last_run_of_the_original_is_found_in_its_folder(tmp_path: Path) -> None:
    assert last_known(tmp_path) is None
    HighestRun(tmp_path / "run-book").write(7)
    assert last_known(tmp_path) == 7
    with closing(sqlite3.connect(tmp_path / "countingroom.sqlite")) as database:
        database.execute("CREATE TABLE run_counter (id, last)")
        database.execute("INSERT INTO run_counter VALUES (1, 9)")
        database.commit()
    assert last_known(tmp_path) == 9


def test_each_part_of_the_data_folder_is_declared(tmp_path: Path) -> None:
    for name in (*data_folder.KEPT_FOLDERS, "strange"):
        (tmp_path / name).mkdir()
    (tmp_path / "countingroom.sqlite-wal").touch()
    (tmp_path / data_folder.LOCK).touch()
    assert contents.not_copied(tmp_path) == ["strange"]
    assert all(part.how for part in contents.PARTS)


def test_files_that_only_keep_room_are_no_part_of_a_backup(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    for name in ("waiting-1.jsonl", "reserve-2", "half.part"):
        (tmp_path / "audit" / name).write_bytes(b"x")
    assert contents.small_files(tmp_path) == {"data/audit/waiting-1.jsonl": b"x"}


def test_a_backup_that_would_fill_the_disk_is_refused_with_the_sizes(tmp_path: Path) -> None:
    def usage(_: Path) -> tuple[int, int, int]:
        return 100_000_000, 90_000_000, 10_000_000

    disk_space.check(tmp_path, 5_000_000, "it", usage)
    with pytest.raises(disk_space.DiskFull, match=r"it needs 6.0 MB, .* 10.0 MB free, of which 5.0 MB must stay free"):
        disk_space.check(tmp_path, 6_000_000, "it", usage)


def test_a_disk_that_becomes_full_meanwhile_ends_the_backup(tmp_path: Path) -> None:
    free = [50_000_000, 4_000_000]

    def usage(_: Path) -> tuple[int, int, int]:
        return 100_000_000, 0, free.pop(0)

    with (tmp_path / "part").open("wb") as file:
        checked = disk_space.CheckedFile(file, tmp_path, usage)
        checked.write(bytes(16 << 20))
        with pytest.raises(disk_space.DiskFull, match=r"4\.0 MB free"):
            checked.write(b"x")
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 (a device)
        checked = disk_space.CheckedFile(file, tmp_path, lambda _: (100, 0, 100))
        with pytest.raises(disk_space.DiskFull, match="is full"):
            checked.write(b"x")


def test_one_backup_is_made_at_a_time_and_what_a_killed_one_left_is_removed(tmp_path: Path) -> None:
    alone, clean = backup._alone, backup._clean  # pyright: ignore[reportPrivateUsage]
    with alone(tmp_path), pytest.raises(Conflict, match="another backup"), alone(tmp_path):
        pass
    order: list[str] = []

    def later() -> None:
        with alone(tmp_path, wait=True):
            order.append("second")

    with alone(tmp_path):
        waiting = threading.Thread(target=later)
        waiting.start()
        waiting.join(0.05)
        order.append("first")
    waiting.join(PATIENCE_S)
    assert order == ["first", "second"]
    (tmp_path / f".bench.{OWN}.x.part").mkdir()
    others = {".bench-2.0a1b2c3d.1.backup.part", ".bench.ffffffff.1.backup.part", "bench-1.backup"}
    for name in (f".bench.{OWN}.bench-1.backup.part", *others):
        (tmp_path / name).touch()
    clean(tmp_path, "bench", OWN)
    assert {path.name for path in tmp_path.iterdir()} == others


def test_secrets_are_only_among_the_files_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "more.yaml").write_text(
        "bus:\n  tls_ca: ca.pem\n  tls_certificate: ca.pem\n  tls_key: private.pem\n  url: tls://h:4222\n"
    )
    for name in ("ca.pem", "private.pem", "password"):
        (tmp_path / name).write_text("x")
    main = tmp_path / "site" / "experiment.yaml"
    main.write_text(
        "experiment: {name: bench}\ninclude: more.yaml\nsynoptics: {box: {file: box.svg}}\n"
        "backup: {key: {file: ../password}}\n"
    )
    for name in ("ca.pem", "private.pem", "box.svg"):
        (tmp_path / "site" / name).write_text("x")
    loaded = load_located(main)
    plain = description_files(main, loaded, secrets=False)
    names = ("box.svg", "ca.pem", "experiment.yaml", "more.yaml")
    assert sorted(plain.files) == [f"description/{name}" for name in names]
    full = description_files(main, loaded, secrets=True)
    assert "description/private.pem" in full.files
    assert list(full.outside.values()) == [str(tmp_path / "password")]

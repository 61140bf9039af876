"""The file of a backup: what is damaged anywhere is refused, with the member and the place."""

from __future__ import annotations

import io
import random
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.backup import container, disk_space, opening
from countingroom.backup.container import BackupReader, BackupWriter, DamagedBackup, NewerBackup
from countingroom.backup.encryption import BackupKey, WrongKey, encrypting, private_key
from countingroom.core.errors import ConfigurationError, RequestError

CONTENT = {
    "data/history/history.duckdb": random.Random(1).randbytes(10_000),
    "bus/readings": b"",
    "data/countingroom.sqlite": b"row" * 5000,
    "manifest.json": b"{}",
}


PIECE = 4096


def written(content: dict[str, bytes], piece: int = PIECE) -> tuple[bytes, dict[str, int]]:
    """A backup, and where each member begins."""
    file = io.BytesIO()
    writer = BackupWriter(file, b'{"experiment":"bench","program":"1","began_ns":1}')
    begins: dict[str, int] = {}
    for name, data in content.items():
        begins[name] = file.tell()
        writer.member(name, (data[at : at + piece] for at in range(0, len(data), piece)))
    writer.finish()
    return file.getvalue(), begins


WHOLE, BEGINS = written(CONTENT)


def read(data: bytes) -> dict[str, bytes]:
    return {name: b"".join(parts) for name, parts in BackupReader(io.BytesIO(data), "a.backup").members()}


def member_at(offset: int) -> str:
    """The member whose frames hold this byte; empty: the frames before and after all members."""
    return max((name for name, begin in BEGINS.items() if begin <= offset), key=BEGINS.__getitem__, default="")


def test_what_is_written_is_read() -> None:
    assert read(WHOLE) == CONTENT


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_with_its_member_and_place(at: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    with pytest.raises((DamagedBackup, NewerBackup)) as caught:
        read(bytes(damaged))
    if isinstance(caught.value, DamagedBackup):
        assert caught.value.offset <= at < caught.value.offset + 2 * PIECE
        assert caught.value.member in (member_at(at), "")  # between two members none is open


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(DamagedBackup) as caught:
        read(WHOLE[:length])
    assert caught.value.offset <= length


@pytest.mark.parametrize("name", CONTENT)
def test_a_member_that_is_missing_is_refused(name: str) -> None:
    places = [*BEGINS.values(), len(WHOLE)]
    begin = BEGINS[name]
    end = min(one for one in places if one > begin)
    with pytest.raises(DamagedBackup, match=f"at byte {begin}: its digest is wrong|not complete"):
        read(WHOLE[:begin] + WHOLE[end:])


@given(st.binary(min_size=1, max_size=40))
def test_bytes_behind_the_end_are_refused(more: bytes) -> None:
    with pytest.raises(DamagedBackup, match="follow its end"):
        read(WHOLE + more)


@given(st.binary(max_size=3000))
def test_any_other_file_is_refused(data: bytes) -> None:
    with pytest.raises((DamagedBackup, NewerBackup)):
        read(data)


def test_a_later_format_is_refused_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "FORMAT", 2)
    later, _ = written({})
    monkeypatch.undo()
    with pytest.raises(NewerBackup, match="format 2, this program reads 1"):
        read(later)


@pytest.fixture(scope="module")
def key() -> BackupKey:
    return BackupKey.new()


@pytest.fixture(scope="module")
def encrypted(key: BackupKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "bench.backup.age"
    with path.open("wb") as file, encrypting(file, [BackupKey(key.public, "test"), BackupKey.new()]) as clear:
        clear.write(WHOLE)
    return path


def opened(path: Path, key: BackupKey | None) -> dict[str, int]:
    with opening.opened(path, key) as reader:
        return {name: sum(map(len, parts)) for name, parts in reader.members()}


def test_an_encrypted_backup_is_read_with_its_private_key_alone(key: BackupKey, encrypted: Path) -> None:
    assert opened(encrypted, key) == {name: len(data) for name, data in CONTENT.items()}
    assert b"bench" not in encrypted.read_bytes()
    with pytest.raises(WrongKey):
        opened(encrypted, BackupKey.new())
    for other in (None, BackupKey(key.public, "test")):
        with pytest.raises(ConfigurationError, match=r"encrypted|public key"):
            opened(encrypted, other)


def test_a_disk_that_becomes_full_under_an_encrypted_backup_is_told_as_such(key: BackupKey) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise disk_space.DiskFull("the disk is full")

    with pytest.raises(disk_space.DiskFull), encrypting(Full(), [key]) as clear:
        for _ in range(100):
            clear.write(bytes(PIECE * 8))


def test_a_frame_that_unpacks_to_more_than_a_piece_is_refused_without_unpacking_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "CHUNK", 64 << 20)  # what another program may write
    bomb, _ = written({"data/a": bytes(8 << 20)}, 8 << 20)
    monkeypatch.undo()
    with pytest.raises(DamagedBackup, match="too long"):
        read(bomb)


def test_a_damaged_encrypted_backup_is_refused(key: BackupKey, encrypted: Path, tmp_path: Path) -> None:
    whole, chance = encrypted.read_bytes(), random.Random(2)
    changed = tmp_path / "changed"
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        for data in (bytes(damaged), whole[: chance.randrange(len(whole))]):
            changed.write_bytes(data)
            with pytest.raises(RequestError):
                opened(changed, key)


def test_only_the_beginning_of_an_encrypted_backup_is_read(key: BackupKey, encrypted: Path) -> None:
    with opening.opened(encrypted, key) as reader:
        deque(next(reader.members())[1], maxlen=0)


def test_a_file_with_a_key_is_read_as_age_writes_it(key: BackupKey, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"# created: today\n# public key: {key.public}\n{key.private}\n")
    assert private_key(file).public == key.public
    file.write_text("nonsense")
    with pytest.raises(ConfigurationError, match="no key of age"):
        private_key(file)

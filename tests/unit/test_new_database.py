"""A new database is made by a process that ends; what is there already, or cannot be made, is left to the roles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from countingroom.app.child_process import ChildProcess, launch
from countingroom.app.new_database import make_new_database
from countingroom.storage.description import StorageSection
from countingroom.storage.engine import SqlStore
from countingroom.storage.migrating import HEAD, revision


async def refuse(command: Sequence[str], errors: int | None) -> ChildProcess:
    raise AssertionError(f"no process is needed: {command}")


async def test_a_new_database_is_made_once(tmp_path: Path) -> None:
    section = StorageSection()
    await make_new_database(launch, section, tmp_path)
    store = SqlStore(section.address(tmp_path))
    assert await store.read(revision) == HEAD
    await store.close()
    await make_new_database(refuse, section, tmp_path)


async def test_what_is_there_already_is_not_touched(tmp_path: Path) -> None:
    section = StorageSection()
    file = Path(section.address(tmp_path).removeprefix("sqlite:///"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    await make_new_database(refuse, section, tmp_path)
    assert file.stat().st_size == 0


async def test_another_database_than_a_file_is_left_alone(tmp_path: Path) -> None:
    await make_new_database(refuse, StorageSection(url="postgresql://experiment@nowhere/experiment"), tmp_path)


async def test_a_database_that_cannot_be_made_is_left_to_the_roles(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    section = StorageSection(url=f"sqlite:///{tmp_path}/there/below/a.sqlite")
    await make_new_database(launch, section, tmp_path)

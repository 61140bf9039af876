"""Temporary folders of killed processes are removed by the next one, and no others."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from countingroom.core.temporary_folder import LEAST_AGE_S, LOCK, TemporaryFolder

SOURCE = Path(__file__).parents[2] / "src" / "countingroom"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> None:
    then = folder.stat().st_mtime - LEAST_AGE_S - 1
    os.utime(folder, (then, then))


def test_the_folder_of_a_killed_process_is_removed_by_the_next_one(place: Path) -> None:
    code = (
        f"import tempfile; tempfile.tempdir = {str(place)!r}\n"
        "from countingroom.core.temporary_folder import TemporaryFolder\n"
        "print(TemporaryFolder('broker').path, flush=True); input()\n"
    )
    words = (sys.executable, "-c", code)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        folder = Path(child.stdout.readline().strip())
        (folder / "password").write_text("x")
        aged(folder)
        TemporaryFolder("fork").remove()
        assert folder.is_dir(), "its process lives"
        child.kill()
    aged(folder)
    TemporaryFolder("fork").remove()
    assert list(place.iterdir()) == []


def test_young_folders_and_those_of_others_are_left(place: Path) -> None:
    young, other, foreign = (place / name for name in ("countingroom-line-1", "countingroom-results", "data"))
    for folder in (young, other, foreign):
        folder.mkdir()
    (young / LOCK).touch()
    (foreign / LOCK).touch()
    (place / "countingroom-link").symlink_to(foreign)
    for folder in (other, foreign):
        aged(folder)
    one = TemporaryFolder("broker")
    assert one.path.stat().st_mode & 0o777 == 0o700
    one.remove()
    one.remove()
    assert {path.name for path in place.iterdir()} == {young.name, other.name, foreign.name, "countingroom-link"}


def test_a_former_folder_is_used_again_unless_another_process_has_it(place: Path) -> None:
    first = TemporaryFolder("broker")
    second = TemporaryFolder("broker", former=first.path)
    assert second.path != first.path
    first.remove()
    third = TemporaryFolder("broker", former=first.path)
    assert third.path == first.path
    assert TemporaryFolder("line", former=second.path).path.name.startswith("countingroom-line-")


def test_temporary_files_and_folders_are_made_in_one_place() -> None:
    """`mkstemp` beside a file, in its own folder (`dir`), is another thing."""
    makers = ("mkdtemp", "TemporaryDirectory", "NamedTemporaryFile")
    texts = {path: path.read_text() for path in SOURCE.rglob("*.py")}
    made = [
        path.name
        for path, text in texts.items()
        if any(f"{word}(" in text for word in makers)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in makers
        if all(one.arg != "dir" for one in node.keywords)
    ]
    assert made == ["temporary_folder.py"]

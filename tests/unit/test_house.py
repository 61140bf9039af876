"""Law: the house rules that a machine can check are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from countingroom.experiment import load

ROOT = Path(__file__).parents[2]
SOURCE = sorted((ROOT / "src" / "countingroom").rglob("*.py"))
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LOCKS = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "package-lock.json"]
MOST_LINES = 400
BANNED = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:console|sh|shell|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_a_room_is_small_and_named_for_what_it_holds(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
    assert not {part.lower() for part in (*path.parent.parts, path.stem)} & BANNED


@pytest.mark.parametrize("path", LOCKS, ids=name)
def test_a_lock_names_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("path", [ROOT / "requirements/run.txt", ROOT / "requirements/dev.txt"], ids=name)
def test_every_locked_package_has_its_hash(path: Path) -> None:
    packages = re.findall(r"^([A-Za-z0-9._-]+)==\S+ (?:;.*)?\\\n +--hash=sha256:", path.read_text(), re.MULTILINE)
    assert len(packages) == len(re.findall(r"^\S+==", path.read_text(), re.MULTILINE)) > 40


def test_the_development_lock_pins_what_runs() -> None:
    def pins(path: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / path).read_text(), re.MULTILINE))

    assert pins("requirements/run.txt") <= pins("requirements/dev.txt")


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if "\nexperiment:" in path.read_text()],
    ids=name,
)
def test_an_example_is_right(path: Path) -> None:
    experiment = load(path)
    assert experiment.title
    assert len(experiment.devices)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_code_of_a_page_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": path.stem}
    for block in BLOCK.findall(path.read_text()):
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=name)
def test_the_commands_of_a_page_exist(path: Path) -> None:
    for words in _commands(path.read_text()):
        assert _exists(words), f"{path.name} shows `{' '.join(words)}`"


def test_the_two_commands_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme


def _commands(text: str) -> list[list[str]]:
    lines = [line.strip().removeprefix("$ ") for block in SHELL.findall(text) for line in block.splitlines()]
    return [line.split("#")[0].split() for line in lines if line.startswith(("countingroom ", "make "))]


def _exists(words: list[str]) -> bool:
    """Whether a shown command is one of ours, with options that it has."""
    if words[0] == "make":
        return re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
    from tests.unit.command_tree import command_of

    command, rest = command_of(words[1:])
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return all(word.split("=")[0] in known | {"--help", "--"} for word in rest if word.startswith("--"))

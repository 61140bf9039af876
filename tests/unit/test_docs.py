"""The documentation names files and modules that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "countingroom"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FILE_OR_FOLDER = re.compile(r"[\w./*-]+(\.(py|md|yaml|txt|csv)|/)")
OF_THE_REPOSITORY = ("bench/", "docs/", "tests/", "examples/", "requirements/", "src/")
PACKAGES = tuple(f"{path.name}/" for path in sorted(SOURCE.iterdir()) if path.is_dir())


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def named_paths(text: str) -> set[str]:
    """Paths of files and folders of this repository, written as code in a page."""
    words = {word for code in CODE.findall(FENCE.sub("", text)) for word in code.split()}
    known = (*OF_THE_REPOSITORY, *PACKAGES)
    return {word for word in words if word.startswith(known) and FILE_OR_FOLDER.fullmatch(word)}


def exists(path: str) -> bool:
    base = ROOT if path.startswith(OF_THE_REPOSITORY) else SOURCE
    return bool(list(base.glob(path.rstrip("/")))) or (ROOT / path).exists()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    missing = [path for path in sorted(named_paths(page.read_text())) if not exists(path)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_module_that_a_page_names_exists(page: Path) -> None:
    for dotted in sorted(set(re.findall(r"`(countingroom(?:\.[a-z_0-9]+)+)", page.read_text()))):
        assert _is_module(dotted), f"{page.name} names {dotted}"


def test_the_page_where_things_are_names_a_file_in_every_row() -> None:
    text = (ROOT / "docs" / "explanation" / "where-things-are.md").read_text()
    rows = re.findall(r"^\| (?!what it does)[^|]+ \| `([a-z0-9_/]+\.py)` \|$", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| (?!what it does)", text, re.MULTILINE)) > 25
    assert not [path for path in rows if not (SOURCE / path).is_file()]


@pytest.mark.parametrize("missing", ["runs/planner/absent.py", "tests/unit/absent.py", "console/absent/"])
def test_a_missing_file_is_found(missing: str) -> None:
    assert named_paths(f"see `{missing}`") == {missing}
    assert not exists(missing)


def _is_module(dotted: str) -> bool:
    """Whether it is a module, or a name of one."""
    for end in (dotted, dotted.rpartition(".")[0]):
        try:
            if importlib.util.find_spec(end) is not None:
                return True
        except ModuleNotFoundError:
            continue
    return False

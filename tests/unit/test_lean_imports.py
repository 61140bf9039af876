"""Libraries are imported without what they load and this program never uses."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from countingroom.core.lean_imports import without, without_init


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages `whole`, whose `__init__` imports the module `heavy`, and `optional`, which does without `heavy`."""
    (tmp_path / "heavy.py").write_text("")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").write_text("import heavy\nall_there = True\n")
    (tmp_path / "whole" / "part.py").write_text("def use(): return 7\n_private = 1\n")
    (tmp_path / "optional.py").write_text("try:\n import heavy\nexcept ImportError:\n heavy = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("heavy", "whole", "whole.part", "optional"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("library")
def test_a_module_is_imported_without_the_init_of_its_package() -> None:
    with without_init("whole", names_of="part"):
        whole = importlib.import_module("whole")
        assert whole.use() == 7
        assert not hasattr(whole, "_private")
        assert importlib.import_module("whole.part").use() == 7
    assert "heavy" not in sys.modules


@pytest.mark.usefixtures("library")
def test_after_the_block_the_whole_package_is_imported() -> None:
    with without_init("whole", names_of="part"):
        pass
    assert importlib.import_module("whole").all_there
    assert "heavy" in sys.modules


@pytest.mark.usefixtures("library")
def test_a_package_that_is_imported_already_stays_as_it_is() -> None:
    whole = importlib.import_module("whole")
    with without_init("whole", names_of="part"):
        assert sys.modules["whole"] is whole
    assert sys.modules["whole"] is whole


def test_a_package_that_is_not_installed_is_left_to_the_import() -> None:
    with without_init("not_installed_here", names_of="part"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_installed_here")


@pytest.mark.usefixtures("library")
def test_a_library_does_without_a_module() -> None:
    with without("heavy"):
        assert importlib.import_module("optional").heavy is None
    assert importlib.import_module("heavy")


@pytest.mark.usefixtures("library")
def test_a_module_that_is_imported_already_stays_so() -> None:
    heavy = importlib.import_module("heavy")
    with without("heavy"):
        assert importlib.import_module("optional").heavy is heavy
    assert sys.modules["heavy"] is heavy

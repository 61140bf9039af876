"""The two processes that install the lock file have each package once, with its own hashes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_package_is_in_one_half_with_its_hashes() -> None:
    spec = importlib.util.spec_from_file_location("install_locked", ROOT / "tools" / "install_locked.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    first, second = tool.halves(lock)
    entries = lock[lock.index("\n", lock.rindex("#    make lock")) + 1 :].splitlines()
    assert sorted((first + second).splitlines()) == sorted(entries)
    for half in (first, second):
        named = [line for line in half.splitlines() if not line.startswith(" ")]
        assert len(named) > 50 and all("==" in line for line in named)
        assert all("--hash=sha256:" in entry for entry in half.split("\n    # via")[:-1])

"""The browser libraries are pinned and come from no named place; where npm is missing a person is told so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("place", [ROOT, ROOT / "tests" / "node-red"], ids=["console", "node-red"])
def test_every_library_is_pinned_by_hash_and_no_registry_is_named(place: Path) -> None:
    lock = json.loads((place / "package-lock.json").read_text())
    wanted = json.loads((place / "package.json").read_text())
    pinned = wanted.get("dependencies", {}) | wanted["devDependencies"]
    for name, version in pinned.items():
        found = lock["packages"][f"node_modules/{name}"]
        assert found["version"] == version
        assert found["integrity"].startswith("sha512-")
        assert "resolved" not in found
    assert "://" not in "".join(json.dumps(one.get("resolved", "")) for one in lock["packages"].values())


def test_without_npm_the_message_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    for name in ("hatch_build.py", "package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    environment = {**os.environ, "PATH": str(tmp_path)}
    without_packages = [sys.executable, "-S", "-E", "hatch_build.py"]
    ran = subprocess.run(without_packages, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "npm was not found" in ran.stderr
    assert "apt-get install npm" in ran.stderr
    assert not (tmp_path / "node_modules").exists()


def test_with_the_libraries_there_nothing_is_fetched(tmp_path: Path) -> None:
    for name in ("hatch_build.py", "package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    vendor = tmp_path / "src/countingroom/console/static/vendor"
    vendor.mkdir(parents=True)
    for name in ("uplot.js", "uplot.css", "uplot.LICENSE.txt", "inter.woff2", "inter.LICENSE.txt"):
        (vendor / name).touch()
    environment = {**os.environ, "PATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "hatch_build.py"], cwd=tmp_path, env=environment, check=False)
    assert ran.returncode == 0

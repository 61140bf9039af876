"""The backups of an experiment in a folder: their names, which are there, and which are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from countingroom.backup.description import KeepSection

ENDING = ".backup"
AGE = ".age"
_NAME = re.compile(
    r"(?P<experiment>[A-Za-z0-9_\-]+)-(?P<time>\d{8}T\d{6}Z)(?:-(?P<of>[0-9a-f]{8}))?\.backup(?P<age>\.age)?"
)
_TIME = "%Y%m%dT%H%M%SZ"


class FoundBackup(Struct, frozen=True, kw_only=True):
    """A backup in a folder."""

    path: Path
    experiment: str
    of: str
    """The identity of the data folder; empty: it is not known."""
    made: datetime
    """UTC, of its name."""
    bytes: int
    encrypted: bool

    @property
    def made_ns(self) -> int:
        """The same, ns since the epoch."""
        return int(self.made.timestamp()) * 1_000_000_000


def name(experiment: str, of: str, at_ns: int, *, encrypted: bool) -> str:
    """The name of a new backup. `of`: the identity of the data folder."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return f"{experiment}-{at:{_TIME}}-{of}{ENDING}{AGE if encrypted else ''}"


def backups(folder: Path, experiment: str = "", of: str = "") -> list[FoundBackup]:
    """The backups in a folder, the newest first; of one experiment and data folder, or of all. OSError."""
    found: list[FoundBackup] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and experiment in ("", match["experiment"]) and of in ("", match["of"]) and path.is_file():
            found.append(
                FoundBackup(
                    path=path,
                    experiment=match["experiment"],
                    of=match["of"] or "",
                    made=datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC),
                    bytes=path.stat().st_size,
                    encrypted=bool(match["age"]),
                )
            )
    return sorted(found, key=lambda one: (one.made, one.path.name), reverse=True)


def kept(found: Iterable[FoundBackup], keep: KeepSection) -> set[Path]:
    """Which of them are kept: the newest, and the newest of each of the last days and weeks that have one."""
    newest_first = sorted(found, key=lambda one: (one.made, one.path.name), reverse=True)
    chosen = {one.path for one in newest_first[: keep.last]}
    periods: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (keep.daily, lambda made: (made.year, made.month, made.day)),
        (keep.weekly, lambda made: tuple(made.isocalendar())[:2]),
    )
    for most, period in periods:
        seen: set[tuple[int, ...]] = set()
        for one in newest_first:
            key = period(one.made)
            if key not in seen and len(seen) < most:
                seen.add(key)
                chosen.add(one.path)
    return chosen

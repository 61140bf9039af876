"""The drawings of the description, read when a page asks for them and again when their files have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.synoptics.bindings import Binding
from countingroom.core.synoptics.drawing import read_drawing
from countingroom.core.synoptics.elements import MOST_BYTES, Drawing
from countingroom.core.yaml.located import Mistaken


class SynopticFile(Struct, frozen=True, kw_only=True):
    """A drawing of the description."""

    name: str
    title: str
    path: Path
    bindings: Mapping[str, Binding] = {}
    """Id of an element -> what it shows, by the description."""
    devices: frozenset[str] = frozenset()
    """Names of the devices of the description: an id with one of them means a point also while the device is away."""
    overview: bool = False
    adapt: bool = True
    """Its colours change on dark pages."""


class SynopticUnreadable(ConfigurationError):
    """The file of a drawing cannot be read."""

    code = "synoptic_unreadable"
    suggestion = "mend the file and load the page again; `countingroom synoptic check` shows its mistakes"


class SynopticFiles:
    """Drawings by name. A file is read in a thread, once for each of its versions, also when many ask at once."""

    def __init__(self, files: Sequence[SynopticFile]) -> None:
        self.files = {one.name: one for one in files}
        self._read: dict[str, tuple[tuple[int, int], Drawing | Mistaken]] = {}
        # One each: a file on a disk that hangs does not hold up the others.
        self._turns = {one.name: asyncio.Lock() for one in files}

    @property
    def titles(self) -> dict[str, str]:
        """Name -> title, in the order of the description."""
        return {one.name: one.title or one.name for one in self.files.values()}

    @property
    def on_overview(self) -> str:
        """Name of the one that the overview shows; empty: none."""
        return next((one.name for one in self.files.values() if one.overview), "")

    async def drawing(self, name: str) -> Drawing:
        """The drawing as its file is now. Raises Mistaken for one that is wrong, SynopticUnreadable for one that cannot
        be read, KeyError for an unknown name."""
        file = self.files[name]
        async with self._turns[name]:
            found = await asyncio.to_thread(self._drawing, file)
        if isinstance(found, Mistaken):
            raise Mistaken(found.problems)
        return found

    def _drawing(self, file: SynopticFile) -> Drawing | Mistaken:
        try:
            told = file.path.stat()
            version = told.st_mtime_ns, told.st_size
            known = self._read.get(file.name)
            if known and known[0] == version:
                return known[1]
            with file.path.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        except OSError as error:
            message = f"{file.path.name} cannot be read: {error.strerror}"
            raise SynopticUnreadable(message, source=f"synoptics.{file.name}") from error
        try:
            read: Drawing | Mistaken = read_drawing(data, file.path.name)
        except Mistaken as error:
            read = error
        self._read[file.name] = version, read
        return read

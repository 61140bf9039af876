"""Serves the scripts and styles of the pages, at addresses that name their version.

A page needs sixty of these files, because nothing is bundled. Under the address that names the present version a
browser keeps each one without asking again, so opening the next page is one request instead of sixty. Another version
has another address: it is used at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
from os import PathLike, stat_result
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOR_EVER = "public, max-age=31536000, immutable"
_MARK = "v-"
_Files = dict[str, tuple[str, int, int]]
"""Path below the folder -> path, time of the last change in ns, size in bytes."""
_Digests = dict[str, bytes]
"""Path below the folder -> digest of its content. Some ways to install give each file the same time."""


class VersionedFiles(StaticFiles):
    """The files of a folder, below `/static`. Without a version in the address a browser asks each time whether they
    have changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._folder = folder
        self._found: _Files = {}
        self._version = ""
        self._digests: _Digests = {}
        self._contents: dict[str, bytes] = {}

    def address(self) -> str:
        """What the addresses in a page begin with now. It takes a fraction of a millisecond."""
        self._look()
        return f"/static/{_MARK}{self._version}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path below the folder, with a version before it or not."""
        version, _, name = path.partition("/")
        if not version.startswith(_MARK) or scope["method"] not in ("GET", "HEAD"):
            return await super().get_response(path, scope)
        if version != _MARK + self._version:
            self._look()  # another console of the same installation may have written the page
        if version != _MARK + self._version or name not in self._found:
            # A page that was opened before an update loads a further script: of the new version, rather than none.
            return await super().get_response(name, scope)
        if name not in self._contents:
            content = await asyncio.to_thread(Path(self._found[name][0]).read_bytes)
            if hashlib.sha256(content).digest() != self._digests.get(name):  # changed a moment ago
                return await super().get_response(name, scope)
            self._contents[name] = content
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self._contents[name], media_type=kind, headers={"Cache-Control": _FOR_EVER})

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file that a browser may keep, but asks for again: an old one costs an answer without a body."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _look(self) -> None:
        found = _files(self._folder)
        if found != self._found or not self._version:
            self._digests = {
                name: self._digests[name]
                if name in self._digests and file == self._found.get(name)
                else hashlib.sha256(Path(file[0]).read_bytes()).digest()
                for name, file in found.items()
            }
            self._version = hashlib.sha256(repr(sorted(self._digests.items())).encode()).hexdigest()[:12]
            self._found = found
            self._contents = {}


def _files(folder: Path) -> _Files:
    """Every file below the folder, by its path there, with its time and size."""
    found: _Files = {}
    folders = [(os.fspath(folder), "")]
    while folders:
        place, above = folders.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append((entry.path, f"{above}{entry.name}/"))
                elif entry.is_file():
                    status = entry.stat()
                    found[above + entry.name] = (entry.path, status.st_mtime_ns, status.st_size)
    return found

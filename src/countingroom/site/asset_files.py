"""The style sheet, scripts and icon of the site, below /static, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from countingroom.core.errors import NotFound
from countingroom.site.answers import SVG, PreparedAnswer, SiteAnswer

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": SVG}
_YEAR_S = 31_536_000


class AssetFiles:
    """Read once, as the site starts."""

    def __init__(self) -> None:
        self.contents: Mapping[str, bytes] = {
            path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _KINDS
        }
        digest = hashlib.sha256(b"\0".join(self.contents.values())).hexdigest()[:10]
        self.base = f"/static/{digest}"
        """What their addresses in a page begin with."""
        self.addresses = [f"{self.base}/{name}" for name in self.contents]
        self._answers = {f"{digest}/{name}": _prepared(name, body, _YEAR_S) for name, body in self.contents.items()}
        self._unversioned = {name: _prepared(name, body, 60) for name, body in self.contents.items()}

    def answer(self, path: str) -> PreparedAnswer:
        """A file by its path below /static; NotFound. A page of an earlier version gets the present file."""
        found = self._answers.get(path) or self._unversioned.get(path.rpartition("/")[2])
        if found is None:
            raise NotFound("there is no such file", source="site", suggestion="go to /")
        return found


def _prepared(name: str, body: bytes, max_age_s: int) -> PreparedAnswer:
    kind = _KINDS[Path(name).suffix]
    return PreparedAnswer(SiteAnswer(body=body, media_type=kind, max_age_s=max_age_s))

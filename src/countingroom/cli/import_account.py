"""The account of an import: what became of each line of a file of another system. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.yaml.located import Located, Path, show

TAKEN, CHANGED, NOT_NEEDED = "taken", "changed", "not needed"
Reasons = dict[Path, tuple[str, str]]
"""Path in a file -> verdict and reason, for each path that is not imported unchanged."""


class AccountRow(Struct, frozen=True, kw_only=True):
    """A line of a file, or a file as a whole, and what became of it."""

    place: str
    what: str
    verdict: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: {self.verdict}{f': {self.reason}' if self.reason else ''}"


def account(name: str, text: str, located: Located, reasons: Reasons, *, each: bool = False) -> list[AccountRow]:
    """A row for each line with a key; comments and empty lines have none. `each`: of the keys of one line, a row
    for each that is not simply taken."""
    on_line: dict[int, list[Path]] = {}
    for path, place in located.keys.items():
        on_line.setdefault(place.line, []).append(path)
    rows: list[AccountRow] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#") or content in ("---", "..."):
            continue
        paths = on_line.get(number, [])
        found = [verdict for path in paths for verdict in [_verdict(path, reasons)] if verdict]
        told = [path for path in paths if (verdict := _verdict(path, reasons)) and verdict != (TAKEN, "")]
        if each and told:
            # What goes with a key of the same line needs no row of its own.
            told = [
                path
                for path in told
                if path in reasons or not any(path[: len(one)] == one for one in told if one != path)
            ]
            rows += [_row(f"{name}:{number}", path, _verdict(path, reasons)) for path in told]
            continue
        worst = next((one for one in found if one[0] != TAKEN), found[0] if found else (TAKEN, ""))
        what = show(min(paths, key=len)) if paths else "goes on from the line before"
        rows.append(AccountRow(place=f"{name}:{number}", what=what, verdict=worst[0], reason=worst[1]))
    return rows


def _row(place: str, path: Path, verdict: tuple[str, str] | None) -> AccountRow:
    word, reason = verdict or (TAKEN, "")
    return AccountRow(place=place, what=show(path), verdict=word, reason=reason)


def _verdict(path: Path, reasons: Reasons) -> tuple[str, str] | None:
    if path in reasons:
        return reasons[path]
    for end in range(len(path) - 1, 0, -1):
        if (above := reasons.get(path[:end])) and above[0] == NOT_NEEDED:
            return NOT_NEEDED, f"with {show(path[:end])}"
    return None

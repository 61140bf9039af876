"""The log of a client as a page shows it: parts, search, aliases in blue, withheld lines counted. Pure.

Every text is escaped: a log is written by programs that the site does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape
from msgspec import Struct

MOST_LINES = 2000
"""Shown at once, the last of a part."""
_WITHHELD = re.compile(r"\[(\d+) lines? withheld\]")
_ERROR = re.compile(r"%MSG-[ewf]|\b(?:error|fatal|exception|segmentation violation|abort)", re.IGNORECASE)
_ALIAS = re.compile(r"\b(?:host|node|user|file|name|client|service|device)-[a-z2-7]{6,16}\b|\[(?:[a-z]+)\]")
_HIT, _ALIAS_TEXT = Markup("<mark>{}</mark>"), Markup('<span class="al">{}</span>')
PARTS = ("end", "start")
_NAMES = {"start": ("log_start",), "end": ("log_end",)}


class ShownLine(Struct, frozen=True):
    """A line as markup, with its classes."""

    text: Markup
    classes: str = ""


class LogView(Struct, frozen=True, kw_only=True):
    """What is shown of a log."""

    lines: tuple[ShownLine, ...]
    part: str
    kept: int
    withheld: int
    hits: int
    search: str
    left_out: int
    """Lines before those that are shown."""


def log_view(log: Mapping[str, Sequence[str]], search: str, part: str) -> LogView:
    """The lines of one part. With a search all lines stay, and those that hold it are marked."""
    given = _part(log, part)
    counted = [int(match[1]) if (match := _WITHHELD.fullmatch(line)) else 0 for line in given]
    is_kept = [not (number or line == "") for line, number in zip(given, counted, strict=True)]
    shown = [_line(line, number, search) for line, number in zip(given, counted, strict=True)]
    return LogView(
        lines=tuple(shown[-MOST_LINES:]),
        part=part,
        kept=sum(is_kept),
        withheld=sum(counted),
        hits=sum("hit" in one.classes for one in shown),
        search=search,
        left_out=max(0, len(shown) - MOST_LINES),
    )


def plain_lines(log: Mapping[str, Sequence[str]]) -> list[str]:
    """All lines, from the first part to the last."""
    return [*_part(log, "start"), *_part(log, "end")]


def _part(log: Mapping[str, Sequence[str]], part: str) -> list[str]:
    names = _NAMES[part]
    for name, lines in log.items():
        if name.rpartition(".")[2] in names:
            return [str(one) for one in lines]
    known = {one for names in _NAMES.values() for one in names}
    rest = [lines for name, lines in log.items() if name.rpartition(".")[2] not in known]
    return [str(line) for lines in rest for line in lines] if part == "end" else []


def _line(line: str, withheld: int, search: str) -> ShownLine:
    if withheld:
        kinds = "not among the approved kinds of line"
        text = f"{withheld} line{'s' if withheld > 1 else ''} withheld: {kinds}"
        return ShownLine(escape(text), "withheld")
    found = bool(search) and search.lower() in line.lower()
    classes = " ".join(name for name, is_so in (("e", _ERROR.search(line)), ("hit", found)) if is_so)
    return ShownLine(Markup().join(_marked(line, search if found else "")), classes)


def _marked(line: str, search: str) -> Iterable[Markup]:
    """The line with its aliases and what was searched, all else escaped."""
    expression = _ALIAS
    if search:
        expression = re.compile(f"(?P<hit>{re.escape(search)})|{_ALIAS.pattern}", re.IGNORECASE)
    place = 0
    for match in expression.finditer(line):
        yield escape(line[place : match.start()])
        is_hit = bool(search) and match["hit"] is not None
        yield (_HIT if is_hit else _ALIAS_TEXT).format(match[0])
        place = match.end()
    yield escape(line[place:])

"""A log line as tokens: words and signs as they stand, and slots for what differs from line to line.

A slot has a kind. Kinds of `PLAIN` hold numbers, times and versions; all others may name a person, a computer or a
place, and are `risky`. What no rule recognises, and every word that is not plain ASCII, is risky: two letters that
look alike would otherwise pass for a known word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

LONGEST_LINE = 4000
"""Characters; a longer line is withheld."""

PLAIN = frozenset({"int", "float", "time", "version"})
"""Kinds whose values can be published within a range."""

_UNITS = "ns|us|ms|s|min|h|d|Hz|kHz|MHz|GHz|B|kB|KB|MB|GB|TB|KiB|MiB|GiB|V|mV|kV|A|mA|uA|nA|W|C|K|mm|cm|m"
_END = rf"(?:(?=(?:{_UNITS})(?!\w))|(?![\w]|\.\w))"
"""After a number: its unit, or the end of the word."""
_WORD = r"[A-Za-z]+"
_NAME = r"[A-Za-z0-9_]"
# The repetitions are bounded: an unbounded one would look at the rest of the line again at each of its characters.
KINDS: tuple[tuple[str, str], ...] = (
    ("url", r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s'\"<>]+"),
    ("address", r"[\w.+-]{1,100}@[\w.-]+"),
    ("quoted", r"'[^'\n]{0,500}'|\"[^\"\n]{0,500}\"|`[^`\n]{0,500}`"),
    (
        "path",
        r"(?:[A-Za-z]:)?(?:\\[^\s\\:;,'\"()<>]{1,100}){2,}\\?"
        r"|~?(?:/[^\s/:;,'\"()<>\[\]{}|=]{1,100}){2,}/?"
        r"|(?:[\w.-]{1,60}/){2,}[\w.-]*",
    ),
    (
        "time",
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
        r"|\d{1,2}[-/ ][A-Z][a-z]{2}[-/ ]\d{4}(?: \d\d:\d\d:\d\d(?:\.\d+)?)?(?: [A-Z]{3,4}\b)?"
        r"|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?",
    ),
    ("mac", r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    (
        "ip",
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f:]*|(?<![\w:])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{0,30}::[0-9A-Fa-f:]{0,30}(?!\w)",
    ),
    ("uuid", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    (
        "version",
        r"\b[A-Z][A-Z]+(?:_\d+){2,8}(?:_[a-z]+\d*)*\b|\bv?\d+(?:\.\d+){2,4}(?:[-+.]?(?:rc|a|b|dev|post)\d+)?\b",
    ),
    ("hex", r"\b0[xX][0-9A-Fa-f]+\b|\b(?=[A-Fa-f]{0,64}\d)(?=\d{0,64}[A-Fa-f])[0-9A-Fa-f]{8,128}\b"),
    ("float", rf"(?<![\w.])[+-]?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?{_END}|(?<![\w.])[+-]?\d+[eE][+-]?\d+{_END}"),
    ("int", rf"(?<![\w.])[+-]?\d+{_END}"),
    ("host", rf"{_NAME}[A-Za-z0-9_-]{{0,62}}(?:\.{_NAME}[A-Za-z0-9_-]{{0,62}}){{0,8}}\.[A-Za-z]{{2,20}}\b"),
    ("name", r"(?=[0-9_.-]{0,128}[A-Za-z])(?=[A-Za-z_.-]{0,128}\d)[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,128}[A-Za-z0-9_])?"),
    ("name", rf"{_WORD}(?:[-_.]{{1,8}}{_WORD}){{1,60}}"),
    ("name", r"\d[\w.-]{0,128}"),
    ("word", _WORD),
    ("space", r"[ \t]+"),
    ("sign", r"[!-/:-@\[-`{-~]"),
    ("other", r"[^\x20-\x7e\t]+|."),
)
# Most tokens are spaces, and words with a space or the end after them. No rule above matches anything else there, so
# they can be tried first.
FIRST: tuple[tuple[str, str], ...] = (("space", r"[ \t]+"), ("word", rf"{_WORD}+(?![^ \t])"))


def pattern(kinds: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """Matches one token; its group has a name that begins with the kind."""
    return re.compile("|".join(f"(?P<{kind}_{number}>{rule})" for number, (kind, rule) in enumerate(kinds)), re.DOTALL)


_TOKEN = pattern(FIRST + KINDS)
_KIND_OF = {name: name.partition("_")[0] for name in _TOKEN.groupindex}
_LONGEST_WORD = 30
"""Letters; what is longer is no word of a language, but a key or a text in base64."""
_LITERAL = frozenset({"word", "sign", "space"})


class Token(Struct, frozen=True, gc=False):
    """A piece of a line."""

    kind: str
    """A kind of slot; empty for a word or a sign that stands in the template."""
    text: str


def tokens(line: str) -> Iterator[Token]:
    """The pieces of a line, in order; joined they are the line."""
    for match in _TOKEN.finditer(line):
        kind, text = _KIND_OF[match.lastgroup or ""], match[0]
        if kind == "word" and len(text) > _LONGEST_WORD:
            kind = "other"
        yield Token("" if kind in _LITERAL else kind, text)


def is_risky(kind: str) -> bool:
    """Whether a slot of this kind may name a person, a computer or a place."""
    return kind not in PLAIN

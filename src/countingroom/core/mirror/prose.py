"""Texts that people write for the outside: what may name a person, a computer or a place is masked. Pure.

A line of a log leaves by its template; a text of a person has none. It is read with the same tokens, and of these the
kinds leave that are plain: words, numbers, times and versions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from countingroom.core.mirror.tokens import PLAIN, tokens

_SIGNS = frozenset("–—‘’“”…°µ±·×→≤≥€§\N{NO-BREAK SPACE}")
_ORDINAL = re.compile(r"\d{1,4}(?:st|nd|rd|th)")
_COMPOUND = re.compile(r"[A-Za-z]{1,30}(?:[-/][A-Za-z]{1,30}){1,3}")
_ABBREVIATION = re.compile(r"(?:[A-Za-z]\.){1,3}[A-Za-z]")
_STOPS = ".,;:!?)"
_MOST_NESTED = 2


def masked(text: str, known: Collection[str] = ()) -> tuple[str, int]:
    """The text as it may leave, and how many pieces of it were masked. `known`: names that leave anyway."""
    names = frozenset(known)
    lines: list[str] = []
    masks = 0
    for line in unicodedata.normalize("NFC", text).splitlines():
        pieces = list(_pieces(line, names, 0))
        masks += sum(is_masked for _, is_masked in pieces)
        lines.append("".join(piece for piece, _ in pieces).strip())
    return "\n".join(lines).strip(), masks


def _pieces(line: str, known: frozenset[str], depth: int) -> Iterator[tuple[str, bool]]:
    for token in tokens(line):
        text = token.text
        if not token.kind and text.isspace():
            yield " ", False
        elif not token.kind or token.kind in PLAIN or text in known:
            yield text, False
        elif token.kind == "quoted" and depth < _MOST_NESTED:
            yield text[0], False
            yield from _pieces(text[1:-1], known, depth + 1)
            yield text[-1], False
        elif token.kind == "other":
            yield from _other(text)
        elif _is_ordinary(token.kind, text):
            yield text, False
        else:
            yield f"[{token.kind}]", True
            yield text[len(text.rstrip(_STOPS)) :], False  # a URL takes the end of the sentence too


def _is_ordinary(kind: str, text: str) -> bool:
    """Words of a language that hold a sign: `read-out`, `e.g`, `3rd`."""
    if kind == "name":
        return any(one.fullmatch(text) for one in (_COMPOUND, _ORDINAL, _ABBREVIATION))
    return False


def _other(text: str) -> Iterator[tuple[str, bool]]:
    """What is not ASCII leaves letter by letter: letters of Latin alphabets and signs of ordinary texts. Letters of
    others look alike, and a word with them would pass by a name that is looked for."""
    if text.isascii():  # too long to be a word
        yield "[other]", True
        return
    for letter in text:
        is_latin = letter.isalpha() and unicodedata.name(letter, "").startswith("LATIN ")
        is_plain = letter in _SIGNS or (is_latin and unicodedata.normalize("NFKC", letter) == letter)
        yield (letter, False) if is_plain else ("?", True)

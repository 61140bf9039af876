"""The order of letters on paper, for a line that holds words which are written from right to left. Pure.

A font puts letters from left to right. Of the Unicode bidirectional algorithm these are the rules for one line whose
base direction is from left to right, without marks that set a direction: names in a report have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import bidirectional

_RIGHT = ("R", "AL")
_NUMBER = ("EN", "AN")
_IN_NUMBER = ("ES", "CS")
_MIRRORED = {one: other for pair in ("()", "[]", "{}", "<>", "«»", "‹›") for one, other in (pair, pair[::-1])}
"""Signs that look the other way among letters that are written from right to left."""
_CLOSES = {")": "(", "]": "[", "}": "{", ">": "<"}


def in_order(text: str) -> str:
    """Its letters from left to right as they stand on paper."""
    if text.isascii():
        return text
    kinds = [bidirectional(one) for one in text]
    found: list[str] = []
    place = 0
    while place < len(text):
        if kinds[place] in _RIGHT:
            end = _end(text, kinds, place)
            found.append(_turned(text[place:end], kinds[place:end]))
            place = end
        else:
            found.append(text[place])
            place += 1
    return "".join(found)


def _end(text: str, kinds: Sequence[str], begin: int) -> int:
    """Where the words from right to left end: what is between them, and numbers after them, belong to them."""
    end = begin
    for place in range(begin, len(text)):
        if kinds[place] == "L":
            break
        if kinds[place] in (*_RIGHT, *_NUMBER):
            end = place + 1
    while end < len(text) and (opens := _CLOSES.get(text[end])) and _is_open(text[begin:end], opens, text[end]):
        end += 1
    return end


def _is_open(text: str, opens: str, closes: str) -> bool:
    return text.count(opens) > text.count(closes)


def _turned(text: str, kinds: Sequence[str]) -> str:
    parts: list[str] = []
    place = 0
    while place < len(text):
        end = place + 1
        if kinds[place] in _NUMBER:
            while end < len(text) and (kinds[end] in _NUMBER or _is_inside(kinds, end)):
                end += 1
            parts.append(text[place:end])
        else:
            parts.append(_MIRRORED.get(text[place], text[place]))
        place = end
    return "".join(reversed(parts))


def _is_inside(kinds: Sequence[str], place: int) -> bool:
    """Whether it is a sign within a number: 12.5."""
    return kinds[place] in _IN_NUMBER and place + 1 < len(kinds) and kinds[place + 1] in _NUMBER

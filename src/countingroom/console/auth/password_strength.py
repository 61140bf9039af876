"""Estimates how many guesses a password needs, from known passwords, keyboard rows, sequences, years and repetitions.

It splits the password into the pieces that are cheapest to guess, as zxcvbn does
(`docs/decisions/0021-known-passwords.md`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

ENOUGH = 10.0
"""log10 of the guesses that a password must need: what zxcvbn calls very unguessable."""
_LIST = Path(__file__).with_name("known_passwords.txt")
_LONGEST = 24
"""Letters of a piece; the longest known password is shorter."""
_LOOKED_AT = 64
"""What follows is not looked at: the time grows with the length."""
_LETTER = 1.0
"""log10 of the guesses for a letter in no piece: fewer than the letters there are, because texts are no noise."""
_RUN = 1.5
_YEAR = 2.0
_CHANGED = 0.3
"""For a known word that is written backwards or with digits for letters."""
_PLAIN_LETTERS = str.maketrans("01345789@$!", "oieastbgasi")
_ROWS = (
    "1234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "yxcvbnm",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb",
)


def known_passwords() -> dict[str, int]:
    """The shipped list: password in lower case -> its rank, from 1."""
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    return {line: rank for rank, line in enumerate((line for line in lines if not line.startswith("#")), 1)}


def guesses_log10(password: str, known: Mapping[str, int]) -> float:
    """log10 of the number of guesses until this password, by an attacker with the list of known passwords and their
    usual variations."""
    text = password.casefold()[:_LOOKED_AT]
    for size in range(1, len(text) // 2 + 1):
        copies, rest = divmod(len(text), size)
        if not rest and text == text[:size] * copies:
            return _guesses(text[:size], known) + math.log10(copies)
    return _guesses(text, known)


def _guesses(text: str, known: Mapping[str, int]) -> float:
    best = [0.0]
    """Cost of the first n letters."""
    for end in range(1, len(text) + 1):
        pieces = (best[start] + _cost(text[start:end], known) for start in range(max(0, end - _LONGEST), end - 2))
        best.append(min(best[-1] + _LETTER, min(pieces, default=math.inf)))
    return best[-1]


def _cost(piece: str, known: Mapping[str, int]) -> float:
    plain = piece.translate(_PLAIN_LETTERS)
    costs = [math.log10(known[piece])] if piece in known else []
    costs += [math.log10(known[one]) + _CHANGED for one in (plain, piece[::-1], plain[::-1]) if one in known]
    if _is_run(piece) or any(piece in row or piece[::-1] in row for row in _ROWS):
        costs.append(_RUN)
    if len(piece) == 4 and piece.isdecimal() and piece[:2] in ("19", "20"):
        costs.append(_YEAR)
    return min(costs, default=math.inf)


def _is_run(piece: str) -> bool:
    """Whether it is like `aaa`, `abc` or `987`."""
    steps = {ord(after) - ord(before) for before, after in pairwise(piece)}
    return len(steps) == 1 and steps <= {-1, 0, 1}

"""The number of guesses of a password: repetitions, sequences and changed known words are cheap to guess."""

from __future__ import annotations

import math

import pytest

from countingroom.console.auth.password_strength import guesses_log10

KNOWN = {"dragonfly": 100}


@pytest.mark.parametrize(
    ("password", "log10"),
    [
        ("xkqzwp", 6.0),  # a letter counts one
        ("xkqzwpxkqzwp", 6.0 + math.log10(2)),  # two copies
        ("xkqxkqxkqxkq", 3.0 + math.log10(4)),
        ("zyxwvuts", 1.5),  # falling
        ("abcdefgh", 1.5),
        ("dragonfly", 2.0),
        ("ylfnogard", 2.3),  # backwards
        ("dr4g0nf1y", 9.0),  # `1` is for `i`, so it is no known word
        ("dr4g0nfly", 2.3),  # digits for letters
        ("ylfn0g4rd", 2.3),  # both
        ("xkdragonfly", 4.0),
    ],
)
def test_a_password_needs_this_many_guesses(password: str, log10: float) -> None:
    assert guesses_log10(password, KNOWN) == pytest.approx(log10)

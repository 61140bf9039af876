"""What leaves of the texts that people write for the outside, and what is masked in them."""

from __future__ import annotations

import pytest

from countingroom.core.mirror.prose import masked


@pytest.mark.parametrize(
    "text",
    [
        "the read-out is back, 3rd try",
        "Kühlung läuft – Strahl um 14:00",
        "25 µs ± 2 µs at 20°C, ≤ 5 €",
        "l’équipe a fini…",
        "first line\nsecond line",
    ],
)
def test_ordinary_texts_leave_as_they_are(text: str) -> None:
    assert masked(text) == (text, 0)


@pytest.mark.parametrize(
    ("text", "leaves", "masks"),
    [
        ("аnna is here", "?nna is here", 1),  # a Cyrillic letter that looks like a Latin one
        ("the ﬁle", "the ?le", 1),  # a ligature, which is not one letter
        ("☃ and ü", "? and ü", 1),
        ("x" * 400, "[other]", 1),
        ("see https://inside.lab.org/x.", "see [url].", 1),
    ],
)
def test_what_may_hide_a_name_is_masked(text: str, leaves: str, masks: int) -> None:
    assert masked(text) == (leaves, masks)


def test_names_that_leave_anyway_are_not_masked() -> None:
    assert masked("node fu-c2f11 is up") == ("node [name] is up", 1)
    assert masked("node fu-c2f11 is up", ["fu-c2f11"]) == ("node fu-c2f11 is up", 0)

"""The shape of a text: the text with each digit replaced by the same one. Pure.

Nothing that reads a line tells one digit from another: which tokens it has, which patterns it matches, where something
could be decoded. So what was found for one line holds for all lines of its shape, and is kept. Exceptions have no
shape: the two characters `0x`, and texts that are not plain ASCII.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")
MOST_CHARACTERS = 1000
"""Of a text whose shape is kept."""
_MOST_KEPT = 30_000
_SAME_DIGIT = bytes(ord("1") if chr(one).isdigit() and one < 128 else one for one in range(256))


def shape_of(text: str) -> bytes | None:
    """The shape; None for a text that has none."""
    if len(text) > MOST_CHARACTERS or not text.isascii() or "0x" in text or "0X" in text:
        return None
    return text.encode("ascii").translate(_SAME_DIGIT)


class ShapeTable(Generic[T]):
    """What is known of shapes; of so many at most, as a log could have no two lines of one shape."""

    def __init__(self) -> None:
        self._kept: dict[bytes, T] = {}

    def get(self, shape: bytes) -> T | None:
        """What is known of it."""
        return self._kept.get(shape)

    def keep(self, shape: bytes, known: T) -> T:
        """Keep and return it."""
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[shape] = known
        return known

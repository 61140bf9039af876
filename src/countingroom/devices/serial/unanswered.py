"""Which questions a device answers. Models differ: a question without an answer is a point that is not there. Pure."""

from __future__ import annotations

_TRIES = 3
"""Polls without an answer before a question is asked seldom: on a line that loses answers, one is no proof."""
_SELDOM = 20
"""Polls between two tries of a question that was never answered: each costs the time of a timeout."""


class UnansweredQuestions:
    """The answers since the connection, by point."""

    def __init__(self) -> None:
        self._proven: set[str] = set()
        self._missed: dict[str, int] = {}
        self._polls = 0

    def begin(self) -> None:
        """A poll begins."""
        self._polls += 1

    def is_proven(self, point: str) -> bool:
        """Whether it was ever answered."""
        return point in self._proven

    def is_due(self, point: str) -> bool:
        """Whether it is asked in this poll."""
        return point in self._proven or self._missed.get(point, 0) < _TRIES or self._polls % _SELDOM == 0

    def answered(self, point: str) -> None:
        """An answer came."""
        self._proven.add(point)

    def missed(self, point: str) -> None:
        """No answer came, although the bath answers other questions."""
        self._missed[point] = self._missed.get(point, 0) + 1

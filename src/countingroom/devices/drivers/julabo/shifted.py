"""Recognises answers that may be those of the question before. Pure.

A doubled answer shifts all that follow by one, and a lost one after it takes the shift away again: the end of the poll
looks right. But a shifted answer is always that of another question. So a poll is asked once more where a point has
a new answer that another question of the poll has just been given, or was given in the poll before.
"""

from __future__ import annotations

from collections.abc import Mapping

Answers = Mapping[str, bytes | None]
"""Point -> answer, in the order of the questions."""


class ShiftedAnswers:
    """The answers of the last poll that was believed."""

    def __init__(self) -> None:
        self._believed: dict[str, bytes] = {}

    def suspects(self, answers: Answers) -> frozenset[str]:
        """The points that may have received the answer to another question."""
        found: set[str] = set()
        earlier: set[bytes] = set()
        before = b""
        for point, answer in answers.items():
            if answer is not None:
                if answer != self._believed.get(point) and answer in earlier | {before}:
                    found.add(point)
                earlier.add(answer)
            before = self._believed.get(point, b"")
        return frozenset(found)

    def believe(self, answers: Answers) -> None:
        """These answers are those of their questions."""
        self._believed |= {point: answer for point, answer in answers.items() if answer is not None}


def unconfirmed(suspects: frozenset[str], first: Answers, second: Answers) -> frozenset[str]:
    """Those of the suspects of the second poll that had another answer in the first."""
    return frozenset(point for point in suspects if first.get(point) != second.get(point))

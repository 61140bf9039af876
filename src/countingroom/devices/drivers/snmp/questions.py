"""Which OIDs one poll asks for together, and what it does where the agent cannot answer all of them. Pure.

An answer that is too big, or an error that names no OID, is asked for in halves; the agent is then asked for fewer at a
time. An OID that alone has no answer is asked seldom, and by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from countingroom.core.snmp.ber import Oid, dotted
from countingroom.core.snmp.pdu import NO_ERROR, NO_SUCH_NAME, TOO_BIG, Pdu, Varbind, error_name
from countingroom.devices.serial.unanswered import UnansweredQuestions

Chunk = tuple[Oid, ...]


class Questions:
    """The questions of one connection, poll by poll."""

    def __init__(self, oids: Sequence[Oid], most: int) -> None:
        self.answers: dict[Oid, Varbind] = {}
        """Of this poll."""
        self.reasons: dict[Oid, str] = {}
        """Why an OID has no answer, in this poll or the last that asked for it."""
        self.most = most
        """OIDs in one question."""
        self._oids = oids
        self._suspects: set[Oid] = set()
        self._seldom = UnansweredQuestions()
        self._waiting: deque[Chunk] = deque()
        self._is_split = False
        """A question without an answer was asked again in halves, in this poll."""
        self._silent = 0
        """OIDs of this poll that alone have no answer."""
        self._largest = 0
        """Question of this poll with an answer."""

    def begin(self) -> None:
        """A poll begins."""
        self._seldom.begin()
        self.answers.clear()
        self._is_split = False
        self._silent = 0
        self._largest = 0
        self._waiting.clear()
        self._waiting.extend(_chunks([one for one in self._oids if one not in self._suspects], self.most))
        self._waiting.extend((one,) for one in self._oids if one in self._suspects and self._seldom.is_due(dotted(one)))

    def following(self) -> Chunk:
        """The OIDs to ask for now; empty: the poll has ended."""
        return self._waiting.popleft() if self._waiting else ()

    def answered(self, chunk: Chunk, answer: Pdu) -> None:
        """The agent answered this question."""
        if answer.error == NO_ERROR:
            self._largest = max(self._largest, len(chunk))
            self._take(chunk, answer.varbinds)
        elif answer.error == TOO_BIG:
            self.most = max(1, min(self.most, len(chunk) // 2))
            self._split(chunk, "the answer is too big for the agent")
        elif 1 <= answer.index <= len(chunk):
            wrong = chunk[answer.index - 1]
            name = error_name(answer.error)
            self._refused(wrong, "no such name" if answer.error == NO_SUCH_NAME else f"the agent answers {name}")
            if rest := tuple(one for one in chunk if one != wrong):
                self._waiting.appendleft(rest)
        else:
            self._split(chunk, f"the agent answers {error_name(answer.error)}")

    def unanswered(self, chunk: Chunk) -> None:
        """The agent did not answer this question, although it answers others."""
        self._is_split = True
        self._silent += len(chunk) == 1
        self._split(chunk, "the agent does not answer it")

    def give_up(self, reason: str) -> None:
        """Ask no more in this poll."""
        for chunk in self._waiting:
            self.reasons.update(dict.fromkeys(chunk, reason))
        self._waiting.clear()

    def end(self) -> None:
        """The poll has ended."""
        if self._is_split and not self._silent and self._largest:
            self.most = min(self.most, self._largest)  # it was the number of them

    def _take(self, chunk: Chunk, varbinds: Iterable[Varbind]) -> None:
        found = {one.oid: one for one in varbinds}
        for one in chunk:
            if one in found:
                self.answers[one] = found[one]
                self._seldom.answered(dotted(one))
                self._suspects.discard(one)
            else:
                self.reasons[one] = "the agent answers another OID in its place"

    def _split(self, chunk: Chunk, reason: str) -> None:
        if len(chunk) == 1:
            self._refused(chunk[0], reason)
        else:
            self._waiting.extendleft(reversed(_chunks(chunk, (len(chunk) + 1) // 2)))

    def _refused(self, oid: Oid, reason: str) -> None:
        self.reasons[oid] = reason
        self._suspects.add(oid)
        self._seldom.missed(dotted(oid))


def _chunks(oids: Sequence[Oid], most: int) -> list[Chunk]:
    return [tuple(oids[begin : begin + most]) for begin in range(0, len(oids), most)]

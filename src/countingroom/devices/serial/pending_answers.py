"""Law: what a line still owes is known, so an answer is attributed by order and kind, never by luck. Pure.

The device answers in the order it was asked; any answer may be late or lost. An answer that a probe recognises ends
everything asked before the oldest such probe. An ordinary answer cannot be told from another, so an ordinary question
is put only while no other is owed; late answers to probes are then still recognised, and passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct

_MOST_OWED = 1024
_BEFORE_US = b""
"""What somebody may have asked before the port was ours."""


class Probe(Struct, frozen=True):
    """A harmless question whose answer cannot be taken for another's."""

    request: bytes
    recognises: Callable[[bytes], bool]


class PendingAnswers:
    """The questions whose answers may still come, oldest first."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        """`probes`: best two of different kinds, so that one is always of a kind that is not owed."""
        self.probes = tuple(probes)
        self._kinds = {probe.request for probe in probes}
        self._owed: deque[bytes] = deque(maxlen=_MOST_OWED)

    def opened(self) -> None:
        """The port was opened: pieces of an answer may have been cut off, and others may have asked before."""
        if self._owed or self.probes:
            self._owed.append(_BEFORE_US)

    def asked(self, request: bytes) -> None:
        """It was sent."""
        self._owed.append(request)

    def may_ask(self, request: bytes) -> bool:
        """Whether its answer could not be taken for another's now."""
        return self._kinds.issuperset(self._owed) and request not in self._owed

    def probe_for(self, request: bytes) -> Probe | None:
        """What to ask so that this may be asked: of a kind that is not owed, where there is one."""
        others = [probe for probe in self.probes if probe.request != request] or list(self.probes)
        return next((probe for probe in others if probe.request not in self._owed), others[0] if others else None)

    def stray(self, answer: bytes) -> bool:
        """Whether this is the answer to a probe that was owed; it and everything older is then owed no more."""
        return self._settle(answer, len(self._owed))

    def belongs(self, answer: bytes) -> bool:
        """Whether this is the answer to the last question, and not a late one to a probe before it. Nothing older can
        come after it."""
        if self._settle(answer, len(self._owed) - 1):
            return False
        self.answered()
        return True

    def answered(self) -> None:
        """Nothing is owed any more."""
        self._owed.clear()

    def _settle(self, answer: bytes, end: int) -> bool:
        """Whether a probe among the oldest `end` recognises it; what is owed then begins after the first that does."""
        for place, request in enumerate(islice(self._owed, end)):
            if any(probe.request == request and probe.recognises(answer) for probe in self.probes):
                for _ in range(place + 1):
                    self._owed.popleft()
                return True
        return False

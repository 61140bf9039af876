"""Late replies on a serial line: which answers may still arrive, and to which request an arriving one belongs. Pure.

The device answers in the order of the requests; each answer may be late or lost. The answer to a probe is recognisable
and ends everything that was asked before it. An ordinary answer looks like any other, so an ordinary request is sent
only while no other ordinary answer is pending. Late answers to probes are recognised and ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct

_MOST_PENDING = 1024
_BEFORE_US = b""
"""Stands for requests that another program may have sent before the port was opened."""


class Probe(Struct, frozen=True):
    """A harmless request whose answer looks like no other answer."""

    request: bytes
    recognises: Callable[[bytes], bool]


class PendingAnswers:
    """The requests whose answers may still arrive, oldest first."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        """`probes`: best two of different kinds, so that one of them is always not pending."""
        self.probes = tuple(probes)
        self._kinds = {probe.request for probe in probes}
        self._pending: deque[bytes] = deque(maxlen=_MOST_PENDING)

    def opened(self) -> None:
        """The port was opened: an answer may have been cut in two, and another program may have asked before."""
        if self._pending or self.probes:
            self._pending.append(_BEFORE_US)

    def asked(self, request: bytes) -> None:
        """Note that this request was sent."""
        self._pending.append(request)

    def may_ask(self, request: bytes) -> bool:
        """Whether its answer can be attributed with certainty now."""
        return self._kinds.issuperset(self._pending) and request not in self._pending

    def probe_for(self, request: bytes) -> Probe | None:
        """The probe to send before this request: of a kind that is not pending, where there is one."""
        others = [probe for probe in self.probes if probe.request != request] or list(self.probes)
        return next((probe for probe in others if probe.request not in self._pending), others[0] if others else None)

    def stray(self, answer: bytes) -> bool:
        """Whether this answers a pending probe. That probe and everything older is then no longer pending."""
        return self._settle(answer, len(self._pending))

    def belongs(self, answer: bytes) -> bool:
        """Whether this answers the last request, and is not a late answer to a probe before it.

        The device keeps the order, so after this answer nothing older can arrive.
        """
        if self._settle(answer, len(self._pending) - 1):
            return False
        self.answered()
        return True

    def answered(self) -> None:
        """No answer is pending any more."""
        self._pending.clear()

    def _settle(self, answer: bytes, end: int) -> bool:
        """Whether a probe among the oldest `end` recognises it. That probe and everything older is then settled."""
        # The first probe of this kind, not the last: where an answer was lost, fewer arrive than were asked for. To
        # settle too few requests costs one more probe; to settle too many would shift every later answer.
        for place, request in enumerate(islice(self._pending, end)):
            if any(probe.request == request and probe.recognises(answer) for probe in self.probes):
                for _ in range(place + 1):
                    self._pending.popleft()
                return True
        return False

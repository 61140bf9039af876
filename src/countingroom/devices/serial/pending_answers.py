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
GIVEN_UP_S = 60.0
"""An answer that comes later after its request is not expected: a device keeps some hundred bytes of requests."""
_UNKNOWN = b""
"""Stands for requests that are not known: of another program before the port was opened, or of an unasked answer."""


class Probe(Struct, frozen=True):
    """A harmless request with an answer that cannot be taken for any other."""

    request: bytes
    recognises: Callable[[bytes], bool]
    is_constant: bool = False
    """Its answer never changes, so an earlier one is as good as the present one."""


class PendingAnswers:
    """The requests that may still be answered, oldest first."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        """`probes`: best two of different kinds, so that one of them is always not pending."""
        self.probes = tuple(probes)
        self._kinds = {probe.request for probe in probes}
        self._constant = {probe.request: probe for probe in probes if probe.is_constant}
        self._pending: deque[bytes] = deque(maxlen=_MOST_PENDING)
        self._since_s: deque[float] = deque(maxlen=_MOST_PENDING)
        """When each of them was asked."""

    @property
    def is_empty(self) -> bool:
        """Whether no answer is pending."""
        return not self._pending

    @property
    def only_probes(self) -> bool:
        """Whether no answer is pending that cannot be recognised."""
        return self._kinds.issuperset(self._pending)

    def opened(self, now_s: float) -> None:
        """The port was opened: an answer may have been cut in two, and another program may have asked before."""
        if self._pending or self.probes:
            self.asked(_UNKNOWN, now_s)

    def give_up_old(self, now_s: float) -> None:
        """Forget requests that are older than GIVEN_UP_S, but not that the line may be out of step."""
        count = len(self._pending)
        while self._since_s and self._since_s[0] < now_s - GIVEN_UP_S:
            self._forget_oldest()
        if len(self._pending) < count:
            self.asked(_UNKNOWN, now_s)

    def doubt(self, now_s: float) -> None:
        """An answer arrived without a request, or with an impossible value: from now on each answer may belong to an
        earlier request."""
        if self.probes and self.only_probes:
            self.asked(_UNKNOWN, now_s)

    def asked(self, request: bytes, now_s: float) -> None:
        """Note that this request was sent. Times are those of a clock that is never set, in seconds."""
        self._pending.append(request)
        self._since_s.append(now_s)

    def may_ask(self, request: bytes) -> bool:
        """Whether its answer can be attributed with certainty now."""
        return self.only_probes and (request not in self._pending or request in self._constant)

    def probes_for(self, request: bytes) -> tuple[Probe, ...]:
        """The probes to send before this request, in turn: those of a kind that is not pending first.

        The request itself is no probe for itself, because an earlier answer to it could be taken for the next one;
        unless it is constant, or there is no other."""
        others = [probe for probe in self.probes if probe.request != request or probe.is_constant] or self.probes
        return tuple(sorted(others, key=lambda probe: (probe.request == request, probe.request in self._pending)))

    def stray(self, answer: bytes) -> bool:
        """Whether this answers a pending probe. That probe and everything older is then no longer pending."""
        return self._settle(answer, len(self._pending))

    def belongs(self, answer: bytes) -> bool:
        """Whether this answers the last request, and is not a late answer to a probe before it.

        The device keeps the order, so no older answer can arrive after this one.
        """
        last = self._constant.get(self._pending[-1])
        if self._settle(answer, len(self._pending) - 1):
            return last is not None and last.recognises(answer)
        self.answered()
        return True

    def answered(self) -> None:
        """No answer is pending any more."""
        self._pending.clear()
        self._since_s.clear()

    def _settle(self, answer: bytes, end: int) -> bool:
        """Whether a probe among the oldest `end` recognises it. That probe and everything older is then settled."""
        # The first probe of this kind, not the last: where an answer was lost, fewer arrive than were asked for. To
        # settle too few requests costs one more probe; to settle too many would shift every later answer.
        for place, request in enumerate(islice(self._pending, end)):
            if any(probe.request == request and probe.recognises(answer) for probe in self.probes):
                for _ in range(place + 1):
                    self._forget_oldest()
                return True
        return False

    def _forget_oldest(self) -> None:
        self._pending.popleft()
        self._since_s.popleft()

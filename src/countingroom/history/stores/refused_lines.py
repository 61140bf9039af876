"""Lines to a server that may refuse some of them: parts that are too large are halved, and of a part that is refused
the bad lines are found by halving, so that their neighbours are stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum

from countingroom.core.errors import LinkError

_log = logging.getLogger(__name__)

MOST_REFUSED = 100
"""Bad lines of one call. More are no bad lines: then something is wrong with store or request, and all is kept."""


class Taken(Enum):
    """The result of sending a part to the server."""

    STORED = "stored"
    PARTLY = "partly"
    """Its bad lines were left out, all others are stored."""
    REFUSED = "refused"
    """Nothing of it is stored: it holds a line that the server cannot take, or is too large for it."""


Send = Callable[[Sequence[str]], tuple[Taken, str]]
"""Sends lines; returns the result and the text of the server. LinkError if unknown or not possible now."""


def send_all(lines: Sequence[str], send: Send, source: str) -> None:
    """Send all lines; those that are refused for good are logged. LinkError where more than MOST_REFUSED are."""
    waiting = [lines]
    refused = 0
    while waiting:
        part = waiting.pop()
        answer, words = send(part)
        if answer is Taken.STORED:
            continue
        if answer is Taken.PARTLY:
            _log.warning("%s: the store left out lines: %s", source, words)
            continue
        if len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
            continue
        refused += 1
        _log.warning("%s: the store refuses the line %.300r: %s", source, part[0], words)
        if refused > MOST_REFUSED:
            raise LinkError(
                f"the store refuses more than {MOST_REFUSED} lines of one batch: {words}",
                source=source,
                code="store_refused",
                suggestion="see the words of the store; nothing is lost while the stream of the bus keeps the batch",
            )

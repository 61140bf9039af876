"""Whether the database answers. After a failure one transaction at a time tries it, and the others are refused at once.

Without this every page and every command of a database that hangs waits for its own time-out, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from countingroom.core.errors import LinkError


class Answering:
    """For the transactions of one kind, those that read or those that write: a full disk ends only the latter."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds of a clock that never steps."""
        self._now = now
        self._failed: LinkError | None = None
        self._is_tried = False
        self._answered_s = now()

    @property
    def is_failed(self) -> bool:
        """Whether the last that is known of the database is a failure."""
        return self._failed is not None

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Around one transaction. LinkError `storage_failed` at once if the last one failed and another one tries."""
        if self._failed and self._is_tried:
            raise LinkError(
                f"the database does not answer, and this was not tried: {self._failed.cause.message}",
                code="storage_failed",
                source="storage",
                suggestion=self._failed.cause.suggestion,
            )
        tries = self.is_failed
        self._is_tried = self._is_tried or tries
        began_s = self._now()
        try:
            yield
        except LinkError as error:
            # A long export that is late tells nothing about a database that has answered others meanwhile, and neither
            # does a queue that is full.
            if self._answered_s <= began_s and error.cause.code != "busy":
                self._failed = error
            raise
        except Exception:  # the database has answered: with a refusal, or the work found fault with what it read
            self._answer()
            raise
        else:
            self._answer()
        finally:
            if tries:
                self._is_tried = False

    def _answer(self) -> None:
        self._failed = None
        self._answered_s = self._now()

"""The port of a further store of the history: a database of the site that gets all samples beside the default store.

It is smaller than `HistoryStore`: a further store computes no rollups and answers no queries of the console (decision
42). Every adapter passes tests/contract/test_further_stores.py.

Methods block. They are called from one thread at a time, and `abort` from another. No method but `__init__` is called
before the event loop runs; a store connects when a method needs it. If it cannot work now (server away, disk full) it
raises LinkError. For a mistake that only a person can correct (a wrong password) it may raise ConfigurationError. Both
are tried again.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from countingroom.core.errors import LinkError
from countingroom.history.columns import Columns
from countingroom.history.port import Position

POSITION_MOVED = "position_moved"


class StoreLimits(Struct, frozen=True, kw_only=True):
    """The parts of samples that a store keeps. The defaults are those of a store that keeps all."""

    resolution_ns: int = 1
    """Times are kept in multiples of this, rounded down."""
    equal_times: bool = True
    """All samples of a point that have one time (of this resolution) are kept. Otherwise one is: the last of an
    append."""
    device_time: bool = True
    """The time of the device is kept where it is not the time of the sample."""
    messages: bool = True
    """So are the time of arrival, the message of a sample (`sent_ns`, `place`, `whole`) and the device's alarm."""
    digits: int = 17
    """Digits of a number, counted from the first one of the largest number of its point."""
    most_texts: int | None = None
    """Different texts of a point that are kept; None: all."""


class SampleReader(Protocol):
    """Reads samples. Every `HistoryStore` is one too."""

    def points(self) -> dict[str, bool]:
        """Address -> whether it has texts."""
        ...

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        """Samples in [start_ns, end_ns), in order of time; the first `limit`. Unknown names have none."""
        ...

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        """The latest sample, from since_ns to at_ns inclusive, of each that has one."""
        ...


class SampleWriter(Protocol):
    """Takes samples, each once."""

    def position(self) -> Position:
        """How far into the stream the store is complete. Asked from the store itself each time, not from memory: the
        store may have been restored from a backup. `Position()` of a store that is new."""
        ...

    def append(self, columns: Columns, position: Position, *, after: Position) -> None:
        """Store all of it, and the position, so that a reader and a restored backup find both or none.

        Where the store is not at `after`, nothing is stored: `moved` tells it. Columns may be empty. After a LinkError
        it is not known whether the call took effect: the caller asks for the position.
        """
        ...

    def fill(self, columns: Columns) -> None:
        """Store those of these samples that the store does not have yet; the position stays.

        A sample is the same when point, time, time of its message (`sent_ns`) and place in it are. A fill with an
        unknown outcome is repeated.
        """
        ...

    def abort(self) -> None:
        """End the call that is under way, which then raises LinkError. Called from another thread, after a deadline.
        Where there is none, nothing happens."""
        ...

    def close(self) -> None: ...


class FurtherStore(SampleWriter, SampleReader, Protocol):
    """The interface of an adapter."""

    @property
    def limits(self) -> StoreLimits:
        """What it cannot keep. The contract suite asks for it, and the documentation says it."""
        ...


def moved(store: str, is_at: Position, after: Position) -> LinkError:
    """The store is not where the caller believes it to be."""
    return LinkError(
        f"the store is at message {is_at.sequence}, not at {after.sequence}",
        source=f"history.stores.{store}",
        code=POSITION_MOVED,
        suggestion="nothing need be done: it is followed from there; see that nothing else writes into it",
    )

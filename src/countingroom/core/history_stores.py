"""The published state of a further store of the history. Pure."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

LATE_S = 60.0
"""A store that is so far behind, or fails for so long, is a warning."""


class StoreHealth(StrEnum):
    """How a further store stands."""

    STARTING = "starting"
    """It was not asked for its position yet."""
    FOLLOWING = "following"
    """It gets what comes."""
    CATCHING_UP = "catching_up"
    """It gets from the default store what the bus does not have any more."""
    FAILING = "failing"
    """The last call failed; it is tried again."""


class HistoryStoreState(Struct, frozen=True, kw_only=True):
    """A further store, at the key `history_store.<store>` of the bucket `state`."""

    store: str
    kind: str
    """The key of its settings: `postgresql`."""
    health: StoreHealth = StoreHealth.STARTING
    since_ns: int = 0
    """Since when its health is that."""
    problem: str = ""
    """What the last call that failed said; empty while the store does not fail."""
    last_problem: str = ""
    """The same, also after it works again."""
    last_problem_ns: int | None = None
    sequence: int = 0
    """Position: the last message of the stream that the store has."""
    stored_ns: int = 0
    """When the bus stored that message. 0: the store has none."""
    behind_since_ns: int | None = None
    """All that came to the bus since then is not in the store; None: the store has all."""
    behind_messages: int = 0
    behind_values: int = 0
    """An estimate: the messages, times the mean number of values of a message."""
    values: int = 0
    """Values stored since the start of the process, those that were only compared with what is there included."""

    def lag_s(self, now_ns: int) -> float:
        """How far behind it is, in seconds."""
        return 0.0 if self.behind_since_ns is None else max(0.0, (now_ns - self.behind_since_ns) / 1e9)

    def is_late(self, now_ns: int) -> bool:
        """Whether it fails or is behind for so long that people should know."""
        failing_s = (now_ns - self.since_ns) / 1e9 if self.health is StoreHealth.FAILING else 0.0
        return max(failing_s, self.lag_s(now_ns)) > LATE_S

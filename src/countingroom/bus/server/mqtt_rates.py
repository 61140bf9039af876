"""How fast each MQTT user publishes, from the counts of the server, and which users are kept out for a while.

The server has no limit for messages. One board that published 36,000 messages/s took the processor from the server and
from the clients of all other boards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from countingroom.bus.description import DEFAULT_MESSAGES_PER_S
from countingroom.bus.server.mqtt_sessions import MqttConnection

PAUSE_S = 10.0
"""A user beyond its limit is kept out for this time, and for twice the time whenever it is beyond it again."""
MOST_PAUSE_S = 300.0
FORGET_S = 600.0
"""After this time below its limit a user begins with PAUSE_S again."""


class Excess(Struct, frozen=True, kw_only=True):
    """A user that is beyond its limit."""

    user: str
    per_s: float
    limit: int
    pause_s: float


class _Pause(Struct):
    until_s: float
    length_s: float


class MessageRates:
    """The rates between two looks at the connections."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """`limits`: user -> messages per second of all its clients together."""
        self._limits = limits
        self._counts: dict[int, int] = {}
        """Connection -> the messages that it had sent at the last look."""
        self._gone: dict[int, int] = {}
        """The same of connections that were no longer there at the last look, and whose end may be reported later."""
        self._ended: dict[str, int] = defaultdict(int)
        """User -> messages, since the last look, of its connections that have ended."""
        self._looked_s: float | None = None
        self._pauses: dict[str, _Pause] = {}

    def is_paused(self, user: str, now_s: float) -> bool:
        """Whether the user is kept out now."""
        pause = self._pauses.get(user)
        return pause is not None and now_s < pause.until_s

    def ended(self, client: MqttConnection, messages: int) -> None:
        """A connection has ended, after so many messages."""
        known = self._counts.pop(client.cid, None) or self._gone.pop(client.cid, 0)
        self._ended[client.user] += max(0, messages - known)

    def look(self, clients: Sequence[MqttConnection], now_s: float) -> list[Excess]:
        """The users that have been beyond their limits since the last look. They are kept out from now on."""
        sent, self._ended = self._ended, defaultdict(int)
        for client in clients:
            sent[client.user] += max(0, client.messages - self._counts.pop(client.cid, 0))
        self._gone = self._counts
        self._counts = {client.cid: client.messages for client in clients}
        since_s = self._looked_s
        self._looked_s = now_s
        if since_s is None or now_s <= since_s:  # at the first look the counts are those of any time
            return []
        return [
            self._begin(user, count / (now_s - since_s), now_s)
            for user, count in sent.items()
            if count > self._limit(user) * max(1.0, now_s - since_s) and not self.is_paused(user, now_s)
        ]

    def _limit(self, user: str) -> int:
        return self._limits.get(user, DEFAULT_MESSAGES_PER_S)

    def _begin(self, user: str, per_s: float, now_s: float) -> Excess:
        former = self._pauses.get(user)
        again = former is not None and now_s < former.until_s + FORGET_S
        length_s = min(2 * former.length_s, MOST_PAUSE_S) if former and again else PAUSE_S
        self._pauses[user] = _Pause(until_s=now_s + length_s, length_s=length_s)
        return Excess(user=user, per_s=per_s, limit=self._limit(user), pause_s=length_s)

"""The bounded queue of a viewer of the live feed. A viewer that reads too slowly loses it and gets a snapshot."""

from __future__ import annotations

import asyncio
from collections import deque

from countingroom.console.live.subscription import LiveSubscription

_WAITING = 32
"""Messages that may wait for one viewer."""


class Viewer:
    """The queue of one websocket."""

    def __init__(self, watch: LiveSubscription) -> None:
        self.watch = watch
        self.lost = 0
        """How often it read too slowly."""
        self.needs_snapshot = True
        self.last_offer_s = 0.0
        self._waiting: deque[str] = deque()
        self._has_news = asyncio.Event()

    def offer(self, text: str) -> None:
        """Put a message into its queue; a full queue is emptied and a snapshot takes its place."""
        if self.needs_snapshot:
            return
        if len(self._waiting) >= _WAITING:
            self.restart()
            self.lost += 1
            return
        self._waiting.append(text)
        self._has_news.set()

    def restart(self) -> None:
        """Clear the queue; the next message is a snapshot."""
        self._waiting.clear()
        self.needs_snapshot = True
        self._has_news.set()

    def resume(self, texts: list[str]) -> None:
        """Begin with these messages instead of a snapshot, where they fit into the queue."""
        if len(texts) > _WAITING:
            return
        self.needs_snapshot = False
        self._waiting.extend(texts)
        self._has_news.set()

    async def wait(self) -> str | None:
        """The next message; None: send a snapshot."""
        while not self._waiting and not self.needs_snapshot:
            self._has_news.clear()
            await self._has_news.wait()
        return None if self.needs_snapshot else self._waiting.popleft()

"""Leases of the memory bus. A lease counts as renewed while the link of its client is up; otherwise it expires by the
Clock.
"""

from __future__ import annotations

from countingroom.bus.memory.link import Bell, MemoryLink
from countingroom.bus.memory.server import MemoryServer


class MemoryLease:
    """A lease that this client holds or held."""

    def __init__(self, link: MemoryLink, server: MemoryServer, name: str, *, ttl_s: float, holder: str) -> None:
        self._link = link
        self._server = server
        self._holding = server.acquire(name, ttl_s, holder)
        self.name = name
        self.token = self._holding.token

    @property
    def lost(self) -> bool:
        return self._server.held(self.name) is not self._holding

    @property
    def is_held(self) -> bool:
        return not self.lost

    async def wait_lost(self) -> None:
        clock = self._server.clock
        with self._link.news.joined(Bell()) as bell:
            while not self.lost:
                if self._holding.deadline_s is None:
                    await bell.wait()
                else:
                    await clock.sleep(self._holding.deadline_s - clock.monotonic())

    async def release(self) -> None:
        if not self.lost:
            self._link.check()
            self.free()

    def free(self) -> None:
        """Give it up without the link, as the server does it for a client that has died."""
        if not self.lost:
            del self._server.leases[self.name]
            self._link.news.ring()

    def linked(self, up: bool) -> None:
        """The link came up: keep the lease if it has not expired.

        The link went down: the lease expires after its TTL.
        """
        if not self.lost:
            self._holding.deadline_s = None if up else self._server.clock.monotonic() + self._holding.ttl_s

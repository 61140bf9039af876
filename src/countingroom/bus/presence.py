"""Heartbeats of processes, and the roster of those present.

A process is present until it misses three heartbeats or publishes its last one with `leaving`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable
from contextlib import suppress

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Presence, encode

INTERVAL_S = 1.0
MISSED = 3
"""A process counts as gone after this many missed heartbeats."""


async def heartbeat(
    bus: Bus, clock: Clock, *, role: str, instance: str, boot: str, targets: Iterable[str] = ()
) -> None:
    """Publish a heartbeat every second until cancelled, then a last one with `leaving`. `targets` is read each time."""
    subject = subjects.presence(role, instance)
    host, pid = socket.gethostname(), os.getpid()

    async def beat(*, leaving: bool) -> None:
        presence = Presence(
            role=role,
            instance=instance,
            boot=boot,
            host=host,
            pid=pid,
            interval_s=INTERVAL_S,
            sent_ns=clock.now_ns(),
            leaving=leaving,
            targets=tuple(targets),
        )
        with suppress(LinkError):  # a retry is useless: the receivers count missed heartbeats
            await bus.publish(subject, encode(presence))

    try:
        while True:
            await beat(leaving=False)
            await clock.sleep(INTERVAL_S)
    except asyncio.CancelledError:
        await beat(leaving=True)
        raise


class Roster:
    """The processes that are present, from the heartbeats received."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[tuple[str, str], tuple[Presence, float]] = {}

    def hear(self, presence: Presence) -> None:
        """Take in a heartbeat. A leaving one removes the process only if it comes from the same boot: a predecessor may
        end after its successor has started."""
        key = presence.role, presence.instance
        known = self._heard.get(key)
        if not presence.leaving:
            self._heard[key] = presence, self._clock.monotonic()
        elif known and known[0].boot == presence.boot:
            del self._heard[key]

    def present(self) -> list[Presence]:
        """The last heartbeat of each present process."""
        now = self._clock.monotonic()
        self._heard = {key: one for key, one in self._heard.items() if now - one[1] <= MISSED * one[0].interval_s}
        return [presence for presence, _ in self._heard.values()]

    def targets(self) -> set[str]:
        """The objects that the present processes serve."""
        return {target for presence in self.present() for target in presence.targets}

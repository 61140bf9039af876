"""Law: a process is present while its heartbeat comes; three missed, or a goodbye, and it is gone."""

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
"""Beats that may be missing."""


async def heartbeat(
    bus: Bus, clock: Clock, *, role: str, instance: str, boot: str, targets: Iterable[str] = ()
) -> None:
    """Say every second that this process lives, until cancelled; then say goodbye. `targets` are read at every beat."""
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
        with suppress(LinkError):  # whoever listens notices the silence
            await bus.publish(subject, encode(presence))

    try:
        while True:
            await beat(leaving=False)
            await clock.sleep(INTERVAL_S)
    except asyncio.CancelledError:
        await beat(leaving=True)
        raise


class Roster:
    """Who is present. Fed with what is heard; asked for what is true now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[tuple[str, str], tuple[Presence, float]] = {}

    def hear(self, presence: Presence) -> None:
        """A heartbeat, or a goodbye. A goodbye of an earlier life does not end the present one."""
        key = presence.role, presence.instance
        known = self._heard.get(key)
        if not presence.leaving:
            self._heard[key] = presence, self._clock.monotonic()
        elif known and known[0].boot == presence.boot:
            del self._heard[key]

    def present(self) -> list[Presence]:
        """The last heartbeat of everyone who is present."""
        now = self._clock.monotonic()
        self._heard = {key: one for key, one in self._heard.items() if now - one[1] <= MISSED * one[0].interval_s}
        return [presence for presence, _ in self._heard.values()]

    def targets(self) -> set[str]:
        """The things somebody present answers for."""
        return {target for presence in self.present() for target in presence.targets}

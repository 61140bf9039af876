"""Heartbeats of processes, and the roster of those present.

A process is present until it misses three heartbeats or publishes its last one with `leaving`. A heartbeat also carries
why the process is not ready, and is followed by events about its new dead letters.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from uuid import uuid4
from zlib import crc32

from countingroom.bus.dead_letters import DeadLetter
from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock, pause_to_multiple
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event, EventKind, Presence, encode

INTERVAL_S = 1.0
MISSED = 3
"""A process counts as gone after this many missed heartbeats."""

MAIN = "main"
"""Instance of a role that has one process."""
BUS_ROLE = "bus"
"""The role in the heartbeats of the supervisor of the embedded server."""
SITE_ROLE = "site"
"""The role in the heartbeats that `up` sends for the process of the public site."""

INSTANCE_VARIABLE = "COUNTINGROOM_SERVICE_INSTANCE"
"""Variable of the environment by which the fleet tells a process which instance of which service it is."""

DEAD_LETTERS = "dead_letters"
"""The department of events about dead letters."""
LETTERS = 10
"""Dead letters told with one heartbeat."""
PROCESSES = 4096
_PHASES = 10


async def heartbeat(
    bus: Bus,
    clock: Clock,
    *,
    role: str,
    instance: str,
    boot: str,
    targets: Iterable[str] = (),
    troubles: Callable[[], Iterable[str]] = tuple,
    warnings: Callable[[], Iterable[str]] = tuple,
    conditions: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Publish a heartbeat every second until cancelled, then a last one with `leaving`. `targets`, `troubles`
    (why the process is not ready), `warnings` (problems that do not make it unready) and `conditions` (alarm -> text
    that says what is abnormal; empty: normal) are read each time."""
    subject = subjects.presence(role, instance)
    host, pid = socket.gethostname(), os.getpid()
    service = os.environ.get(INSTANCE_VARIABLE, "")
    # The roles beat at whole seconds, with their pings: they wake the bus and the receivers together. Those with a
    # process each may be hundreds, so their names spread them.
    phase_s = 0.0 if instance == MAIN else crc32(instance.encode()) % _PHASES / _PHASES * INTERVAL_S

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
            dead_letters=bus.dead_letters.count,
            troubles=tuple(troubles()),
            warnings=tuple(warnings()),
            conditions=dict(conditions()),
            service=service,
        )
        with suppress(LinkError):  # a retry is useless: the receivers count missed heartbeats
            await bus.publish(subject, encode(presence))
            for letter in bus.dead_letters.take(LETTERS):
                # Published and not appended: a heartbeat must not wait for a stream on a full disk.
                await bus.publish(subjects.event(DEAD_LETTERS, role), encode(_event(letter, role, clock.now_ns())))

    try:
        while True:
            await beat(leaving=False)
            await clock.sleep(pause_to_multiple(clock.monotonic(), INTERVAL_S, phase_s))
    except asyncio.CancelledError:
        await beat(leaving=True)
        raise


def _event(letter: DeadLetter, role: str, now_ns: int) -> Event:
    return Event(
        id=uuid4().hex,
        kind=EventKind.NOTE,
        time_ns=now_ns,
        department=DEAD_LETTERS,
        source=role,
        message=f"{role} does not understand a message on {letter.subject}: {letter.error}",
        severity=3,
        data={"subject": letter.subject, "bytes": letter.size, "head": letter.head.hex(" ")},
    )


class Roster:
    """The processes that are present, from the heartbeats received. At most PROCESSES of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[tuple[str, str], tuple[Presence, float]] = {}

    def hear(self, presence: Presence) -> None:
        """Take in a heartbeat. A leaving one removes the process only if it comes from the same boot: a predecessor may
        end after its successor has started."""
        key = presence.role, presence.instance
        known = self._heard.get(key)
        if not presence.leaving:
            if known is None and len(self._heard) >= PROCESSES and len(self.present()) >= PROCESSES:
                return
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

"""Following the readings of all devices: the last full message of each, then every further one, also after a lost link.

Messages that the stream could not store yet come as live messages; the stream delivers them again later, and they are
taken once. A full message that is older than the last one of any present host tells of the past: its values are STALE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from countingroom.bus.port import Bus, Message, Stored
from countingroom.bus.served import SILENT_S
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import MessageDecoder, Readings

_log = logging.getLogger(__name__)

_YOUNG_NS = round(SILENT_S * 1e9)
_OLD = f"no host has told it for more than {SILENT_S / 60:g} min"
_RETRY_S = 1.0
_readings = MessageDecoder(Readings)


class ReadingsFollower:
    """Gives each message of readings to `take`, in the order of its device. A message that cannot be decoded is a dead
    letter."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        take: Callable[[Readings], None],
        *,
        advance: Callable[[int], None] = lambda _: None,
        current: Callable[[], None] = lambda: None,
        device: str = "",
    ) -> None:
        """`advance` is told the sequence in the stream up to which all is taken, `current` each time when the last full
        message of each device was taken. `device`: only this one."""
        self._device = device
        self._bus = bus
        self._clock = clock
        self._take = take
        self._advance = advance
        self._current = current
        self._live: dict[str, tuple[str, int, int]] = {}
        """Device -> boot, number and time of its last live message."""
        self._relinked = False
        self.following = {"readings": False, "live readings": False}
        """What is followed now, and up to date."""
        bus.on_link(self._linked)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again("readings", self._follow_stream))
            tasks.create_task(self._again("live readings", self._follow_live))

    def troubles(self) -> list[str]:
        """What is not followed now, one sentence each."""
        return [f"the {name} on the bus are not followed" for name, followed in self.following.items() if not followed]

    def _linked(self, up: bool) -> None:
        self._relinked = self._relinked or up

    async def _again(self, name: str, follow: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await follow()
            except CountingRoomError as error:
                _log.debug("%s are not followed: %s", name, error)
                self.following[name] = False
                await self._clock.sleep(_RETRY_S)
            finally:
                self.following[name] = False

    async def _follow_stream(self) -> None:
        self._relinked = False
        oldest_ns, start = self._clock.now_ns() - _YOUNG_NS, 1
        fulls: list[Stored] = []
        everything = self._bus.replay(
            subjects.READINGS_STREAM,
            subjects=subjects.readings(self._device, full=True) if self._device else "readings.full.*",
            last_per_subject=True,
            follow=False,
        )
        async with everything as stored:
            async for message in stored:
                fulls.append(message)
                self._read(message, is_old=message.stored_ns < oldest_ns)
        if fulls:
            young = [full.sequence for full in fulls if full.stored_ns >= oldest_ns]
            start = min(young, default=fulls[-1].sequence) + 1
        self._advance(start - 1)
        self._current()
        self.following["readings"] = True
        base = {full.subject.rpartition(".")[2]: full.sequence for full in fulls}
        wanted = subjects.readings_of(self._device) if self._device else ">"
        async with self._bus.replay(subjects.READINGS_STREAM, subjects=wanted, from_sequence=start) as stored:
            async for message in stored:
                if self._relinked:  # begin again at the last full messages instead of reading all that was missed
                    return
                if message.sequence > base.get(message.subject.rpartition(".")[2], 0):
                    self._read(message)
                self._advance(message.sequence)

    async def _follow_live(self) -> None:
        """Messages that the stream could not store yet, because its disk is full."""
        async with self._bus.subscribe(subjects.live_readings(self._device or "*")) as messages:
            self.following["live readings"] = True
            async for message in messages:
                self._read(message, live=True)

    def _read(self, stored: Stored | Message, *, live: bool = False, is_old: bool = False) -> None:
        message = self._bus.dead_letters.read(stored.subject, stored.data, _readings)
        if message is None:
            return
        # The stream delivers a live message again later, after newer ones; and what another host had sent before it.
        boot, sequence, sent_ns = self._live.get(message.device, ("", 0, 0))
        if message.sequence <= sequence if message.boot == boot else message.sent_ns <= sent_ns and not live:
            return
        if live:
            self._live[message.device] = message.boot, message.sequence, message.sent_ns
        self._take(message.as_stale(_OLD) if is_old else message)

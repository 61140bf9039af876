"""Liveness of the agents: feeds heartbeats and disconnect events from the bus to the failure detector.

A disconnect event is reported at once, silence after three missed heartbeats, and each change once. While this process
is disconnected, no agent is declared lost; after the reconnect each agent gets a full time-out again. A server can also
stall while the connection stays up. So when no heartbeat of any agent comes for a moment, this process publishes an
echo on the subject of the heartbeats, and the time until the echo returns does not count as silence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from uuid import uuid4

from countingroom.bus.disconnects import read
from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.clock_watch import ClockDifferences, difference
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import AgentBeats, MessageDecoder, Presence
from countingroom.runs.monitor.failure_detector import FailureDetector
from countingroom.runs.planner.events import LinkChanged

_log = logging.getLogger(__name__)

_LOOK_S = 0.1
_QUIET_S = 0.3
"""While heartbeats come at least this often the server does not stall, and no echo is needed. Ten echoes a second, day
and night, took as much processor time as the heartbeats of ten agents."""
_STILL_S = 1.0
"""An echo later than this means that the server stalled. With 0.1 s, each short delay of a busy process made disconnect
events distrusted for 1.5 s."""
_ECHO_S = 5.0
"""Time-out of the echo: after it the link is known to be down, or the echo was lost."""
_beats = MessageDecoder(Presence)
_beats_of_many = MessageDecoder(AgentBeats)


class Liveness:
    """Follows the liveness of all agents. `tell` is called with every change, in this task."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        tell: Callable[[LinkChanged], None],
        differs: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`differs` is called with a sentence when the clock of a computer begins or ceases to differ."""
        self._bus = bus
        self._clock = clock
        self._tell = tell
        self._differs = differs
        self.clocks = ClockDifferences()
        self._hearing = FailureDetector()
        self._settled = asyncio.Event()
        self._own = subjects.echo(uuid4().hex)
        self._echoed = asyncio.Event()
        self._asked_s = 0.0
        """Monotonic time at which the last echo was sent."""
        self._heard_s = float("-inf")
        """Monotonic time of the last heartbeat of any agent, or echo."""

    def connected(self, system: str) -> bool:
        """Whether the agent of the system is connected."""
        return self._hearing.connected(system)

    def why_not(self, system: str) -> Cause | None:
        """Why the agent is not connected; None while it is connected or while this is not known yet."""
        return self._hearing.lost.get(system)

    def expect(self, systems: Iterable[str]) -> None:
        """Expect agents of these systems. One without a heartbeat in time is reported as not connected."""
        self._settled.clear()
        self._hearing.expect(systems, self._clock.monotonic())
        self._look()

    async def settled(self) -> None:
        """Return when it is known for each expected agent whether it is connected."""
        await self._settled.wait()

    async def run(self) -> None:
        """Run until cancelled."""
        self._bus.on_link(self._linked)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_beats())
            group.create_task(self._hear_departures())
            while True:
                self._look()
                asleep = self._clock.monotonic()
                await self._clock.sleep(_LOOK_S)
                # An agent is lost 1.5 s after its last heartbeat, a link only after two pings of 1 s. Without the echo,
                # a stalled server or an unplugged cable ended every run before the loss of the link was noticed.
                if self._clock.monotonic() - self._heard_s >= _QUIET_S:
                    await self._hear_ourselves()
                late = self._clock.monotonic() - asleep - _LOOK_S
                if late > _LOOK_S:  # the process or the server was delayed: the heartbeats are still in the queue
                    self._hearing.extend_deadlines(late)

    async def _hear_ourselves(self) -> None:
        """Return when the echo is back: every heartbeat that was published before it has then arrived too."""
        self._echoed.clear()
        self._asked_s = self._clock.monotonic()
        with suppress(LinkError, TimeoutError):
            async with within(self._clock, _ECHO_S):
                await self._bus.publish(self._own, b"")
                await self._echoed.wait()
        self._stood_still()
        self._echoed.set()

    async def _hear_beats(self) -> None:
        async with self._bus.subscribe(subjects.pulse("*")) as beats:
            async for message in beats:
                self._heard_s = self._clock.monotonic()
                if not message.data:
                    if message.subject == self._own:
                        self._stood_still()
                        self._echoed.set()
                elif subjects.is_pulse_of_many(message.subject):
                    self._hear_many(message)
                else:
                    self._hear_one(message)

    def _hear_one(self, message: Message) -> None:
        presence = self._bus.dead_letters.read(message.subject, message.data, _beats)
        if presence is not None:
            if not presence.leaving:
                self._compare_clocks(presence)
            self._say(self._hearing.beat(presence, self._clock.monotonic(), self._clock.now_ns()))

    def _hear_many(self, message: Message) -> None:
        beats = self._bus.dead_letters.read(message.subject, message.data, _beats_of_many)
        if beats is not None:
            self._compare_clocks(beats)
            for change in self._hearing.beats(beats, self._clock.monotonic(), self._clock.now_ns()):
                self._say(change)

    def _compare_clocks(self, presence: Presence | AgentBeats) -> None:
        clock = self._clock
        ahead_s = self.clocks.heard(presence.host, presence.sent_ns, clock.now_ns(), clock.monotonic())
        if ahead_s is not None:
            self._differs(difference(presence.host, ahead_s))

    async def _hear_departures(self) -> None:
        async with self._bus.subscribe(subjects.DEPARTURES) as departures:
            async for message in departures:
                left = read(message)
                if left and left.sure:
                    self._stood_still()
                    now_s, now_ns = self._clock.monotonic(), self._clock.now_ns()
                    self._say(self._hearing.departed(left.name, left.reason, now_s, now_ns))

    def _stood_still(self) -> None:
        """Distrust disconnect events when the echo is overdue: the stall of the server alone can end connections."""
        now_s = self._clock.monotonic()
        if not self._echoed.is_set() and now_s - self._asked_s > _STILL_S:
            self._hearing.distrust_disconnects(now_s)

    def _look(self) -> None:
        for change in self._hearing.look(self._clock.monotonic(), self._clock.now_ns()):
            self._say(change)
        if self._hearing.settled:
            self._settled.set()

    def _say(self, change: LinkChanged | None) -> None:
        if change is None:
            return
        if change.cause:
            _log.warning("%s", change.cause)
        self._tell(change)

    def _linked(self, up: bool) -> None:
        if up:
            self._hearing.link_restored(self._clock.monotonic())
        else:
            self._hearing.link_lost()
            self._echoed.set()

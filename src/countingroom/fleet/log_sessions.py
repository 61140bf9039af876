"""Logs that are read as they are written: each reader has a session, which gathers the lines of its instances.

A reader asks for the next lines and is answered as soon as there are some, so that nothing is asked for in vain. What a
slow reader leaves is dropped from the oldest on and counted. A session without a reader ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Conflict, CountingRoomError
from countingroom.core.fleet.queries import LONGEST_TAIL, FollowedLine, LogFollowAnswer, LogFollowQuery, LogSource
from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.port import LogLine

WAIT_S = 15.0
"""A question without news is answered with none after this time."""
UNUSED_S = 3 * WAIT_S
MOST_SESSIONS = 64
MOST_SOURCES = 200
"""Instances of one session."""
_MOST_WAITING = 5000
"""Lines that wait for their reader."""
_AT_ONCE = 500
_LONGEST_LINE = 4000
_AGAIN_S = 1.0
_LONGEST_S = 20.0
"""A node that is described anew is another one: what the former one sees does not come any more."""

Read = Callable[[InstanceId, int, int], AsyncGenerator[LogLine]]
"""(instance, lines of before, not before this time) -> its lines, then the next ones."""
Looked = Callable[[str], asyncio.Event]
"""Node -> an event that is set when its instances are listed the next time."""


class LogSessions:
    """The sessions of all readers."""

    def __init__(self, clock: Clock, read: Read, looked: Looked) -> None:
        self._clock = clock
        self._read = read
        self._looked = looked
        self._sessions: dict[str, _Session] = {}

    async def next(self, query: LogFollowQuery) -> LogFollowAnswer:
        """The next lines of a session, which begins with its first question. Conflict where there are too many."""
        if query.is_end:
            self._end(query.session)
            return LogFollowAnswer()
        session = self._sessions.get(query.session)
        if session is None:
            if len(self._sessions) >= MOST_SESSIONS or len(query.of) > MOST_SOURCES:
                raise Conflict(
                    f"at most {MOST_SESSIONS} readers of logs, of at most {MOST_SOURCES} instances each",
                    source="fleet",
                    code="too_many",
                    suggestion="close pages with logs that are not needed, or name fewer services",
                )
            self._sessions[query.session] = session = _Session()
            tail = max(0, min(query.tail, LONGEST_TAIL))
            for number, one in enumerate(query.of):
                session.begin(self._follow(session, number, one, tail, query.since_ns))
            session.begin(self._end_unused(query.session, session))
        session.asked_ns = self._clock.now_ns()
        with suppress(TimeoutError):
            async with within(self._clock, WAIT_S):
                await session.news.wait()
        session.asked_ns = self._clock.now_ns()
        return session.take()

    async def close(self) -> None:
        """End all sessions."""
        for name in list(self._sessions):
            self._end(name)

    async def _follow(self, session: _Session, number: int, one: LogSource, tail: int, since_ns: int) -> None:
        """Gather the lines of one instance, over its restarts and replacements, and the losses of its node."""
        last_ns = max(since_ns - 1, 0)
        id = InstanceId(one.service, one.node, one.index)
        while True:
            looked = asyncio.Event()
            with suppress(CountingRoomError):
                looked = self._looked(id.node)
                seen_ns = last_ns
                async with aclosing(self._read(id, tail, seen_ns + 1 if seen_ns else 0)) as lines:
                    async for line in lines:
                        if not line.time_ns or line.time_ns > seen_ns:
                            last_ns = max(last_ns, line.time_ns)
                            session.put(FollowedLine(number, line.time_ns, line.text[:_LONGEST_LINE]))
            tail = LONGEST_TAIL
            await self._clock.sleep(_AGAIN_S)
            with suppress(TimeoutError):
                async with within(self._clock, _LONGEST_S):
                    await looked.wait()

    async def _end_unused(self, name: str, session: _Session) -> None:
        while (left_ns := session.asked_ns + int(UNUSED_S * 1e9) - self._clock.now_ns()) > 0:
            await self._clock.sleep(left_ns / 1e9)
        self._end(name)

    def _end(self, name: str) -> None:
        if session := self._sessions.pop(name, None):
            session.end()


class _Session:
    def __init__(self) -> None:
        self.asked_ns = 0
        self.news = asyncio.Event()
        self._lines: deque[FollowedLine] = deque()
        self._missed = 0
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    def put(self, line: FollowedLine) -> None:
        if len(self._lines) >= _MOST_WAITING:
            self._lines.popleft()
            self._missed += 1
        self._lines.append(line)
        self.news.set()

    def take(self) -> LogFollowAnswer:
        found = tuple(self._lines.popleft() for _ in range(min(len(self._lines), _AT_ONCE)))
        missed, self._missed = self._missed, 0
        if not self._lines:
            self.news.clear()
        return LogFollowAnswer(lines=found, missed=missed)

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.news.set()

"""Keeps one further store up to date: it follows the stream of readings from the position that the store itself has.

Each batch is stored together with its end position. After every failure the position is read from the store again, and
following begins there: so an unknown outcome, a restored backup and a new process are the same case. If the stream
lacks the next messages, `catch_up` takes their samples from the default store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from msgspec import structs

from countingroom.bus.port import Bus, Stored
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.history_stores import HistoryStoreState, StoreHealth
from countingroom.core.messages import Malformed
from countingroom.core.times import format_time
from countingroom.history.columns import Columns
from countingroom.history.missing_messages import Numbering
from countingroom.history.notes import Notes
from countingroom.history.packed_readings import Packed, PackedDecoder, unpack
from countingroom.history.port import HistoryStore, Position
from countingroom.history.stores.catch_up import PAGE, Lost, catch_up, follows
from countingroom.history.stores.message_batches import MessageBatches
from countingroom.history.stores.port import FurtherStore
from countingroom.history.stores.store_calls import StoreCalls

_log = logging.getLogger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LEAST_SHARE = 1 / 512
"""The smallest share of a batch: one message."""
BEFORE = 2000
"""Messages before the position that are read again, for their numbers: a host may have sent one of them twice."""


class Follower:
    """Follows the stream for one store. `state`: its health and position; `changed`: called when its health changes."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        default: HistoryStore,
        notes: Notes,
        store: FurtherStore,
        *,
        name: str,
        kind: str,
        flush_s: float,
        timeout_s: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._default = default
        self._notes = notes
        self._store = store
        self._name = name
        self._flush_s = flush_s
        self._changed = changed
        self._timeout_s = timeout_s
        self._calls = StoreCalls(name, clock, timeout_s, store.abort)
        self._report = notes.on_edge(
            f"the store {name} of the history cannot be written now", f"the store {name} is written again", severity=2
        )
        self._numbering = Numbering()
        self._decoder = PackedDecoder()
        self._position = Position()
        self._known_to = 0
        self._pause_s = FIRST_PAUSE_S
        self._share = 1.0
        """The share of a batch that one call gives to the store. After a call that failed late it is a quarter, because
        the call may have been too large for its deadline; after a stored one it doubles, up to `_most_share`."""
        self._most_share = 1.0
        """Half of the share that was too large, until the store is complete. Without it each repetition of a catch-up,
        which starts from its begin, would grow to the share that fails."""
        self._mean = 0.0
        """Values of a message, over the last batches."""
        self.failures = 0
        self.state = HistoryStoreState(store=name, kind=kind, since_ns=clock.now_ns())

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except CountingRoomError as error:
                    self._failed(error.cause)
                except Exception as error:
                    _log.exception("the store %s failed", self._name)
                    message = f"{type(error).__name__}: {error}"
                    source, see = f"history.stores.{self._name}", "see the log of the history; it is tried again"
                    self._failed(Cause(code="internal", message=message, source=source, suggestion=see))
                await self._clock.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        finally:
            await self._calls.end(self._store.close)

    def present(self) -> HistoryStoreState:
        """The state, with the present lag of the store."""
        newest = self._default.position()
        behind = max(0, newest.sequence - self._position.sequence)
        if newest.stored_ns < self._position.stored_ns:
            behind = 0
        began = self._position.stored_ns or self.state.since_ns
        return structs.replace(
            self.state,
            sequence=self._position.sequence,
            stored_ns=self._position.stored_ns,
            behind_since_ns=began if behind else None,
            behind_messages=behind,
            behind_values=round(behind * self._mean),
        )

    async def _follow(self) -> None:
        position = await self._calls.run(self._store.position)
        if position.stored_ns < self._position.stored_ns:
            self._notes.say(
                f"the store {self._name} went back from message {self._position.sequence} to {position.sequence}; "
                "it is filled from there",
                severity=1,
            )
        self._position = begin = position
        self._known_to = 0
        if not await follows(self._bus, position, self._default.position()):
            begin = await self._catch_up()
        if self.state.health is StoreHealth.STARTING or self.present().behind_since_ns is None:
            self._works(StoreHealth.FOLLOWING)
        self._numbering = Numbering()
        expected = 0
        async with (
            self._bus.replay(subjects.READINGS_STREAM, from_sequence=max(1, begin.sequence + 1 - BEFORE)) as stored,
            MessageBatches(stored, self._clock, self._flush_s, share=lambda: self._share) as batches,
        ):
            while True:
                batch = await batches.next()
                numbers = [one.sequence for one in batch]
                first = expected or min(numbers[0], begin.sequence + 1)
                if numbers != list(range(first, first + len(batch))):
                    raise _gap(self._name)
                expected = numbers[-1] + 1
                before = [one for one in batch if one.sequence <= begin.sequence]
                if before:
                    await self._calls.run(lambda old=before: self._flatten(old))
                if new := batch[len(before) :]:
                    await self._keep(new)
                    self._works(StoreHealth.FOLLOWING)
                    if self._most_share < 1 and self.present().behind_since_ns is None:
                        self._most_share = 1.0

    async def _catch_up(self) -> Position:
        """Fill the store from the default store. Returns the position from which to follow. The position in the store
        moves only when the stream has reached the messages that the default store may have given already."""
        self._stands(StoreHealth.CATCHING_UP)

        async def in_thread(page: Callable[[], int]) -> int:
            taken = await self._give(page)
            self._works(StoreHealth.CATCHING_UP)
            self._count(max(0, taken))
            return taken

        found = await catch_up(
            self._bus,
            self._default,
            self._store,
            self._position,
            in_thread,
            most=lambda: max(1, round(PAGE * self._share)),
        )
        if self._position != Position():  # data from before the begin of a new store are not lost
            for lost in found.lost:
                self._tell(lost)
        self._known_to = found.known_to
        if found.known_to <= found.position.sequence:
            await self._append([], found.position)
        return found.position

    async def _keep(self, new: Sequence[Stored]) -> None:
        known = [one for one in new if one.sequence <= self._known_to]
        fresh = new[len(known) :]
        if known:
            self._count(await self._give(lambda: self._fill(known)))
        if fresh or known[-1].sequence == self._known_to:
            last = new[-1]
            await self._append(fresh, Position(sequence=last.sequence, stored_ns=last.stored_ns))

    async def _give(self, work: Callable[[], int]) -> int:
        """Run a call that has samples for the store."""
        late_s = self._clock.monotonic() + self._timeout_s / 2
        try:
            taken = await self._calls.run(work)
        except CountingRoomError:
            if self._clock.monotonic() >= late_s:
                self._most_share = max(LEAST_SHARE, self._share / 2)
                self._share = max(LEAST_SHARE, self._share / 4)
            raise
        self._share = min(self._most_share, 2 * self._share)
        return taken

    def _fill(self, messages: Sequence[Stored]) -> int:
        columns = self._flatten(messages)
        self._store.fill(columns)
        return len(columns)

    async def _append(self, messages: Sequence[Stored], position: Position) -> None:
        after = self._position

        def work() -> int:
            columns = self._flatten(messages)
            self._store.append(columns, position, after=after)
            return len(columns)

        self._count(await self._give(work), len(messages))
        self._position = position

    def _flatten(self, messages: Sequence[Stored]) -> Columns:
        """The samples of messages that did not come before. The default store reports missing messages."""
        readings: list[Packed] = []
        for stored in messages:
            try:
                message = self._decoder.decode(stored.data)
            except Malformed:
                continue
            if self._numbering.take(message) is not False:
                readings.append(message)
        return unpack(readings)

    def _count(self, values: int, messages: int = 0) -> None:
        if messages:
            self._mean += (values / messages - self._mean) / (10 if self._mean else 1)
        self.state = structs.replace(self.state, values=self.state.values + values)

    def _tell(self, lost: Lost) -> None:
        what = f"{lost.messages} messages" if lost.messages else "samples"
        self._notes.say(
            f"{what} from {format_time(lost.from_ns)} to {format_time(lost.to_ns)} cannot be had for the store "
            f"{self._name}: neither the bus nor the default store has them",
            severity=2,
            data={"store": self._name, "from_ns": lost.from_ns, "to_ns": lost.to_ns, "messages": lost.messages},
        )

    def _works(self, health: StoreHealth) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._report.worked()
        self._stands(health)

    def _failed(self, cause: Cause) -> None:
        if cause.code == GAP:
            return  # no fault of the store: the next attempt catches up
        self.failures += 1
        self._report.failed(cause)
        now_ns = self._clock.now_ns()
        self.state = structs.replace(self.state, last_problem=cause.message, last_problem_ns=now_ns)
        self._stands(StoreHealth.FAILING, cause.message)

    def _stands(self, health: StoreHealth, problem: str = "") -> None:
        is_new = health is not self.state.health
        if is_new or problem != self.state.problem:
            since_ns = self._clock.now_ns() if is_new else self.state.since_ns
            self.state = structs.replace(self.state, health=health, since_ns=since_ns, problem=problem)
            self._changed()


GAP = "gap"


def _gap(name: str) -> LinkError:
    """The error for a stream that lost unread messages, or was created again."""
    return LinkError(f"the stream has not all messages for {name}", source=f"history.stores.{name}", code=GAP)

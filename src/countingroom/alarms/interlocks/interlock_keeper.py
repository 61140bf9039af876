"""Evaluates the interlocks. Each change is saved in the database, then published on the bus, then its effects begin.

A trip is saved before its effects begin, and synced to the disk right after: an engine that takes over completes it.
While the database does not answer, an interlock acts all the same and is saved later; meanwhile the bus holds its
state. Commands of people are refused during that time, because their changes would not outlive a kill of the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from countingroom.alarms.engine.finding import Found
from countingroom.alarms.interlocks.effects import EffectRunner
from countingroom.alarms.interlocks.evaluation import InterlockEvaluation, TakenStep
from countingroom.alarms.interlocks.interlock_records import event_of, findings, rows_of
from countingroom.alarms.saving import save_within
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, LinkError, NotFound, OutOfRange, Refused
from countingroom.core.interlocks.chart import fitted
from countingroom.core.interlocks.events import ActionKind, AdoptTrip, InterlockEvent, ReportEffect
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryQuery
from countingroom.core.interlocks.specs import EffectSpec, InterlockEffect, InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.interlocks.takeover import merged
from countingroom.core.messages import Readings
from countingroom.core.retry import edge_log

_log = logging.getLogger(__name__)

SAVE_S = 1.0
"""The longest time that a trip waits for the database before its effects begin."""
AGAIN_S = 1.0
"""The pause between two attempts to save after a failure."""
LONGEST_S = 60.0
"""The longest wait before due times are checked again. Due times are wall times, and the wall clock may be set."""
ROWS = 1000
"""The most rows of the history that wait for the database; beyond it the oldest are dropped."""
TELL_AGAIN_NS = 90_000_000_000


class InterlockStore(Protocol):
    """What the keeper needs from the database; implemented by `storage/interlocks.py`."""

    def load(self) -> Awaitable[tuple[InterlockState, ...]]: ...
    def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = ...,
    ) -> Awaitable[None]: ...
    def history(self, wanted: InterlockHistoryQuery) -> Awaitable[tuple[InterlockEntry, ...]]: ...


class _Done(Struct):
    """The results of some steps: changed interlocks, history rows, effects that begin and end, a refusal."""

    changed: set[str]
    rows: list[InterlockEntry]
    begins: list[tuple[str, EffectSpec]]
    ends: list[tuple[str, str]]
    refusal: Cause | None = None


class InterlockKeeper:
    """All interlocks of the description. `run` until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        specs: Iterable[InterlockSpec],
        store: InterlockStore,
        publisher: Publisher,
        find: Callable[[Iterable[Found]], None],
    ) -> None:
        """`find` takes the findings for the alarms of interlocks."""
        self._clock = clock
        self._evaluation = InterlockEvaluation(specs, clock.now_ns())
        self._specs = self._evaluation.specs
        self._store = store
        self._writer: int | None = None
        self._publisher = publisher
        self._find = find
        self._states = self._evaluation.states
        self._news = asyncio.Event()
        self._looks_ns = 0
        """Wall time at which due times are checked next."""
        self._turn = asyncio.Lock()
        self._runner = EffectRunner(bus, clock, self._specs.values(), self._report)
        self._unsaved: set[str] = set()
        self._rows: deque[InterlockEntry] = deque(maxlen=ROWS)
        self._next_save_s = float("-inf")
        self._saved = edge_log(
            _log, "interlocks: the database does not take their states", "interlocks: the database takes them again"
        )

    def present(self, name: str) -> InterlockState:
        """The present state of an interlock. NotFound if there is no such interlock."""
        if name not in self._states:
            raise NotFound(
                f"there is no interlock {name!r}", source="alarms", suggestion="list them: countingroom interlock list"
            )
        return self._states[name]

    def troubles(self) -> list[str]:
        """Why the states of interlocks are not stored at present, one sentence each."""
        return ["the database does not take the states of interlocks"] if self._saved.is_failing else []

    def warnings(self) -> list[str]:
        """The overdue proof tests, one sentence each."""
        now_ns = self._clock.now_ns()
        return [
            f"the proof test of the interlock {one.title} is overdue"
            for one in self._states.values()
            if one.proof_due_ns is not None and one.proof_due_ns <= now_ns
        ]

    async def take_over(self, writer: int | None, published: Mapping[str, InterlockState]) -> None:
        """Load the saved states, merge them with the states `published` on the bus, and continue unfinished effects.

        `writer`: the number of this engine; None if the database does not answer, then the bus alone is used. LinkError
        if the database does not answer now."""
        # The bus can know a later trip than the database, if the last engine acted while the database was away.
        self._writer = writer
        saved = {} if writer is None else {one.name: one for one in await self._store.load()}
        if writer is not None:  # `seen_ns` must outlive this engine: the first proof test is due relative to it
            self._unsaved |= {name for name in self._specs if name not in saved or saved[name].seen_ns is None}
            self._next_save_s = self._clock.monotonic()
        for name, state in published.items():
            known = saved.get(name)
            saved[name] = state if known is None else merged(known, state)
        now_ns = self._clock.now_ns()
        for name, spec in self._specs.items():
            kept = saved.get(name) or InterlockState(name=name)
            if kept.seen_ns is None:
                kept = replace(kept, seen_ns=now_ns)
            state = self._states[name] = replace(fitted(spec, kept), unread=writer is None)
            self._publisher.state(subjects.interlock_key(name), state)
            self._find(findings(state, now_ns))
            for effect in spec.effects:
                if self._is_unfinished(state, effect):
                    self._runner.begin(name, effect, state.trip)
        for name in published:
            if name not in self._specs:
                self._publisher.delete(subjects.interlock_key(name))
        if writer is None:
            return
        # The last engine may have died between the save and the event. Event ids repeat, so consumers store one copy.
        wanted = InterlockHistoryQuery(from_ns=now_ns - TELL_AGAIN_NS, limit=ROWS)
        for row in reversed(await self._store.history(wanted)):
            self._publisher.event(event_of(row, self._title(row.interlock)))

    # Inputs from the bus.

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        self._evaluation.read(message, now_ns)
        self._heard()

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of a device, channel, partition, …; `word` None: unknown."""
        self._evaluation.state(subject, word, common, now_ns)
        self._heard()

    def lost(self, device: str, now_ns: int) -> None:
        """Take in that the host of a device is gone: its values are missing."""
        self._evaluation.lost(device, now_ns)
        self._heard()

    def adopt(self, name: str, cause: str, tripped_ns: int, place: str) -> None:
        """Take over a trip that a device host made by itself. `place`: that device host, as text."""
        if name in self._specs:
            event = AdoptTrip(cause=cause, tripped_ns=tripped_ns, place=place)
            self._evaluation.put(name, event, self._clock.now_ns())
            self._news.set()

    def complete(self, now_ns: int) -> None:
        """End the wait for first values: inputs without a value count as missing."""
        self._evaluation.complete(now_ns)
        self._heard()

    def _heard(self) -> None:
        # A reading can lead to no step and still bring a due time nearer: a rate changes as time passes.
        due_ns = self._evaluation.inputs_due_ns()
        if self._evaluation.is_waiting or (due_ns is not None and due_ns < self._looks_ns):
            self._news.set()

    def _report(self, interlock: str, effect: str, trip: int, trouble: str) -> None:
        event = ReportEffect(effect=effect, trip=trip, trouble=trouble)
        self._evaluation.put(interlock, event, self._clock.now_ns())
        self._news.set()

    # Steps, saves and effects.

    async def run(self) -> None:
        """Until cancelled, or until another process has taken over (Conflict)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._runner.run())
            while True:
                await self._wait()
                async with self._turn:
                    await self._carry(self._steps())
                    await self._save_again()

    async def command(self, name: str, event: InterlockEvent) -> None:
        """Carry out the command of a person; the change is saved and published when this returns. Refused if it is not
        allowed now. LinkError if the database does not answer or the inputs are not read yet; the interlock is then
        unchanged."""
        self.present(name)
        async with self._turn:
            await self._carry(self._steps())
            if not self._evaluation.is_ready(name):
                raise LinkError(
                    f"the inputs of the interlock {self._title(name)} are not read yet",
                    source=subjects.interlock_key(name),
                    code="looking",
                    suggestion="try again in some seconds",
                )
            before, now_ns = self._states[name], self._clock.now_ns()
            done = self._none()
            self._add(done, self._evaluation.ask(name, event, now_ns))
            if done.refusal is not None:
                await self._carry(done)
                raise Refused(done.refusal)
            try:
                await self._save({name} | self._unsaved, [*self._rows, *done.rows])
            except CountingRoomError:
                self._evaluation.restore(name, before)
                raise
            self._unsaved.clear()
            self._rows.clear()
            self._tell(done)

    async def _wait(self) -> None:
        due_ns = self._evaluation.next_due_ns()
        wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
        if self._unsaved or self._rows:
            wait_s = min(wait_s, self._next_save_s - self._clock.monotonic())
        self._looks_ns = self._clock.now_ns() + round(wait_s * 1e9)
        if wait_s > 0:
            with suppress(TimeoutError):
                async with within(self._clock, wait_s):
                    await self._news.wait()
        self._news.clear()

    def _none(self) -> _Done:
        return _Done(changed=set(), rows=[], begins=[], ends=[])

    def _steps(self) -> _Done:
        """Take all steps that wait, and those whose time has come."""
        done = self._none()
        for taken in self._evaluation.steps(self._clock.now_ns()):
            self._add(done, taken)
        return done

    def _add(self, done: _Done, taken: TakenStep) -> None:
        name = taken.name
        if taken.is_changed:
            done.changed.add(name)
        done.rows += rows_of(name, taken.actions, taken.now_ns)
        for action in taken.actions:
            if action.kind is ActionKind.REFUSED:
                done.refusal = action.refusal
            elif action.kind is ActionKind.ACT:
                spec = self._specs[name].effect(action.name)
                if spec is not None:
                    done.begins.append((name, spec))
            elif action.kind is ActionKind.RELEASE:
                done.ends.append((name, action.name))

    async def _carry(self, done: _Done) -> None:
        if not done.changed and not done.rows:
            return
        if done.rows:  # a step without an action changes only values that every engine derives from the bus again
            names = {row.interlock for row in done.rows}
            if self._saved.is_failing:  # a database that hangs must not delay each trip by SAVE_S
                self._keep_unsaved(names, done.rows)
            else:
                try:
                    await self._save(names, done.rows, synced=False)
                except (LinkError, OutOfRange):
                    self._keep_unsaved(names, done.rows)
        self._tell(done)

    def _keep_unsaved(self, names: set[str], rows: Iterable[InterlockEntry]) -> None:
        self._unsaved |= names
        self._rows.extend(rows)
        self._next_save_s = self._clock.monotonic() + AGAIN_S

    def _tell(self, done: _Done) -> None:
        """Publish changes and begin effects; called after the save."""
        now_ns = self._clock.now_ns()
        for name, effect in done.ends:
            self._runner.end(name, effect)
        for name, spec in done.begins:
            # Use the present trip, not the one of this step: while a save hung, the effect may have ended and begun
            # again for a new trip.
            if self._is_unfinished(state := self._states[name], spec):
                self._runner.begin(name, spec, state.trip)
        for name in done.changed:
            self._publisher.state(subjects.interlock_key(name), self._states[name])
            self._find(findings(self._states[name], now_ns))
        for row in done.rows:
            self._publisher.event(event_of(row, self._title(row.interlock)))

    async def _save_again(self) -> None:
        if not (self._unsaved or self._rows) or self._clock.monotonic() < self._next_save_s:
            return
        self._next_save_s = self._clock.monotonic() + AGAIN_S
        try:
            await self._save(self._unsaved, tuple(self._rows))
        except LinkError:
            return
        except OutOfRange as error:  # the database will never take these rows: save the states without them next time
            _log.error("interlocks: %d rows of the history are lost: %s", len(self._rows), error)
            self._rows.clear()
            return
        self._unsaved.clear()
        self._rows.clear()

    async def _save(self, names: Iterable[str], rows: Sequence[InterlockEntry], *, synced: bool = True) -> None:
        """LinkError if the database does not answer in time, Conflict if another process has taken over.

        `synced=False`: return before the data are on the disk. They outlive a kill of this process, not yet a power
        loss; the store syncs them right after. So a trip acts sooner."""
        writer = self._writer
        if writer is None:
            raise LinkError(
                "the database did not answer when this engine began",
                source="alarms",
                code="database_away",
                suggestion="look at the database and its disk, then send the command again",
            )
        states = [self._states[name] for name in names]
        saving = self._store.save(writer, states, rows, synced=synced)
        await save_within(self._clock, SAVE_S, self._saved, saving)

    def _title(self, name: str) -> str:
        return self._specs[name].shown if name in self._specs else name

    @staticmethod
    def _is_unfinished(state: InterlockState, effect: EffectSpec) -> bool:
        found = state.effect(effect.name)
        return (
            found is not None
            and found.acting_ns is not None
            and found.reached_ns is None
            and effect.kind is not InterlockEffect.FORBID
        )

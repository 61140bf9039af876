"""Plans and writes messages in a thread. With ten thousand alarms that takes up to 0.5 s, and the event loop of the
engine must not wait for it. The thread gets copies, so no other code changes its data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.alarms.states import AlarmState
from countingroom.core.notify.messages import Notification, NotificationKind
from countingroom.core.notify.missed import missed, together
from countingroom.core.notify.plan import plan
from countingroom.core.notify.planned import NextMessages, Planned
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.set_back import not_ahead, set_back
from countingroom.core.notify.texts import Find, Wording, compose
from countingroom.core.notify.tracks import PlanChanges, PlanState, Track, restored, saved
from countingroom.core.set_back import SetBackWatch

T = TypeVar("T")

INLINE = 100
"""Below this number of rows and alarms no thread is used: its start would take longer than the work."""


class UnstoredPlan(Struct, frozen=True, kw_only=True):
    """A plan that may not be stored yet. It is stored unchanged, because a new plan could give other messages for the
    same alarms."""

    messages: tuple[Notification, ...] = ()
    follow_ups: tuple[Planned, ...] = ()
    """Follow-ups; their receivers are found in the outbox."""
    changed: Mapping[str, str | None] = {}
    """The changed parts of the planner's memory; None: deleted."""
    sequence: int = 0
    """The number of the last history row that was read."""
    is_read: bool = False
    """Whether `sequence` moved on."""

    def __bool__(self) -> bool:
        return bool(self.messages or self.follow_ups or self.changed or self.is_read)

    def then(self, more: UnstoredPlan) -> UnstoredPlan:
        """Both, in this order."""
        return UnstoredPlan(
            messages=(*self.messages, *more.messages),
            follow_ups=(*self.follow_ups, *more.follow_ups),
            changed={**self.changed, **more.changed},
            sequence=max(self.sequence, more.sequence),
            is_read=self.is_read or more.is_read,
        )


class MessagePlanning:
    """Calls the planner with the routes and words of the description."""

    def __init__(
        self,
        spec: NotifySpec,
        words: Wording,
        find: Find,
        perhaps_told: Mapping[str, int | None],
        watch: SetBackWatch | None = None,
    ) -> None:
        """`perhaps_told`: alarm about which an earlier engine may have sent an unrecorded message -> time of its
        announcement (ns). `watch`: notices when the wall clock is set back."""
        self._watch = watch
        self._perhaps_told = perhaps_told
        self._spec = spec
        self._words = words
        self._find = find

    async def next(
        self,
        before: PlanState,
        rows: Sequence[AlarmEntry],
        present: Mapping[str, AlarmState],
        now_ns: int,
        *,
        last: NextMessages | None = None,
        changed: Sequence[str] = (),
    ) -> tuple[NextMessages, UnstoredPlan]:
        """The next plan, and the part of it that must be stored."""
        moved = PlanChanges()
        if self._watch and (by_ns := self._watch.by_ns()):
            before, moved = set_back(before, by_ns)
            last = None
        size = len(rows) + len(before.tracks)
        seen = present if size < INLINE else {**present}  # others may change it meanwhile
        found = await _beside(size, partial(plan, self._spec, before, rows, seen, now_ns, last=last, changed=changed))
        first = {one.tracks[0].alarm for one in found.messages}
        definitions = {alarm: self._find(alarm) for alarm in first}
        repeats = frozenset(one.id for one in found.messages if self._may_repeat(one))
        waiting = await _beside(size, partial(_worded, found, definitions, seen, self._words, repeats))
        return found, UnstoredPlan(changed=saved(moved)).then(waiting) if moved else waiting

    async def missed(self, before: PlanState, present: Mapping[str, AlarmState], now_ns: int) -> list[AlarmEntry]:
        """Rows for alarms that have no track, and for tracked alarms that are over."""
        return await _beside(len(present), partial(missed, self._spec, before, {**present}, now_ns))

    async def worded(self, planned: Sequence[Planned], present: Mapping[str, AlarmState]) -> list[Notification]:
        """The messages of follow-ups whose receivers are known."""
        definitions = {one.tracks[0].alarm: self._find(one.tracks[0].alarm) for one in planned}
        size = sum(len(one.tracks) for one in planned)
        seen = present if size < INLINE else {**present}
        return await _beside(size, lambda: [compose(one, definitions.get, seen, self._words) for one in planned])

    def perhaps_told(self, alarms: Mapping[str, int | None]) -> None:
        """Add alarms about which an earlier engine may have sent messages -> time of their announcement (ns)."""
        self._perhaps_told = {**self._perhaps_told, **alarms}

    def known(self, tracks: Iterable[Track]) -> None:
        """Take in tracks of an earlier engine: for these alarms it is recorded which messages it sent."""
        known = {(track.alarm, track.announced_ns) for track in tracks}
        self._perhaps_told = {alarm: ns for alarm, ns in self._perhaps_told.items() if (alarm, ns) not in known}

    async def rejoined(
        self, plan: Mapping[str, str], before: PlanState, waiting: UnstoredPlan, now_ns: int
    ) -> tuple[PlanState, UnstoredPlan]:
        """The planner's memory and the unstored plan after the database answers with the saved memory `plan`. `before`
        and `waiting`: the memory and plan without it. For each alarm the track that is further ahead counts."""
        size = len(plan) + len(before.tracks)
        state, waiting = await _beside(size, partial(_rejoined, plan, before, waiting))
        return await _beside(size, partial(not_ahead, self._spec, state, now_ns)), waiting

    def _may_repeat(self, planned: Planned) -> bool:
        if planned.kind is NotificationKind.REMINDER:  # its id contains its time, so it is never a repeat
            return False
        return any(self._perhaps_told.get(track.alarm) == track.announced_ns for track in planned.tracks)


def _rejoined(plan: Mapping[str, str], before: PlanState, waiting: UnstoredPlan) -> tuple[PlanState, UnstoredPlan]:
    state = restored(plan.items())
    over = {track.key for one in waiting.follow_ups for track in one.tracks} - before.tracks.keys()
    further = together(state, before.tracks)
    tracks = {key: track for key, track in {**state.tracks, **further}.items() if key not in over}
    changes = PlanChanges(tracks={**dict.fromkeys(over), **further}, sent=before.sent)
    return PlanState(tracks=tracks, sent={**state.sent, **before.sent}), replace(waiting, changed=saved(changes))


def _worded(
    found: NextMessages,
    definitions: Mapping[str, AlarmDefinition | None],
    present: Mapping[str, AlarmState],
    words: Wording,
    repeats: frozenset[str],
) -> UnstoredPlan:
    is_over = NotificationKind.FOLLOW_UP
    messages = (compose(one, definitions.get, present, words) for one in found.messages if one.kind is not is_over)
    return UnstoredPlan(
        messages=tuple(replace(one, is_repeat=True) if one.id in repeats else one for one in messages),
        follow_ups=tuple(one for one in found.messages if one.kind is is_over),
        changed=saved(found.changed),
    )


async def _beside(size: int, work: Callable[[], T]) -> T:
    return work() if size < INLINE else await asyncio.to_thread(work)

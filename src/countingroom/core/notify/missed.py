"""Finds alarms whose history rows were lost with the last engine, and makes rows for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.notify.plan import Present, is_waiting
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.tracks import Key, PlanState, Track


def missed(spec: NotifySpec, before: PlanState, present: Present, now_ns: int) -> list[AlarmEntry]:
    """Rows for alarms that are announced and not acknowledged, and that no track knows: those of a new route, and those
    whose rows of the history were lost. And for tracks of alarms that are over."""
    found: dict[str, AlarmEntry] = {}
    for state in present.values():
        if not is_waiting(state) or state.announced_ns is None:
            continue
        for name, route in spec.routes.items():
            track = before.tracks.get((name, state.id))
            if route.matches(state.area, state.priority) and (
                track is None or (track.occurrence, track.announced_ns) < (state.occurrence, state.announced_ns)
            ):
                found[state.id] = _row_of(state, state.announced_ns)
                break
    for track in before.tracks.values():
        if track.returned_ns is None and track.alarm not in found and _is_over(track, present):
            found[track.alarm] = _return_of(track, present.get(track.alarm), now_ns)
    return sorted(found.values(), key=lambda row: (row.time_ns, row.alarm))


def together(saved: PlanState, copied: Mapping[Key, Track]) -> dict[Key, Track]:
    """The tracks of a copy that have come further than the saved ones."""
    return {
        key: track
        for key, track in copied.items()
        if (known := saved.tracks.get(key)) is None or _place(track) > _place(known)
    }


def renumbered(track: Track, shifts: Mapping[str, int]) -> Track:
    """The track with the occurrence that its alarm got afterwards. `shifts`: alarm -> how much is added."""
    return replace(track, occurrence=track.occurrence + shifts.get(track.alarm, 0))


def _place(track: Track) -> tuple[int, int, int, bool]:
    return track.occurrence, track.announced_ns, track.step, track.returned_ns is not None


def _is_over(track: Track, present: Present) -> bool:
    state = present.get(track.alarm)
    return state is None or state.occurrence > track.occurrence or not state.base.is_active


def _row_of(state: AlarmState, announced_ns: int) -> AlarmEntry:
    return AlarmEntry(
        time_ns=announced_ns,
        alarm=state.id,
        area=state.area,
        title=state.title,
        kind=HistoryKind.ANNOUNCED,
        occurrence=state.occurrence,
        base=state.base,
        priority=state.priority,
        text=state.text,
    )


def _return_of(track: Track, state: AlarmState | None, now_ns: int) -> AlarmEntry:
    returned_ns = state.returned_ns if state and state.occurrence == track.occurrence else None
    return AlarmEntry(
        time_ns=now_ns if returned_ns is None else returned_ns,
        alarm=track.alarm,
        area=track.area,
        title=track.title,
        kind=HistoryKind.RETURNED,
        occurrence=track.occurrence,
        base=BaseState.NORMAL,
        priority=track.priority,
    )

"""Corrects the memory of the planner after the wall clock was set back, so that delays keep their lengths. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.tracks import PlanChanges, PlanState, Track


def set_back(before: PlanState, by_ns: int) -> tuple[PlanState, PlanChanges]:
    """The state with all times of steps moved back by `by_ns`."""
    tracks = {key: _moved(track, by_ns) for key, track in before.tracks.items()}
    sent = {route: tuple(time_ns - by_ns for time_ns in times) for route, times in before.sent.items()}
    return PlanState(tracks=tracks, sent=sent), PlanChanges(tracks=dict(tracks), sent=sent)


def not_ahead(spec: NotifySpec, before: PlanState, now_ns: int) -> PlanState:
    """The saved state, without times that lie further ahead than their route asks for: they were saved before the clock
    was set back."""
    tracks = {key: _not_ahead(spec, track, now_ns) for key, track in before.tracks.items()}
    sent = {route: tuple(min(time_ns, now_ns) for time_ns in times) for route, times in before.sent.items()}
    return PlanState(tracks=tracks, sent=sent)


def _not_ahead(spec: NotifySpec, track: Track, now_ns: int) -> Track:
    if track.returned_ns is not None and track.returned_ns > now_ns:
        return replace(track, returned_ns=now_ns)
    if track.step > 0:
        ahead_ns = track.first_ns - now_ns
        return _moved(track, ahead_ns) if ahead_ns > 0 else track
    route = spec.routes.get(track.route)
    if route is None or track.due_ns is None or track.due_ns <= now_ns + route.after_ns:
        return track
    return replace(track, due_ns=now_ns + route.after_ns)


def _moved(track: Track, by_ns: int) -> Track:
    """`announced_ns` belongs to the identity of its messages and stays."""
    return replace(
        track,
        due_ns=_earlier(track.due_ns, by_ns),
        first_ns=track.first_ns - by_ns if track.first_ns else 0,
        remind_ns=_earlier(track.remind_ns, by_ns),
        returned_ns=_earlier(track.returned_ns, by_ns),
    )


def _earlier(time_ns: int | None, by_ns: int) -> int | None:
    return None if time_ns is None else time_ns - by_ns

"""Notes of the experiment: incidents, maintenance and others, and what of them counts now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from msgspec import Struct

from countingroom.mirror.store.values import RecordRow
from countingroom.site import bodies

NOTE = "note"
AHEAD_S = 14 * 86_400.0
"""Maintenance that is planned within this time stands on the page Now."""
_ENDED = "ended"
_URGENCY = {"incident": 0, "maintenance": 1, "note": 3}
_TITLES = {"incident": "Incident", "maintenance": "Maintenance", "note": "Note"}


class NoteUpdateView(Struct, frozen=True, kw_only=True):
    """What was added to a note later."""

    at_s: float | None
    text: str
    author: str


class NoteView(Struct, frozen=True, kw_only=True):
    """A note."""

    number: int
    sort: str
    """`incident`, `maintenance` or `note`."""
    phase: str
    """`open`, `ended`, `planned` (it has not begun), `under way`, `overdue` (its planned end is over)."""
    mark: str
    """Class of its mark."""
    title: str
    text: str
    parts: tuple[str, ...]
    from_s: float | None
    to_s: float | None
    """Planned end."""
    ended_s: float | None
    made_s: float | None
    changed_s: float | None
    author: str
    updates: tuple[NoteUpdateView, ...]
    """The oldest first."""

    @property
    def what(self) -> str:
        """Its sort as a word of a heading."""
        return _TITLES.get(self.sort, "Note")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.phase == _ENDED

    def span(self, now_s: float) -> tuple[float, float] | None:
        """From when to when it held, up to now; None where it has not begun."""
        begin_s = self.from_s or self.made_s
        if begin_s is None or begin_s > now_s:
            return None
        end_s = self.ended_s if self.is_over else now_s
        return None if end_s is None or end_s < begin_s else (begin_s, min(end_s, now_s))


def notes(records: Iterable[RecordRow], now_s: float) -> list[NoteView]:
    """All notes, the newest first."""
    found = [_note(one.key, one.body, now_s) for one in records if one.kind == NOTE and one.body is not None]
    return sorted(found, key=lambda one: -one.number)


def present_notes(every: Iterable[NoteView], now_s: float) -> list[NoteView]:
    """Those that count now: what is open, and maintenance of the next days; incidents first, what is planned last."""
    shown = [one for one in every if not one.is_over and (one.from_s or 0.0) <= now_s + AHEAD_S]
    return sorted(shown, key=lambda one: (_rank(one), one.from_s if one.phase == "planned" else -(one.from_s or 0.0)))


def _rank(note: NoteView) -> int:
    return 2 if note.phase == "planned" else _URGENCY.get(note.sort, 3)


def _note(key: str, body: bodies.Body, now_s: float) -> NoteView:
    sort = bodies.text(body, "sort") or NOTE
    from_s, to_s = bodies.time_s(body, "from"), bodies.time_s(body, "to")
    phase = _phase(bodies.text(body, "state"), sort, from_s, to_s, now_s)
    parts = body.get("parts")
    given = cast("list[Any]", parts) if isinstance(parts, list) else []
    return NoteView(
        number=bodies.whole(body, "note") or (int(key) if key.isdecimal() and len(key) < 12 else 0),
        sort=sort,
        phase=phase,
        mark=_mark(sort, phase),
        title=bodies.text(body, "title"),
        text=bodies.text(body, "text"),
        parts=tuple(str(one) for one in given),
        from_s=from_s,
        to_s=to_s,
        ended_s=bodies.time_s(body, "ended"),
        made_s=bodies.time_s(body, "made"),
        changed_s=bodies.time_s(body, "changed"),
        author=bodies.text(body, "author"),
        updates=tuple(_updates(body)),
    )


def _updates(body: bodies.Body) -> Iterable[NoteUpdateView]:
    given = body.get("updates")
    for one in cast("list[Any]", given) if isinstance(given, list) else []:
        if isinstance(one, Mapping):
            update = cast("bodies.Body", one)
            at_s = bodies.time_s(update, "time")
            yield NoteUpdateView(at_s=at_s, text=bodies.text(update, "text"), author=bodies.text(update, "author"))


def _phase(state: str, sort: str, from_s: float | None, to_s: float | None, now_s: float) -> str:
    if state == _ENDED:
        return _ENDED
    if from_s is not None and from_s > now_s:
        return "planned"
    if sort == "maintenance":
        return "overdue" if to_s is not None and to_s <= now_s else "under way"
    return "open"


def _mark(sort: str, phase: str) -> str:
    if phase == _ENDED:
        return "empty"
    if phase == "planned":
        return "off"
    if phase == "overdue":
        return "g3"
    return {"incident": "g2", "maintenance": "half"}.get(sort, "empty")

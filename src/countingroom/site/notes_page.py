"""The page of notes with their history, and the same as JSON."""

from __future__ import annotations

from typing import Any

from countingroom.site import zones
from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.notes_view import NOTE, NoteView, notes
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest

PER_PAGE = 50


class NotesPages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def page(self, question: PageRequest) -> SiteAnswer:
        """Notes, the newest first, some at a time."""
        before = question["before"]
        found = await self._found(question)
        older = found[PER_PAGE - 1].number if len(found) > PER_PAGE else None
        text = self._renderer.page("notes.html", question, notes=found[:PER_PAGE], older=older, before=before)
        return SiteAnswer(body=text.encode())

    async def data(self, question: PageRequest) -> SiteAnswer:
        """The same as JSON."""
        limit: int = question["limit"]
        found = await self._found(question)
        next_before = found[limit - 1].number if len(found) > limit else None
        return as_json({"notes": [as_row(one) for one in found[:limit]], "next_before": next_before})

    async def _found(self, question: PageRequest) -> list[NoteView]:
        before = question["before"]
        every = notes(await self._records.reader.now(NOTE), question.now_s)
        return [one for one in every if before is None or one.number < before]


def as_row(note: NoteView) -> dict[str, Any]:
    """A note in the API."""
    times = {"from": note.from_s, "to": note.to_s, "ended": note.ended_s, "made": note.made_s}
    return {
        "number": note.number,
        "sort": note.sort,
        "phase": note.phase,
        "title": note.title,
        "text": note.text,
        "parts": note.parts,
        **{name: zones.iso(at_s) for name, at_s in (*times.items(), ("changed", note.changed_s))},
        "author": note.author,
        "updates": [{"time": zones.iso(one.at_s), "text": one.text, "author": one.author} for one in note.updates],
    }

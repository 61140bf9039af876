"""The questions about notes for the public, their answers, and what is published of them. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from countingroom.core.errors import Cause
from countingroom.core.mirror.notes import OperatorNote
from countingroom.core.values import Scalar

NOTES_KEY = "mirror_notes.book"
"""Key in `state`."""
NOTES_QUERY, PREVIEW_QUERY = "notes", "note_preview"
MOST_NOTES = 500


class NotesState(Struct, frozen=True, kw_only=True):
    """How many notes there are, at the key `mirror_notes.book` of the bucket `state`: numbers only."""

    open: int = 0
    ended: int = 0
    changes: int = 0
    """Rises with each change."""
    is_published: bool = True
    """Whether the policy lets notes leave."""


class NotesQuery(Struct, frozen=True, kw_only=True):
    """`query.mirror.notes`: which notes are there?"""

    most: Annotated[int, Meta(ge=1, le=MOST_NOTES)] = 100


class ShownNote(Struct, frozen=True, kw_only=True):
    """A note, inside and outside."""

    note: OperatorNote
    outside: dict[str, Any] | None
    """Its fields as they leave; none: it stays inside."""
    why_not: str = ""
    """Why it stays inside."""


class NotesAnswer(Struct, frozen=True, kw_only=True, tag="mirror_notes"):
    """The answer: the notes that are not withdrawn, the newest first."""

    state: NotesState
    notes: tuple[ShownNote, ...] = ()
    parts: tuple[str, ...] = ()
    """Names of partitions, devices and services that are published now: what a note may be about."""


class NotePreviewQuery(Struct, frozen=True, kw_only=True):
    """`query.mirror.note_preview`: what would be seen outside after this command?"""

    action: str
    arguments: dict[str, Scalar | None] = {}
    by: str


class NotePreview(Struct, frozen=True, kw_only=True, tag="mirror_note_preview"):
    """The answer. Nothing was changed."""

    mark: str
    """The command takes it: it publishes what was shown, and nothing else. Empty: it would be refused."""
    outside: dict[str, Any] | None
    masked: int = 0
    """Pieces of the texts that were replaced, as they may name a person, a computer or a place."""
    withheld: tuple[str, ...] = ()
    """Fields of the note that stay inside, with the reason."""
    cause: Cause | None = None
    """Why the command would be refused."""

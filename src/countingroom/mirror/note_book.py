"""The notes for the public as they are inside: a file of the data folder, and what is published of it.

The file is never rewritten: each change adds a line with the whole note, and the last one of a number counts. The
earlier ones are its history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.note_queries import MOST_NOTES
from countingroom.core.mirror.notes import OperatorNote, of_note
from countingroom.core.mirror.raw_records import RawRecord
from countingroom.mirror.line_files import append_lines, read_lines

NOTES = Path("mirror") / "notes.jsonl"
"""In the data folder."""


class NoteBook:
    """All notes. One process has it."""

    def __init__(self, path: Path) -> None:
        """ConfigurationError for a file that cannot be read: a note that was withdrawn must not come back."""
        self._path = path
        self._notes: dict[int, OperatorNote] = {}
        self.changes = 0
        self.changed = asyncio.Event()
        """Set with each change; who follows the notes clears it."""
        for number, line in enumerate(read_lines(path), 1):
            try:
                one = msgspec.json.decode(line, type=OperatorNote)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise ConfigurationError(
                    f"it is no note: {error}",
                    source=f"{path}:{number}",
                    code="bad_note",
                    suggestion="restore the file from a backup, or remove the line",
                ) from error
            self._notes[one.number] = one

    @property
    def next_number(self) -> int:
        """Of a new note."""
        return max(self._notes, default=0) + 1

    def note(self, number: int) -> OperatorNote | None:
        """A note that is not withdrawn."""
        found = self._notes.get(number)
        return None if found is None or found.withdrawn else found

    def published(self) -> list[OperatorNote]:
        """Those that are shown outside as far as the policy permits, the newest first: open ones, and the newest of
        the others."""
        shown = sorted((one for one in self._notes.values() if not one.withdrawn), key=lambda one: -one.number)
        ended = [one.number for one in shown if one.ended_ns]
        gone = set(ended[MOST_NOTES:])
        return [one for one in shown if one.number not in gone]

    async def keep(self, note: OperatorNote) -> None:
        """Keep a note, on the disk when it returns. LinkError where that fails; then nothing has changed."""
        await asyncio.to_thread(append_lines, self._path, [msgspec.json.encode(note)], "the note")
        self._notes[note.number] = note
        self.changes += 1
        self.changed.set()


async def follow_notes(
    book: NoteBook,
    put: Callable[[str, RawRecord], None],
    gone: Callable[[str], None],
    retire: Callable[[], None],
) -> None:
    """Give all published notes to the feed, now and after each change, until cancelled.

    `put`, `gone`: take a note by its name inside; `retire`: tells as gone what is published and was not put.
    """
    known: set[str] = set()
    while True:
        book.changed.clear()
        present = {f"note.{one.number}": one for one in book.published()}
        for name in known - present.keys():
            gone(name)
        for name, one in present.items():
            put(name, of_note(one))
        known = set(present)
        retire()
        await book.changed.wait()

"""Notes for the public as a service: people ask what would be seen outside, and publish exactly that.

Commands come through the command server, so each is authorised, recorded and audited as all commands are. A note is
on the disk before its command is answered; the feed follows the notes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler, from_rows
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.notes import MARKED, NOTES, NOTES_TARGET
from countingroom.core.errors import Cause, CountingRoomError, NotFound, OutOfRange, Refused
from countingroom.core.messages import Command, Malformed, decode, encode
from countingroom.core.mirror.note_queries import (
    NOTES_KEY,
    NOTES_QUERY,
    PREVIEW_QUERY,
    NotePreview,
    NotePreviewQuery,
    NotesAnswer,
    NotesQuery,
    NotesState,
    ShownNote,
)
from countingroom.core.mirror.notes import KIND, Arguments, OperatorNote, drafted, of_note
from countingroom.core.mirror.redactor import Redacted, Redactor
from countingroom.core.policy import Permission
from countingroom.core.series import QueryRefusal
from countingroom.mirror.note_book import NoteBook

DEPARTMENT = "mirror"
SOURCE = "mirror.notes"
_MOST_BYTES = 700_000
"""Of an answer: a message of the bus has at most 1 MiB."""
_OF_MOMENT = ("note", "made", "changed", "ended")
"""Fields that differ between a preview and its command."""


class NoteService:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        publisher: Publisher,
        book: NoteBook,
        redactor: Callable[[], Redactor],
        parts: Callable[[], list[str]],
    ) -> None:
        """`publisher`: of the role, which runs it. `redactor` gives the one in force, `parts` the names of what is
        published now."""
        self._bus = bus
        self._clock = clock
        self._publisher = publisher
        self._book = book
        self._redactor = redactor
        self._parts = parts
        self._turn = asyncio.Lock()
        self._handlers: Mapping[str, CommandHandler] = from_rows(NOTES, dict.fromkeys(NOTES, self._publish))

    async def run(self) -> None:
        """Until cancelled."""
        server = CommandServer(self._bus, self._clock, DEPARTMENT, NOTES_TARGET, self, self._publisher)
        async with (
            self._bus.respond(subjects.query(DEPARTMENT, NOTES_QUERY), self._list, concurrency=2),
            self._bus.respond(subjects.query(DEPARTMENT, PREVIEW_QUERY), self._preview, concurrency=2),
        ):
            self._publisher.state(NOTES_KEY, self.state())
            await server.run()

    def state(self) -> NotesState:
        """How many there are."""
        notes = self._book.published()
        ended = sum(1 for one in notes if one.ended_ns)
        return NotesState(
            open=len(notes) - ended, ended=ended, changes=self._book.changes, is_published=self._redactor().takes(KIND)
        )

    # CommandTarget.

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, "the mirror")

    def permission(self, command: Command) -> Permission:
        return NOTES[command.action].permission if command.action in NOTES else Permission.ADMINISTER

    def present(self, command: Command) -> str:
        """Whether the note is open now."""
        number = command.arguments.get("note")
        found = self._book.note(number) if isinstance(number, int) else None
        return found.state if found else ""

    def refusal(self, request: CommandRequest) -> Cause | None:
        """None: the handlers refuse."""
        return None

    async def settle(self) -> Mapping[str, int]:
        self._publisher.state(NOTES_KEY, self.state())
        await self._publisher.flush()
        return {"state": self._publisher.revision} if self._publisher.revision else {}

    # Commands.

    async def _publish(self, request: CommandRequest) -> Completion:
        action, arguments = request.command.action, dict(request.command.arguments)
        async with self._turn:
            note, left = self._draft(action, arguments, request.by)
            if action in MARKED and request.text("mark") != _mark(action, note, left):
                raise Refused(
                    Cause(
                        code="not_shown",
                        message="what is to be published is not what was shown",
                        source=SOURCE,
                        suggestion="look at the preview again, then publish it",
                    )
                )
            await self._book.keep(note)
        return None

    def _draft(self, action: str, arguments: Arguments, by: str) -> tuple[OperatorNote, Redacted]:
        """The note after a command, and how it leaves. An error with the reason why the command is refused."""
        if action not in NOTES:
            known = ", ".join(NOTES)
            raise NotFound(f"notes have no command {action!r}", source=SOURCE, suggestion=f"choose one of {known}")
        before = None if action == "add" else self._known(arguments.get("note"))
        note = drafted(action, arguments, before, self._book.next_number, by, self._clock.now_ns())
        if action != "withdraw":
            known = {*self._parts(), *(before.parts if before else ())}
            if unknown := [one for one in note.parts if one not in known]:
                raise OutOfRange(
                    f"nothing of the name {unknown[0]!r} is published now",
                    code="unknown_part",
                    suggestion=f"name some of: {', '.join(sorted(known)) or 'nothing is published yet'}",
                )
        left = self._redacted(note)
        if action != "withdraw":
            self._check(left)
        return note, left

    def _known(self, number: object) -> OperatorNote:
        is_number = isinstance(number, int) or (isinstance(number, str) and number.isdecimal() and len(number) < 10)
        found = self._book.note(int(number)) if is_number else None  # pyright: ignore[reportArgumentType]
        if found is None:
            raise NotFound(f"there is no note {number!r}", source=SOURCE, suggestion="look at the list again")
        return found

    def _redacted(self, note: OperatorNote) -> Redacted:
        raw = of_note(note)
        return self._redactor().record(raw.kind, raw.fields, known=raw.known)

    def _check(self, left: Redacted) -> None:
        code, message, suggestion = "", "", "see mirror.publish in the description"
        if not self._redactor().takes(KIND):
            code, message = "not_published", "the policy lets no notes leave"
        elif left.hit:
            code = "held_back"
            message = f"the last check finds the {left.hit.kind} {left.hit.name!r} in it, {left.hit.how}"
            suggestion = "write it without names of the inside"
        elif not (left.record or {}).get("title") or "note" not in (left.record or {}):
            code, message = "not_published", "the policy lets no title or no number of a note leave"
        if code:
            raise Refused(Cause(code=code, message=message, source=SOURCE, suggestion=suggestion))

    # Questions.

    async def _list(self, message: Message) -> bytes:
        try:
            query = decode(message.data, NotesQuery)
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question for notes", error, "mirror")))
        shown = [self._shown(one) for one in self._book.published()[: query.most]]
        answer = NotesAnswer(state=self.state(), notes=tuple(shown), parts=tuple(self._parts()))
        while len(data := encode(answer)) > _MOST_BYTES and shown:
            shown = shown[: len(shown) // 2]
            answer = msgspec.structs.replace(answer, notes=tuple(shown))
        return data

    def _shown(self, note: OperatorNote) -> ShownNote:
        left = self._redacted(note)
        try:
            self._check(left)
        except Refused as error:
            return ShownNote(note=note, outside=None, why_not=error.cause.message)
        return ShownNote(note=note, outside=_plain(left))

    async def _preview(self, message: Message) -> bytes:
        try:
            query = decode(message.data, NotePreviewQuery)
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question for a preview", error, "mirror")))
        try:
            note, left = self._draft(query.action, query.arguments, query.by)
        except CountingRoomError as error:
            return encode(NotePreview(mark="", outside=None, cause=error.cause))
        if query.action == "withdraw":
            return encode(NotePreview(mark="", outside=None))
        withheld = tuple(
            f"{one.path}: {one.why or one.what}" for one in left.decisions if one.what in ("withheld", "not listed")
        )
        preview = NotePreview(
            mark=_mark(query.action, note, left), outside=_plain(left), masked=left.masks, withheld=withheld
        )
        return encode(preview)


def _plain(left: Redacted) -> dict[str, object]:
    return {name: one for name, one in (left.record or {}).items() if one is not None}


def _mark(action: str, note: OperatorNote, left: Redacted) -> str:
    """Of what a preview shows: the same for the command that publishes it some time later, as long as the same would be
    seen outside."""
    seen = _plain(left)
    for name in _OF_MOMENT:
        seen.pop(name, None)
    if note.from_ns // 1_000_000_000 == note.made_ns // 1_000_000_000:
        seen.pop("from", None)  # it begins when it is published
    if action in ("update", "end"):
        updates = cast("list[dict[str, object]]", seen.get("updates", []))
        seen["updates"] = [{name: one for name, one in each.items() if name != "time"} for each in updates]
    which = 0 if action == "add" else note.number
    told = msgspec.json.encode([action, which, seen], order="deterministic")
    return hashlib.sha256(told).hexdigest()[:16]

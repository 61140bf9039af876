"""Notes of operators for the public: incidents, maintenance and others, and how one is made from a command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast, get_args

from msgspec import Struct, structs

from countingroom.core.errors import OutOfRange
from countingroom.core.mirror.raw_records import RawRecord
from countingroom.core.times import format_time, parse_time
from countingroom.core.values import Scalar

KIND = "note"
"""Of the records that leave."""
NoteSort = Literal["incident", "maintenance", "note"]
SORTS: tuple[str, ...] = get_args(NoteSort)
MOST_TITLE, MOST_TEXT, MOST_UPDATES, MOST_PARTS = 120, 2000, 100, 20
_S_NS = 1_000_000_000


class OperatorUpdate(Struct, frozen=True, kw_only=True):
    """What was added to a note later."""

    at_ns: int
    text: str
    by: str


class OperatorNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A note as it is inside."""

    number: int
    sort: NoteSort
    title: str
    text: str = ""
    parts: tuple[str, ...] = ()
    """What it is about: partitions, devices and services, by the names that are published."""
    from_ns: int
    """When it began, or is planned to begin."""
    to_ns: int = 0
    """When it is planned to end; 0: not known."""
    ended_ns: int = 0
    """When it was ended; 0: it is open."""
    updates: tuple[OperatorUpdate, ...] = ()
    by: str
    """Author."""
    made_ns: int
    changed_ns: int
    changed_by: str
    withdrawn: bool = False
    """It is not shown outside any more."""

    @property
    def state(self) -> str:
        """`open` or `ended`."""
        return "ended" if self.ended_ns else "open"


def of_note(note: OperatorNote) -> RawRecord:
    """A note as a record, before any rule is applied."""
    times = {"from": note.from_ns, "to": note.to_ns, "ended": note.ended_ns, "made": note.made_ns}
    fields = {
        "note": note.number,
        "sort": note.sort,
        "state": note.state,
        "title": note.title,
        "text": note.text or None,
        "parts": list(note.parts),
        **{name: format_time(at_ns) for name, at_ns in (*times.items(), ("changed", note.changed_ns)) if at_ns},
        "updates": [{"time": format_time(one.at_ns), "text": one.text, "author": one.by} for one in note.updates],
        "author": note.by,
    }
    return RawRecord(kind=KIND, key=("note",), at_ns=note.changed_ns, fields=fields, known=note.parts)


Arguments = Mapping[str, Scalar | None]


def drafted(
    action: str, arguments: Arguments, before: OperatorNote | None, number: int, by: str, now_ns: int
) -> OperatorNote:
    """The note that a command makes. `before`: the one that it changes; `number`: of a new one. OutOfRange for an
    argument that is missing or wrong."""
    draft = _ACTIONS[action]
    now_ns = now_ns // _S_NS * _S_NS  # a time with nine decimals can carry a text
    if before is None:
        sort = _text(arguments, "sort") or "incident"
        if sort not in SORTS:
            raise OutOfRange(f"sort is one of {', '.join(SORTS)}", code="wrong_argument", suggestion="give one of them")
        before = OperatorNote(
            number=number,
            sort=cast("NoteSort", sort),
            title="",
            from_ns=now_ns,
            by=by,
            made_ns=now_ns,
            changed_ns=now_ns,
            changed_by=by,
        )
    return structs.replace(draft(before, arguments, by, now_ns), changed_ns=now_ns, changed_by=by)


def _written(note: OperatorNote, arguments: Arguments, by: str, now_ns: int) -> OperatorNote:
    """With the texts and times that are given; an empty text or `-` as a time takes away what there was."""
    changes: dict[str, object] = {}
    if "title" in arguments or not note.title:
        changes["title"] = _needed(arguments, "title", MOST_TITLE)
    if "text" in arguments:
        changes["text"] = _text(arguments, "text", MOST_TEXT)
    if "parts" in arguments:
        parts = tuple(dict.fromkeys(one.strip() for one in _text(arguments, "parts").split(",") if one.strip()))
        if len(parts) > MOST_PARTS:
            raise OutOfRange(f"a note names at most {MOST_PARTS} parts", code="wrong_argument", suggestion="name fewer")
        changes["parts"] = parts
    for name in ("from", "to"):
        if given := _text(arguments, name):
            at_ns = 0 if given == "-" else parse_time(given, now_ns=now_ns) // _S_NS * _S_NS
            changes[f"{name}_ns"] = at_ns or (note.made_ns if name == "from" else 0)
    changed = structs.replace(note, **changes)
    if changed.to_ns and changed.to_ns <= changed.from_ns:
        raise OutOfRange("its end is not after its beginning", code="wrong_argument", suggestion="correct from or to")
    return changed


def _updated(note: OperatorNote, arguments: Arguments, by: str, now_ns: int) -> OperatorNote:
    if len(note.updates) >= MOST_UPDATES:
        raise OutOfRange(
            f"a note has at most {MOST_UPDATES} updates", code="wrong_argument", suggestion="add another note"
        )
    text = _needed(arguments, "text", MOST_TEXT)
    return structs.replace(note, updates=(*note.updates, OperatorUpdate(at_ns=now_ns, text=text, by=by)))


def _ended(note: OperatorNote, arguments: Arguments, by: str, now_ns: int) -> OperatorNote:
    changed = _updated(note, arguments, by, now_ns) if _text(arguments, "text") else note
    given = _text(arguments, "at")
    at_ns = parse_time(given, now_ns=now_ns) // _S_NS * _S_NS if given else now_ns
    if at_ns > now_ns:
        raise OutOfRange("it ends in the future", code="wrong_argument", suggestion="leave the time out, or set `to`")
    # What is ended before it begins was called off.
    return structs.replace(changed, ended_ns=at_ns if at_ns > note.from_ns else now_ns)


def _withdrawn(note: OperatorNote, arguments: Arguments, by: str, now_ns: int) -> OperatorNote:
    return structs.replace(note, withdrawn=True)


_ACTIONS: Mapping[str, Callable[[OperatorNote, Arguments, str, int], OperatorNote]] = {
    "add": _written,
    "edit": _written,
    "update": _updated,
    "end": _ended,
    "withdraw": _withdrawn,
}


def _text(arguments: Arguments, name: str, most: int = 500) -> str:
    value = arguments.get(name)
    text = "" if value is None else str(value).strip()
    if len(text) > most:
        raise OutOfRange(f"{name} has at most {most} characters", code="wrong_argument", suggestion="write it shorter")
    return text


def _needed(arguments: Arguments, name: str, most: int) -> str:
    if text := _text(arguments, name, most):
        return text
    raise OutOfRange(f"{name} is missing", code="missing_argument", suggestion=f"give {name}")

"""Templates of log lines, what is approved of each, and the line that leaves.

A line leaves only if its template is approved. The approval says for each slot: publish the value within a range or of
a list, replace a name by its alias, or mask it by its kind. A value outside its range or list is masked as well, so an
approval never publishes what its author has not seen.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.shapes import ShapeTable, shape_of
from countingroom.core.mirror.tokens import LONGEST_LINE, PLAIN, Token, tokens

MOST_SLOTS = 100
_MOST_VALUES = 50
MOST_DIGITS = 24
"""Of a number; a longer one may hold a text, and is no reading."""
_NUMBERS = frozenset({"int", "float"})

_SLOT = re.compile(r"<<>|<([a-z]+)>")
"""A slot, or the sign `<` itself."""

How = Literal["publish", "one_of", "pseudonym", "mask"]


class SlotRule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What becomes of one slot."""

    how: How = "mask"
    least: float | None = None
    """`publish`: smallest value of an int or a float."""
    most: float | None = None
    values: tuple[str, ...] = ()
    """`one_of`: the texts that are published."""
    kind: str = "host"
    """`pseudonym`: the kind of the alias; one kind for all names of computers."""


class Approval(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A template that may leave."""

    template: str
    slots: tuple[SlotRule, ...] = ()
    by: str = ""
    refused: bool = False
    """Seen, and it does not leave; it is not proposed again."""
    changed_ns: int = 0


class Part(Struct, frozen=True):
    """A piece of a line that leaves."""

    text: str
    kind: str = ""
    """Of a slot that is masked or replaced; empty: published as it was."""
    is_masked: bool = False


class ReadLine(Struct, frozen=True):
    """A line and its template."""

    template: str
    pieces: tuple[Token, ...]

    @property
    def slots(self) -> tuple[Token, ...]:
        """The pieces that differ from line to line."""
        return tuple(one for one in self.pieces if one.kind)


def read_line(line: str) -> ReadLine | None:
    """The line as template and slots; None for a line that is too long or has too many slots."""
    text = line.rstrip("\r\n")
    if len(text) > LONGEST_LINE:
        return None
    found = tuple(tokens(text))
    if sum(1 for one in found if one.kind) > MOST_SLOTS:
        return None
    return ReadLine("".join(map(_template_text, found)), found)


class LineReader:
    """Reads lines as `read_line` does. Lines of one shape have the same tokens, which are found once."""

    def __init__(self) -> None:
        self._shapes: ShapeTable[LineShape] = ShapeTable()

    def read(self, line: str) -> ReadLine | None:
        """The line as template and slots, with the words between two slots as one piece."""
        text = line.rstrip("\r\n")
        shape = shape_of(text)
        if shape is None:
            return read_line(text)
        known = self._shapes.get(shape)
        if known is None:
            read = read_line(text)
            if read is None:
                return None
            known = self._shapes.keep(shape, line_shape(read))
        pieces = tuple(
            one if isinstance(one, Token) else Token(one.kind, text[one.start : one.end]) for one in known.pieces
        )
        return ReadLine(known.template, pieces)


class ShapeSlot(Struct, frozen=True, gc=False):
    """Where a slot stands in all lines of a shape."""

    kind: str
    start: int
    end: int


class LineShape(Struct, frozen=True):
    """What all lines of a shape have in common."""

    template: str
    pieces: tuple[Token | ShapeSlot, ...]


def line_shape(line: ReadLine) -> LineShape:
    """What holds for all lines of the shape of this one."""
    pieces: list[Token | ShapeSlot] = []
    at = 0
    for one in line.pieces:
        if one.kind:
            pieces.append(ShapeSlot(one.kind, at, at + len(one.text)))
        else:
            text = " " if one.text.isspace() else one.text  # there are no digits in it
            last = pieces[-1] if pieces else None
            if isinstance(last, Token):
                pieces[-1] = Token("", last.text + text)
            else:
                pieces.append(Token("", text))
        at += len(one.text)
    return LineShape(line.template, tuple(pieces))


def _template_text(piece: Token) -> str:
    if piece.kind:
        return f"<{piece.kind}>"
    if piece.text == "<":  # a line cannot look like a template with a slot
        return "<<>"
    return " " if piece.text.isspace() else piece.text


def slot_kinds(template: str) -> tuple[str, ...]:
    """The kinds of its slots, in order."""
    return tuple(match[1] for match in _SLOT.finditer(template) if match[1])


def problem_of(approval: Approval) -> str:
    """What is wrong with an approval; empty for none."""
    kinds = slot_kinds(approval.template)
    if approval.refused:
        return ""
    if len(kinds) != len(approval.slots):
        return f"the template has {len(kinds)} slots, and {len(approval.slots)} are described"
    for number, (kind, slot) in enumerate(zip(kinds, approval.slots, strict=True), 1):
        if slot.how == "publish" and kind not in PLAIN:
            return f"slot {number} is a {kind}: it can be one_of, a pseudonym or masked, not published"
        if slot.how == "one_of" and not 0 < len(slot.values) <= _MOST_VALUES:
            return f"slot {number} needs 1 to {_MOST_VALUES} values"
        if slot.how == "publish" and kind in _NUMBERS:
            if slot.least is None or slot.most is None:
                return f"slot {number} is a number: give least and most"
            if slot.least > slot.most:
                return f"slot {number}: least {slot.least:g} is above most {slot.most:g}"
    return ""


class Rendered(Struct, frozen=True, kw_only=True):
    """A line that may leave once the last check has passed it."""

    parts: tuple[Part, ...]
    outside: tuple[int, ...] = ()
    """Slots whose value is outside its range or list, from 0: the template is shown for approval again."""

    @property
    def text(self) -> str:
        """The line; a masked slot stands as `[path]`."""
        return "".join(one.text for one in self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether no slot is masked."""
        return not any(one.is_masked for one in self.parts)


def render(line: ReadLine, approval: Approval, pseudonyms: Pseudonyms, own: frozenset[str] = frozenset()) -> Rendered:
    """The line as it leaves. `own`: host, process id and user of the record itself (`own_names`), which are masked
    wherever they stand."""
    parts: list[Part] = []
    outside: list[int] = []
    number = 0
    for piece in line.pieces:
        if not piece.kind:
            _add(parts, " " if piece.text.isspace() else piece.text)
            continue
        rule = approval.slots[number] if number < len(approval.slots) else SlotRule()
        if rule.how == "pseudonym":
            # Own names too: the same host has the same alias everywhere.
            parts.append(Part(pseudonyms.of(rule.kind, unquoted(piece.kind, piece.text)), rule.kind))
        elif rule.how == "mask" or bare_value(piece.text) in own:
            parts.append(_masked(piece))
        elif is_published(piece.kind, piece.text, rule):
            _add(parts, piece.text)
        else:
            outside.append(number)
            parts.append(_masked(piece))
        number += 1
    return Rendered(parts=tuple(parts), outside=tuple(outside))


def own_names(own: Collection[str]) -> frozenset[str]:
    """Names of a record itself as `render` compares them: made once for all lines of its log."""
    return frozenset(bare_value(one) for one in own if one)


def _add(parts: list[Part], text: str) -> None:
    if parts and not parts[-1].kind:
        parts[-1] = Part(parts[-1].text + text)
    else:
        parts.append(Part(text))


def _masked(piece: Token) -> Part:
    return Part(mask_of(piece.kind), piece.kind, is_masked=True)


def mask_of(kind: str) -> str:
    """What stands in place of a slot of this kind."""
    return f"[{kind}]"


def unquoted(kind: str, text: str) -> str:
    """The text of a slot as a name."""
    return text[1:-1] if kind == "quoted" else text


def bare_value(text: str) -> str:
    """For the comparison with the record's own names: 041551 and 41551 are the same process."""
    return text.casefold().lstrip("+0") or "0"


def is_published(kind: str, text: str, rule: SlotRule) -> bool:
    """Whether a slot of this kind with this text leaves as it is, by a rule that neither masks nor replaces it."""
    if rule.how == "one_of":
        return text in rule.values
    if kind not in PLAIN:
        return False
    if kind in _NUMBERS:
        return (
            rule.least is not None
            and rule.most is not None
            and len(text) <= MOST_DIGITS
            and rule.least <= float(text) <= rule.most
        )
    return True

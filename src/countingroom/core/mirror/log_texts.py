"""The lines of a log as the texts that leave: the same as `Redactor.lines` gives, at a fraction of its time.

Logs repeat themselves. What becomes of a line is kept by the line as it stands, and what all lines of a shape have in
common (template, approval, the places of their slots) is kept by the shape. A property test compares both ways.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from countingroom.core.mirror.approvals import ApprovalTable
from countingroom.core.mirror.last_check import IN_FULL, LastCheck, TextShape
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.shapes import MOST_CHARACTERS, ShapeTable, shape_of
from countingroom.core.mirror.templates import (
    LineReader,
    LineShape,
    ReadLine,
    ShapeSlot,
    SlotRule,
    bare_value,
    is_published,
    line_shape,
    mask_of,
    read_line,
    render,
    unquoted,
)

TOO_LONG = "(a line that is too long or has too many slots)"
"""In place of its template in the count of withheld lines."""
BEFORE = 300
"""Characters that are looked at together with the next text."""
_MOST_LINES = 40_000
"""Lines that are kept: about 20 MB."""
_NO_NAMES: frozenset[str] = frozenset()

Undecided = list[tuple[ReadLine, str]]


class TextCount(Struct):
    """What was done with the lines."""

    lines: int = 0
    kept: int = 0
    whole: int = 0
    hits: int = 0


class _Slot(Struct, frozen=True, gc=False):
    """A slot that is not always masked."""

    start: int
    end: int
    kind: str
    rule: SlotRule
    how: Literal["pseudonym", "compare"]
    mask: str


class _Plan(Struct, frozen=True):
    """What all lines of a shape have in common."""

    template: str
    is_decided: bool
    parts: tuple[str | _Slot, ...] | None
    """None: none of them leaves."""
    is_whole: bool = True
    """Whether no slot is always masked."""


class _Outcome(Struct, frozen=True, gc=False):
    """What becomes of a line. The fields that are read for each line come first: they are in one piece of memory."""

    flags: int
    """_MASKED, _APART, and one bit for each of `values`."""
    start: int
    """Of the shape, as `end`."""
    end: int
    text: str | None
    """None: it is withheld."""
    template: str
    shape: TextShape | None = None
    is_hit: bool = False
    values: tuple[str, ...] = ()
    """Of the slots that leave as they are, to be compared with the own names of a record."""
    is_undecided: bool = False


_MASKED = 1
"""A slot of it is masked."""
_APART = 2
"""It is withheld, or blank."""
_FIRST_BIT, _BITS = 2, 58
_BLANK = _Outcome(_APART, 0, 0, "", "")
_LONG = _Outcome(_APART, 0, 0, None, TOO_LONG)


def _bits(values: Iterable[str]) -> int:
    """A bit for each: values without a common one are all different."""
    found = 0
    for one in values:
        found |= 1 << (hash(one) % _BITS + _FIRST_BIT)
    return found


class _Known:
    """What is kept for one version of the approvals."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.plans: ShapeTable[_Plan] = ShapeTable()
        self.lines: dict[str, _Outcome] = {}


class LogTexts:
    """Redacts logs."""

    def __init__(self, approvals: ApprovalTable, pseudonyms: Pseudonyms, check: LastCheck) -> None:
        self._approvals = approvals
        self._pseudonyms = pseudonyms
        self._check = check
        self._reader = LineReader()
        self._known = _Known(approvals.version)

    def take(
        self, lines: Sequence[str], names: frozenset[str], withheld: dict[str, int], undecided: Undecided | None
    ) -> tuple[list[str], TextCount]:
        """The texts that leave. `names`: own names of the record, as `own_names` gives them. Added to: `withheld`,
        template -> lines, and `undecided`, the lines of which nothing was decided."""
        if self._known.version != self._approvals.version:  # another thread may go on with what it has
            self._known = _Known(self._approvals.version)
        known, check = self._known, self._check
        out: list[str] = []
        get, joint, add = known.lines.get, check.joints.get, out.append
        marks: set[int] = set()
        """Places in `out` where lines were withheld."""
        hits = masked = missing = end = 0
        """`end`: of the last text; 0: it must be looked at in full together with the next."""
        last = _BLANK
        """The text before that is not blank."""
        plain = BEFORE  # characters since the last text that is not plain
        apart = _APART | _bits(names)
        for line in lines:
            found = get(line) or self._outcome(line, known)
            flags = found.flags
            met = joint(end + found.start, IN_FULL)
            # Of most lines nothing more needs to be looked at: no name can be made up where they meet, and they hold
            # none of this record's own.
            if met or flags & apart:
                if not names.isdisjoint(found.values):
                    found = self._judged(line, known, names)
                    flags, met = found.flags, IN_FULL
                text = found.text
                is_hit = found.is_hit
                if text:
                    if met is IN_FULL:
                        is_joined, plain = self._in_full(out, marks, last, found, plain)
                    else:
                        is_joined = bool(met) and check.meet(met, last.text or "", text)
                    if is_joined:
                        text, is_hit = None, True
                if text is None:
                    missing += 1
                    hits += is_hit
                    withheld[found.template] = withheld.get(found.template, 0) + 1
                    if undecided is not None and found.is_undecided and (read := self._reader.read(line)):
                        undecided.append((read, line))
                    continue
            if missing:
                marks.add(len(out))
                out.append(withheld_text(missing))
                missing = 0
            text = found.text or ""
            if text:
                last = found
                end = found.end if plain >= BEFORE else 0
            add(text)
            masked += flags & _MASKED
        left = len(out) - len(marks)
        if missing:
            out.append(withheld_text(missing))
        return out, TextCount(len(lines), left, left - masked, hits)

    def _in_full(
        self, out: Sequence[str], marks: Container[int], last: _Outcome, found: _Outcome, plain: int
    ) -> tuple[bool, int]:
        """Whether a text makes up a name with those before it; and characters since the last one that is not plain."""
        text, shape = found.text or "", found.shape
        if last.text:
            before_shape = last.shape if plain >= BEFORE else None
            if self._check.joins(_before(out, marks), before_shape, text, shape):
                return True, plain
            if last.text[-1] == "0" and text[0] in "xX":
                return False, 0
        return False, plain + len(text) if shape is not None and shape.is_plain else 0

    def _outcome(self, line: str, known: _Known) -> _Outcome:
        found = self._judged(line, known, _NO_NAMES)
        if len(line) <= MOST_CHARACTERS:
            if len(known.lines) >= _MOST_LINES:
                known.lines.clear()
            known.lines[line] = found
        return found

    def _judged(self, line: str, known: _Known, names: frozenset[str]) -> _Outcome:
        """What becomes of a line in a record with these own names, apart from what stands next to it."""
        if not line.strip():
            return _BLANK
        given = line.rstrip("\r\n")
        shape = shape_of(given)
        if shape is None:
            return self._read(given, names)
        plan = known.plans.get(shape)
        if plan is None:
            read = read_line(given)
            if read is None:
                return _LONG
            plan = known.plans.keep(shape, self._plan(line_shape(read)))
        if plan.parts is None:
            return _Outcome(_APART, 0, 0, None, plan.template, is_undecided=not plan.is_decided)
        return self._written(given, plan, plan.parts, names)

    def _plan(self, shape: LineShape) -> _Plan:
        approval = self._approvals.get(shape.template)
        if approval is None or approval.refused:
            return _Plan(shape.template, approval is not None, None)
        parts: list[str | _Slot] = []
        number = 0
        is_whole = True
        for piece in shape.pieces:
            if not isinstance(piece, ShapeSlot):
                _add(parts, " " if piece.text.isspace() else piece.text)
                continue
            rule = approval.slots[number] if number < len(approval.slots) else SlotRule()
            number += 1
            if rule.how == "mask":
                _add(parts, mask_of(piece.kind))
                is_whole = False
                continue
            how = "pseudonym" if rule.how == "pseudonym" else "compare"
            parts.append(_Slot(piece.start, piece.end, piece.kind, rule, how, mask_of(piece.kind)))
        return _Plan(shape.template, True, tuple(parts), is_whole)

    def _written(self, line: str, plan: _Plan, parts: tuple[str | _Slot, ...], names: frozenset[str]) -> _Outcome:
        out: list[str] = []
        values: list[str] = []
        is_whole = plan.is_whole
        for one in parts:
            if isinstance(one, str):
                out.append(one)
                continue
            value = line[one.start : one.end]
            if one.how == "pseudonym":
                out.append(self._pseudonyms.of(one.rule.kind, unquoted(one.kind, value)))
            elif (bare := bare_value(value)) not in names and is_published(one.kind, value, one.rule):
                out.append(value)
                values.append(bare)
            else:
                out.append(one.mask)
                is_whole = False
        return self._checked("".join(out), plan.template, is_whole, tuple(values))

    def _read(self, line: str, names: frozenset[str]) -> _Outcome:
        """A line without a shape."""
        read = read_line(line)
        if read is None:
            return _LONG
        approval = self._approvals.get(read.template)
        if approval is None or approval.refused:
            return _Outcome(_APART, 0, 0, None, read.template, is_undecided=approval is None)
        rendered = render(read, approval, self._pseudonyms, names)
        values = tuple(bare_value(one.text) for one in read.slots)
        return self._checked(rendered.text, read.template, rendered.is_whole, values)

    def _checked(self, text: str, template: str, is_whole: bool, values: tuple[str, ...]) -> _Outcome:
        shape = self._check.shape(text)
        if self._check.holds(text, shape):
            return _Outcome(_APART, 0, 0, None, template, is_hit=True, values=values)
        flags = _bits(values) if is_whole else _bits(values) | _MASKED
        start, end = (shape.start, shape.end) if shape else (0, 0)
        return _Outcome(flags, start, end, text, template, shape, values=values)


def withheld_text(lines: int) -> str:
    """What stands in place of so many lines in a row."""
    return f"[{lines} line{'s' if lines > 1 else ''} withheld]"


def _before(out: Sequence[str], marks: Container[int]) -> str:
    """What counts of the texts so far, without those at `marks`: the last one, and BEFORE characters before it."""
    texts = (out[place] for place in range(len(out) - 1, -1, -1) if place not in marks)
    last = next(texts, "")
    before = ""
    for one in texts:
        before = one + before
        if len(before) >= BEFORE:
            break
    return before[-BEFORE:] + last


def _add(parts: list[str | _Slot], text: str) -> None:
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)

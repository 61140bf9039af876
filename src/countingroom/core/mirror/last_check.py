"""The last check of what is about to leave: no name that the site knows, in no form in which it could be read back.

The rules before it say what may leave. This check knows what must not: the names of computers, users, paths, addresses
and secrets of the site. It looks at the text as it stands, with its signs taken out (a name can be made of two harmless
pieces side by side), and decoded: percent signs, HTML entities, base64 and hexadecimal, also within each other. It
withholds too much rather than too little, and is no substitute for the rules.

Lines come by the thousand and differ in their numbers only, so what holds for all texts of a shape is found once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from unicodedata import normalize

from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.decoding import CodedSpans, coded_spans, decoded, is_readable
from countingroom.core.mirror.shapes import ShapeTable, shape_of

LEAST = 3
"""Characters of a name; a shorter one would be found in any text."""
_ANCHOR = 3
_SQUEEZED_LEAST = 6
"""Letters and digits of a name that is looked for across signs too. Shorter ones are compared with whole words."""
_MOST_PIECES = 50_000
"""Decoded pieces that are remembered."""
_LONGEST_KEPT = 300

_SIGNS = re.compile(r"[\W_]+")
_PATTERNS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("mail address", "@", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")),
    ("address of a computer", ".", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")),
    ("key", "", re.compile(r"-----BEGIN |\beyJ[A-Za-z0-9_-]{8,}\.|\bcountingroom_[A-Za-z0-9_-]{16,}")),
    ("path", "/", re.compile(r"(?<![\w.<\]/])/(?:[\w.+-]+/){2,}[\w.+-]*")),
    ("path", ":", re.compile(r"\b[A-Za-z]:\\\w")),
)
"""Kind, a sign that stands in all that matches, and the pattern."""


_CODED = re.compile(r"%[0-9A-Fa-f]{2}|&[#A-Za-z]|[\\\n]")
"""What is decoded with all that stands around it."""
_ALONE = re.compile(r"[%&\\\n]")
"""Signs that may mean something else beside another text."""
_LEAST_CODED = 8
"""Characters in which something can be decoded."""
_OF_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_OF_HEX = "0123456789abcdefABCDEFxX :,"
_ASCII_SIGNS = bytes(one for one in range(128) if not chr(one).isalnum())


_Splits = frozenset[tuple[str, int]]
"""Names and places in them: what stands before such a place, or from it on, is at the end or start of a text."""
_Border = tuple[tuple[bytes, ...], _Splits]
"""Runs and splits: all that counts of the start or of the end of a text."""
MOST_BORDERS = 30_000
MOST_JOINTS = 100_000
_START_UNIT = 1 << 40
"""The numbers of starts are multiples of it, so that the sum with the number of an end tells both."""

Joint = tuple[tuple[int, int, CodedSpans], ...]
"""What could be decoded where two texts meet: so many characters of the one and of the other, and what in them."""
IN_FULL: Joint = ((0, 0, ((), ())),)
"""The two texts must be looked at in full."""


class TextShape(Struct, frozen=True, gc=False):
    """What holds for all texts of a shape."""

    is_clean: bool
    """None of them holds a name or a pattern as it stands."""
    pieces: tuple[tuple[int, int, CodedSpans], ...]
    """Where something could be decoded, and what in it."""
    starts: _Splits | None = None
    """Names whose rest is at the start. None: what stands next to a text must be looked at in full."""
    ends: _Splits | None = None
    """Names whose beginning is at the end."""
    runs: tuple[tuple[bytes, bytes], ...] = ((b"", b""), (b"", b""))
    """Letters of base64, and of hexadecimal, in a row at the start and at the end, with their digits made one."""
    is_plain: bool = False
    """Whether it has no sign that may mean something else beside another text."""
    start: int = 0
    """Number of its start; 0: it must be looked at in full together with what stands before it."""
    end: int = 0
    """Number of its end; 0: the same with what stands after it."""


class Hit(Struct, frozen=True, kw_only=True):
    """Why a text does not leave. The name itself stands in it: for the inside only."""

    kind: str
    """Of the name: `host`, `user`, `path`, `address`, `secret`, `canary`, `word`; or of the pattern."""
    name: str
    how: str
    """How it was found: `as it stands`, `across signs`, `decoded`."""


class LastCheck:
    """Looks for the names that the site knows."""

    def __init__(self, names: Iterable[tuple[str, str]], *, patterns: bool = True) -> None:
        """`names`: kind and name. ConfigurationError for a name that is too short to be looked for."""
        self._words: dict[str, tuple[str, str]] = {}
        self._squeezed: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
        self._patterns = _PATTERNS if patterns else ()
        self.longest = 0
        """Letters and digits of the longest name: so much of the text before it is looked at together with a text."""
        given = tuple(dict.fromkeys(names))
        for kind, name in given:
            self._add(kind, name)
        anchors = "|".join(map(re.escape, self._squeezed))
        self._anchor = re.compile(anchors) if anchors else None
        self._given = given
        self._of_shapes: LastCheck | None = None
        """The same for the shapes of the names."""
        self._starts: dict[str, set[tuple[str, int]]] = {}
        self._ends: dict[str, set[tuple[str, int]]] = {}
        self._joined: ShapeTable[CodedSpans] = ShapeTable()
        """What could be decoded in what two texts make up."""
        self._begins: dict[_Border, int] = {}
        """Numbers of starts. None is given twice."""
        self._finishes: dict[_Border, int] = {}
        """Numbers of ends."""
        self._numbers = count(1)
        self.joints: dict[int, Joint] = {}
        """Number of an end and that of a start, added -> what could be decoded where the two meet, where that is
        known."""
        self._shapes: ShapeTable[TextShape] = ShapeTable()
        self._decodings: dict[str, Hit | None] = {}

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of all that it looks for."""
        return self._given

    @property
    def has_patterns(self) -> bool:
        """Whether it looks for mail addresses, paths and keys too."""
        return bool(self._patterns)

    def _add(self, kind: str, name: str) -> None:
        text = _folded(name).strip()
        if len(text) < LEAST:
            raise ConfigurationError(
                f"{name!r} is too short to be looked for: a name has at least {LEAST} characters",
                source="mirror.never",
                code="short_name",
            )
        bare = _bare(text)
        if len(bare) >= _SQUEEZED_LEAST:
            self._squeezed[bare[:_ANCHOR]].append((bare, kind, name))
            self.longest = max(self.longest, len(bare))
        else:
            self._words.setdefault(text, (kind, name))

    def find(self, text: str, before: str = "") -> Hit | None:
        """The first name found in a text; None where it may leave. `before`: what stands next to it outside, the field
        or line before: a name must not be made of the end of the one and the start of the other."""
        return self.holds(text, self.shape(text)) or (self.across(text, before) if before else None)

    def holds(self, text: str, shape: TextShape | None) -> Hit | None:
        """The first name in a text of this shape."""
        if shape is None or not shape.is_clean:
            return self._stands(text) or self._decoded(text)
        for start, end, spans in shape.pieces:
            if hit := self._of_piece(text[start:end], spans):
                return hit
        return None

    def joins(self, before: str, before_shape: TextShape | None, text: str, shape: TextShape | None) -> bool:
        """Whether `across` finds a name. `before` ends with a text of the shape `before_shape`, and all of it that
        counts is plain; without this shape it may be any. All texts have been looked at by themselves."""
        if before_shape is None or shape is None or not before_shape.end or not shape.start:
            return self.across(text, before) is not None
        joint = self._joint(before_shape, shape)
        if joint is IN_FULL and before[-1] != "0" and _are_apart(before_shape, shape):
            joint = self._meeting(before_shape, shape)
        return self.across(text, before) is not None if joint is IN_FULL else self.meet(joint, before, text)

    def _joint(self, before: TextShape, shape: TextShape) -> Joint:
        number = before.end + shape.start
        known = self.joints.get(number)
        if known is None:
            if len(self.joints) >= MOST_JOINTS:  # another thread may go on with what it has
                self.joints.clear()
            is_free = _are_apart(before, shape) and not _may_be_prefix(before, shape)
            known = self.joints[number] = self._meeting(before, shape) if is_free else IN_FULL
        return known

    def meet(self, joint: Joint, before: str, text: str) -> bool:
        """Whether two texts that meet so make up a name."""
        for left, right, spans in joint:  # noqa: SIM110 (a generator takes half as long again, for each tenth line)
            if self._of_piece(before[-left:] + text[:right], spans):
                return True
        return False

    def _spans(self, piece: str) -> CodedSpans:
        shape = shape_of(piece)
        if shape is None:
            return coded_spans(piece)
        return self._joined.get(shape) or self._joined.keep(shape, coded_spans(piece))

    def _meeting(self, before: TextShape, shape: TextShape) -> Joint:
        found: list[tuple[int, int, CodedSpans]] = []
        for (_, left), (right, _) in zip(before.runs, shape.runs, strict=True):
            if left and right and len(left) + len(right) >= _LEAST_CODED:
                spans = self._spans((left + right).decode())
                if spans[0] or spans[1]:
                    found.append((len(left), len(right), spans))
        return tuple(found)

    def _number(self, known: dict[_Border, int], unit: int, runs: Iterable[bytes], splits: _Splits | None) -> int:
        if splits is None:
            return 0
        if len(known) >= MOST_BORDERS:
            known.clear()
        return known.setdefault((tuple(runs), splits), next(self._numbers) * unit)

    def _of_piece(self, piece: str, spans: CodedSpans | None = None) -> Hit | None:
        """What is found in a piece of base64 or hexadecimal. Most hold times and numbers, in which nothing is read."""
        known = self._decodings.get(piece, ...)
        if known is not ...:
            return known
        hit = self._decoded(piece) if is_readable(piece, spans or self._spans(piece)) else None
        if len(self._decodings) >= _MOST_PIECES:  # another thread may have them all the same
            self._decodings.clear()
        self._decodings[piece] = hit
        return hit

    def across(self, text: str, before: str) -> Hit | None:
        """A name that the end of `before` and the start of `text` make up."""
        end, start = before[-_LONGEST_KEPT:], text[:_LONGEST_KEPT]
        both = end + start
        bare = _bare_ascii(end)[-self.longest :] if self.longest else ""
        is_whole = len(end) == len(before) or len(bare) == self.longest
        if not (is_whole and both.isascii()) or _is_coded(both) or "0x" in both or "0X" in both:
            tail = _bare(_folded(before))[-self.longest :]
            return self._in(tail + _bare(_folded(text))[: self.longest], "across signs") or self._decoded(both)
        if self._anchor and (hit := self._in(bare + _bare_ascii(text)[: self.longest], "across signs")):
            return hit
        for signs in (_OF_BASE64, _OF_HEX):  # what the two make up stands at their ends
            left, right = len(end.rstrip(signs)), len(start) - len(start.lstrip(signs))
            if left < len(end) and right and (hit := self._of_piece(end[left:] + start[:right])):
                return hit
        return None

    def shape(self, text: str) -> TextShape | None:
        """What is known of all texts of its shape; None for a text without one."""
        shape = shape_of(text)
        if shape is None:
            return None
        return self._shapes.get(shape) or self._shapes.keep(shape, self._judged(shape.decode()))

    def _judged(self, shape: str) -> TextShape:
        if _is_coded(shape):
            return TextShape(is_clean=False, pieces=())
        if self._of_shapes is None:
            # The names with their digits made one, as they are looked for: a text whose shape holds none holds no name.
            alike = ((kind, _one_digit(_folded(name))) for kind, name in self._given)
            self._of_shapes = LastCheck(alike, patterns=bool(self._patterns))
            self._starts, self._ends = self._of_shapes._splits()
        is_clean, pieces = self._of_shapes._stands(shape) is None, _pieces(shape)
        if _ALONE.search(shape):
            return TextShape(is_clean=is_clean, pieces=pieces)
        begins = [shape[: len(shape) - len(shape.lstrip(signs))].encode() for signs in (_OF_BASE64, _OF_HEX)]
        tails = [shape[len(shape.rstrip(signs)) :].encode() for signs in (_OF_BASE64, _OF_HEX)]
        start, end = _bare_ascii(shape[:_LONGEST_KEPT]), _bare_ascii(shape[-_LONGEST_KEPT:])
        starts = ends = None
        if max(map(len, begins)) < _LONGEST_KEPT:
            starts = _found(self._starts, (start[:size] for size in range(1, self.longest)))
        # Of a text that is one word, or shorter than a name, what stands before it is looked at too.
        if max(map(len, tails)) < min(_LONGEST_KEPT, len(shape)) and len(end) >= self.longest:
            ends = _found(self._ends, (end[-size:] for size in range(1, self.longest)))
        return TextShape(
            is_clean=is_clean,
            pieces=pieces,
            starts=starts,
            ends=ends,
            runs=tuple(zip(begins, tails, strict=True)),
            is_plain=True,
            start=self._number(self._begins, _START_UNIT, begins, starts),
            end=self._number(self._finishes, 1, tails, ends),
        )

    def _splits(self) -> tuple[dict[str, set[tuple[str, int]]], dict[str, set[tuple[str, int]]]]:
        """Rest of a name, and beginning of a name -> the names, with the place in each."""
        rests: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
        beginnings: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
        for bare in {bare for names in self._squeezed.values() for bare, _, _ in names}:
            for place in range(1, len(bare)):
                rests[bare[place:]].add((bare, place))
                beginnings[bare[:place]].add((bare, place))
        return rests, beginnings

    def _stands(self, text: str) -> Hit | None:
        """A name or a pattern in the text as it stands."""
        if hit := self._known(_folded(text), "as it stands"):
            return hit
        for kind, sign, pattern in self._patterns:
            if sign in text and (found := pattern.search(text)):
                return Hit(kind=kind, name=found[0][:_LONGEST_KEPT], how="as it stands")
        return None

    def _decoded(self, text: str) -> Hit | None:
        for piece in decoded(text):
            if hit := self._known(_folded(piece), "decoded"):
                return hit
        return None

    def _known(self, folded: str, how: str) -> Hit | None:
        if self._words:
            for word in _words(folded):
                if word in self._words:
                    kind, name = self._words[word]
                    return Hit(kind=kind, name=name, how=how)
        return self._in(_bare(folded), how)

    def _in(self, bare: str, how: str) -> Hit | None:
        anchors = self._squeezed
        if self._anchor is None or not self._anchor.search(bare):
            return None
        for start in range(len(bare) - _SQUEEZED_LEAST + 1):
            if (some := bare[start : start + _ANCHOR]) in anchors:
                for name, kind, given in anchors[some]:
                    if bare.startswith(name, start):
                        return Hit(kind=kind, name=given, how=how)
        return None


def _are_apart(before: TextShape, shape: TextShape) -> bool:
    """Whether no name has its beginning at the end of the one and its rest at the start of the other."""
    return before.ends is not None and shape.starts is not None and before.ends.isdisjoint(shape.starts)


def _may_be_prefix(before: TextShape, shape: TextShape) -> bool:
    """Whether a digit and an `x` meet: with a 0 they would be the start of a number."""
    (_, last), (first, _) = before.runs[0], shape.runs[0]
    return last[-1:] == b"1" and first[:1] in (b"x", b"X")


def _pieces(shape: str) -> tuple[tuple[int, int, CodedSpans], ...]:
    hexes, bases = coded_spans(shape)
    return tuple((start, end, coded_spans(shape[start:end])) for start, end in (*hexes, *bases))


def _found(known: dict[str, set[tuple[str, int]]], texts: Iterable[str]) -> _Splits:
    return frozenset(one for text in texts for one in known.get(text, ()))


def _is_coded(text: str) -> bool:
    signs = "%" in text or "&" in text or "\\" in text or "\n" in text
    return signs and _CODED.search(text) is not None


def _folded(text: str) -> str:
    """Letters that look alike, as far as Unicode holds them for the same, and upper and lower case are one."""
    return normalize("NFKC", text).casefold()


def _bare(folded: str) -> str:
    return _SIGNS.sub("", folded)


def _bare_ascii(text: str) -> str:
    return text.lower().encode("ascii", "replace").translate(None, _ASCII_SIGNS).decode()


def _one_digit(folded: str) -> str:
    return "".join("1" if one in "0123456789" else one for one in folded)


def _words(folded: str) -> Iterator[str]:
    """The words of a text, with and without the signs within them."""
    for run in folded.split():
        yield run
        for word in re.split(r"[^\w.-]+", run):
            yield word
            yield word.strip(".-_")
            if not word.isalnum():
                yield from _SIGNS.split(word)

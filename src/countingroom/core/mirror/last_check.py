"""The last check of what is about to leave: no name that the site knows, in no form in which it could be read back.

The rules before it say what may leave. This check knows what must not: the names of computers, users, paths, addresses
and secrets of the site. It looks at the text as it stands, with its signs taken out (a name can be made of two harmless
pieces side by side), and decoded: percent signs, HTML entities, base64 and hexadecimal, also within each other. It
withholds too much rather than too little, and is no substitute for the rules.

Lines come by the thousand and differ in their numbers only, so what holds for all texts of a shape is found once.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.shapes import ShapeTable, shape_of

LEAST = 3
"""Characters of a name; a shorter one would be found in any text."""
_ANCHOR = 3
_SQUEEZED_LEAST = 6
"""Letters and digits of a name that is looked for across signs too. Shorter ones are compared with whole words."""
_DEPTH = 3
_MOST_DECODED = 64
"""Decoded pieces of one text."""
_LONGEST_KEPT = 300

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_ORDINARY = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[a-z]+(?:_[a-z]+)+|\d+")
"""A word or a number: base64 of a name of six letters has both cases or digits but for one in a million."""
_OF_A_NAME = re.compile(rb"[A-Za-z0-9_.@/+-]{4}")
_LONGEST_WORD = 20
_LINE_ENDS = re.compile(r"\s*\n\s*")
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[ :,]?){4,}")
_HEX_PREFIX = re.compile(r"\\x|0x|[ :,]")
_ESCAPES = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|\\([0-7]{3})")
_SIGNS = re.compile(r"[\W_]+")
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mail address", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")),
    ("address of a computer", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")),
    ("key", re.compile(r"-----BEGIN |\beyJ[A-Za-z0-9_-]{8,}\.|\bcountingroom_[A-Za-z0-9_-]{16,}")),
    ("path", re.compile(r"(?<![\w.<\]/])/(?:[\w.+-]+/){2,}[\w.+-]*|\b[A-Za-z]:\\\w")),
)


_CODED = re.compile(r"%[0-9A-Fa-f]{2}|&[#A-Za-z]|[\\\n]")
"""What is decoded with all that stands around it."""
_OF_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_OF_HEX = "0123456789abcdefABCDEFxX :,"
_ASCII_SIGNS = bytes(one for one in range(128) if not chr(one).isalnum())


class _Shape(Struct, frozen=True, gc=False):
    """What holds for all texts of a shape."""

    is_clean: bool
    """None of them holds a name or a pattern as it stands."""
    pieces: tuple[tuple[int, int], ...]
    """Where something could be decoded."""


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
        self._shapes: ShapeTable[_Shape] = ShapeTable()
        self._of_piece = lru_cache(maxsize=50_000)(self._decoded)

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
        shape = self._shape(text)
        if shape is None or not shape.is_clean:
            hit = self._stands(text) or self._decoded(text)
        else:
            hit = next((one for start, end in shape.pieces if (one := self._of_piece(text[start:end]))), None)
        return hit or (self.across(text, before) if before else None)

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

    def _shape(self, text: str) -> _Shape | None:
        shape = shape_of(text)
        if shape is None:
            return None
        return self._shapes.get(shape) or self._shapes.keep(shape, self._judged(shape.decode()))

    def _judged(self, shape: str) -> _Shape:
        if _is_coded(shape):
            return _Shape(is_clean=False, pieces=())
        if self._of_shapes is None:
            # The names with their digits made one, as they are looked for: a text whose shape holds none holds no name.
            alike = ((kind, _one_digit(_folded(name))) for kind, name in self._given)
            self._of_shapes = LastCheck(alike, patterns=bool(self._patterns))
        pieces = [one.span() for one in _HEX.finditer(shape)]
        pieces += [one.span() for one in _BASE64.finditer(shape) if not _is_ordinary(one[0])]
        return _Shape(is_clean=self._of_shapes._stands(shape) is None, pieces=tuple(pieces))

    def _stands(self, text: str) -> Hit | None:
        """A name or a pattern in the text as it stands."""
        if hit := self._known(_folded(text), "as it stands"):
            return hit
        for kind, pattern in self._patterns:
            if found := pattern.search(text):
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


def decoded(text: str) -> Iterator[str]:
    """What a reader could decode from a text: percent signs, HTML entities, escapes, base64 and hexadecimal, also
    within each other."""
    seen = {text}
    waiting = [text]
    for _ in range(_DEPTH):
        found: list[str] = []
        for one in waiting:
            for piece in _once(one):
                if piece and piece not in seen and len(seen) < _MOST_DECODED:
                    seen.add(piece)
                    found.append(piece)
        yield from found
        waiting = found


def _once(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote_to_bytes(text).decode(errors="replace")
    if "&" in text:
        yield unescape(text)
    if "\\" in text:
        yield _ESCAPES.sub(_escaped, text)
    for match in _HEX.finditer(text):
        digits = _HEX_PREFIX.sub("", match[0])
        for shift in (0, 1):
            even = digits[shift : shift + (len(digits) - shift) // 2 * 2]
            yield _readable(bytes.fromhex(even))
    if "\n" in text:  # base64 is cut into lines
        text = _LINE_ENDS.sub("", text)
    for candidate in _BASE64.findall(text):
        if _is_ordinary(candidate):
            continue
        body = candidate.replace("-", "+").replace("_", "/")
        for shift in range(4):
            part = body[shift : shift + (len(body) - shift) // 4 * 4]
            rest = body[shift + len(part) :]
            padded = part + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")
            try:
                yield _readable(b64decode(padded))
            except (binascii.Error, ValueError):
                continue


def _is_coded(text: str) -> bool:
    signs = "%" in text or "&" in text or "\\" in text or "\n" in text
    return signs and _CODED.search(text) is not None


def _is_ordinary(candidate: str) -> bool:
    return len(candidate) < _LONGEST_WORD and _ORDINARY.fullmatch(candidate) is not None


def _readable(data: bytes) -> str:
    """The text in bytes; empty where no four characters of a name stand side by side."""
    bare = data.replace(b"\0", b"")  # of UTF-16
    return bare.decode("latin-1") if _OF_A_NAME.search(bare) else ""


def _escaped(match: re.Match[str]) -> str:
    digits, base = (match[1] or match[2], 16) if match[1] or match[2] else (match[3], 8)
    return chr(int(digits, base))


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

"""What a reader could decode from a text: percent signs, HTML entities, escapes, base64 and hexadecimal. Pure.

Texts of one shape (`shapes`) have what could be base64 and hexadecimal at the same places.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote_to_bytes

_DEPTH = 3
_MOST_DECODED = 64
"""Decoded pieces of one text."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_ORDINARY = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[a-z]+(?:_[a-z]+)+|\d+")
"""A word or a number: base64 of a name of six letters has both cases or digits but for one in a million."""
_OF_A_NAME = re.compile(rb"[A-Za-z0-9_.@/+-]{4}")
_LONGEST_WORD = 20
_LINE_ENDS = re.compile(r"\s*\n\s*")
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[ :,]?){4,}")
_HEX_PREFIX = re.compile(r"\\x|0x|[ :,]")
_ESCAPES = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|\\([0-7]{3})")
_BETWEEN_DIGITS = b" :,"
_BASE64_OF_URLS = bytes.maketrans(b"-_", b"+/")

CodedSpans = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
"""Start and end of what could be hexadecimal, and of what could be base64."""


def coded_spans(text: str) -> CodedSpans:
    """Where base64 and hexadecimal could stand in a text without percent signs, entities and escapes."""
    bases = (one.span() for one in _BASE64.finditer(text) if not _is_ordinary(one[0]))
    return tuple(one.span() for one in _HEX.finditer(text)), tuple(bases)


def is_readable(text: str, spans: CodedSpans) -> bool:
    """Whether four characters of a name stand side by side in what these spans hold: if not, `decoded` gives
    nothing. True also where that is not known."""
    hexes, bases = spans
    if hexes and ("x" in text or "X" in text):
        return True
    for start, end in hexes:
        digits = text[start:end].encode().translate(None, _BETWEEN_DIGITS)
        for shift in (0, 1):
            data = binascii.unhexlify(digits[shift : shift + (len(digits) - shift) // 2 * 2])
            if _OF_A_NAME.search(data.replace(b"\0", b"")):
                return True
    for start, end in bases:
        body = text[start:end].encode().translate(_BASE64_OF_URLS)
        for shift in range(4):
            length = len(body) - shift
            stop = shift + length - (length % 4 == 1)
            try:
                data = binascii.a2b_base64(body[shift:stop] + b"=" * (-(stop - shift) % 4))
            except ValueError:
                continue
            if _OF_A_NAME.search(data.replace(b"\0", b"")):
                return True
    return False


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


def _is_ordinary(candidate: str) -> bool:
    return len(candidate) < _LONGEST_WORD and _ORDINARY.fullmatch(candidate) is not None


def _readable(data: bytes) -> str:
    """The text in bytes; empty where no four characters of a name stand side by side."""
    bare = data.replace(b"\0", b"")  # of UTF-16
    return bare.decode("latin-1") if _OF_A_NAME.search(bare) else ""


def _escaped(match: re.Match[str]) -> str:
    digits, base = (match[1] or match[2], 16) if match[1] or match[2] else (match[3], 8)
    return chr(int(digits, base))

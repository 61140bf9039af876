"""The text of a PDF that `site/report_pdf.py` wrote: its streams inflated, its glyphs read by the map of their font."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\r?\n(.*?)\r?\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*)endstream", re.DOTALL)
_FONT = re.compile(rb"/(F\d+(?:\+\d+)?) (\d+) 0 R")
_UNICODE = re.compile(rb"/ToUnicode (\d+) 0 R")
_CHAR = re.compile(rb"<([0-9A-Fa-f]+)> <([0-9A-Fa-f]+)>")
_SHOWN = re.compile(rb"/(F\d+(?:\+\d+)?) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\)\s*Tj|\bET\b", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_SIGNS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pdf_text(pdf: bytes) -> str:
    """All texts of its pages, a line for each. ValueError where a text has a glyph without a letter, or none is found:
    a test that looks for names must not pass because it cannot read."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    fonts = {name: _letters(objects, int(number)) for body in objects.values() for name, number in _FONT.findall(body)}
    lines = [line for body in objects.values() for line in _shown(_inflated(body), fonts)]
    if not lines:
        raise ValueError("no text is found in the PDF")
    return "\n".join(lines)


def _inflated(body: bytes) -> bytes:
    found = _STREAM.search(body)
    if not found or b"/FontFile" in body or b"/Length1" in body:
        return b""
    if b"/ASCII85Decode" in body:
        raise ValueError("a stream is coded as ASCII85, which is not read here")
    return zlib.decompressobj().decompress(found[1]) if b"/FlateDecode" in body else found[1]


def _letters(objects: dict[int, bytes], number: int) -> dict[int, str]:
    """Glyph -> letter of a font; empty for a font without a map."""
    found = _UNICODE.search(objects.get(number, b""))
    if not found:
        return {}
    table = _inflated(objects[int(found[1])])
    chars = table[table.index(b"beginbfchar") : table.index(b"endbfchar")]
    return {int(code, 16): chr(int(letter, 16)) for code, letter in _CHAR.findall(chars)}


def _shown(content: bytes, fonts: dict[bytes, dict[int, str]]) -> list[str]:
    lines: list[str] = []
    line, letters = "", dict[int, str]()
    for found in _SHOWN.finditer(content):
        if found[1]:
            letters = fonts[found[1]]
        elif found[2] is not None:
            line += "".join(letters[code] for code in _ESCAPE.sub(_plain, found[2])) if found[2] else ""
        elif line:
            lines.append(line)
            line = ""
    return lines


def _plain(escape: re.Match[bytes]) -> bytes:
    one = escape[1]
    return bytes([int(one, 8)]) if one[:1].isdigit() else _SIGNS.get(one, one)

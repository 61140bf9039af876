"""An answer of the site as bytes: made once, sent to many viewers, with its ETag and a compressed copy."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

HTML = "text/html; charset=utf-8"
JSON = "application/json"
SVG = "image/svg+xml"
_LEAST_COMPRESSED = 600
"""Bytes; a smaller answer fits into one packet as it is."""
_LEVEL, _FAST_LEVEL = 5, 1
_LARGE = 100_000
"""Bytes; a larger answer is compressed faster and less: it would hold up all others for tens of milliseconds."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""Headers of every answer."""
Headers = list[tuple[bytes, bytes]]


class SiteAnswer(Struct, frozen=True, kw_only=True):
    """What a route gives."""

    body: bytes
    media_type: str = HTML
    status: int = 200
    max_age_s: int = 2
    """So long a browser or a proxy may use it without asking."""
    headers: Mapping[str, str] = {}


class PreparedAnswer:
    """An answer with all that can be computed once."""

    def __init__(self, answer: SiteAnswer) -> None:
        self.status = answer.status
        self.max_age_s = answer.max_age_s
        self.body = answer.body
        self._packed: bytes | None = None if len(answer.body) >= _LEAST_COMPRESSED else b""
        self._compressed: Headers = []
        # Weak: the compressed and the plain body have the same one.
        self.etag = b'W/"' + hashlib.sha256(answer.body).hexdigest()[:20].encode() + b'"'
        keep = f"public, max-age={answer.max_age_s}, stale-if-error=86400"  # a proxy may serve it when the site is down
        rest = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        known: Headers = [*SECURITY, *rest, (b"cache-control", keep.encode()), (b"vary", b"Accept-Encoding")]
        known.append((b"etag", self.etag))
        if answer.media_type in (JSON, SVG) or "xml" in answer.media_type:
            known.append((b"access-control-allow-origin", b"*"))  # public figures, for any page to show
        kind = (b"content-type", answer.media_type.encode())
        self._unchanged = known
        self.plain: Headers = [*known, kind, (b"content-length", str(len(self.body)).encode())]
        self._kind = kind

    @property
    def size(self) -> int:
        """Bytes that it takes, or may take."""
        return len(self.body) * 3 // 2 + 2000

    def chosen(self, if_none_match: bytes, accept_encoding: bytes) -> tuple[int, Headers, bytes]:
        """Status, headers and body for a request."""
        if self.status == 200 and if_none_match and _matches(if_none_match, self.etag):
            return 304, self._unchanged, b""
        if accept_encoding and _takes_gzip(accept_encoding) and (packed := self._compress()):
            return self.status, self._compressed, packed
        return self.status, self.plain, self.body

    def _compress(self) -> bytes:
        """The compressed body, made when it is first asked for; empty where that is no gain."""
        if self._packed is None:
            level = _LEVEL if len(self.body) < _LARGE else _FAST_LEVEL
            packed = gzip.compress(self.body, level, mtime=0)
            self._packed = packed if len(packed) < len(self.body) else b""
            length = (b"content-length", str(len(packed)).encode())
            self._compressed = [*self._unchanged, self._kind, (b"content-encoding", b"gzip"), length]
        return self._packed


def _takes_gzip(accept_encoding: bytes) -> bool:
    """Whether `gzip` is among the encodings, and not with the weight 0."""
    for one in accept_encoding.lower().split(b","):
        name, _, weight = one.partition(b";")
        if name.strip() == b"gzip":
            return re.fullmatch(rb"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    if if_none_match == etag:
        return True
    wanted = [one.strip() for one in if_none_match.split(b",")]
    return b"*" in wanted or etag in wanted or etag[2:] in wanted


def as_json(content: Any, *, status: int = 200, max_age_s: int = 2) -> SiteAnswer:
    """Structs, lists and tables as JSON."""
    return SiteAnswer(body=msgspec.json.encode(content), media_type=JSON, status=status, max_age_s=max_age_s)

"""Answers of servers and failures of connections as text for people, without secrets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote

from countingroom.core.plain_text import escaped

MOST = 300
_SHORTEST = 4
"""Shorter secrets are not replaced: they would also occur in ordinary words."""


def server_words(answer: bytes | str) -> str:
    """An answer as one line."""
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return escaped(" ".join(text.split()), most=MOST)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced, also where it is written as in an address."""
    written = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote(secret), unquote(secret))}
    for form in sorted(written, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            text = text.replace(form, "***")
    return text


def failure_words(error: Exception) -> str:
    """Why a connection failed: `the connection is refused`."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "the connection is refused"
        case ConnectionError() if not error.strerror:
            return "the connection was ended"
        case OSError() if error.strerror:
            return server_words(error.strerror)
        case _:
            return server_words(str(error)) or type(error).__name__

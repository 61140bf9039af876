"""The body of a command as words, by the rules of a POSIX shell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from countingroom.core.actor.messages import ActorSyntaxError, shown_line

_VERB = re.compile(r"[A-Za-z_]|--help$")
_PLAIN = re.compile(r"[^\s'\"\\]+")


def split_words(body: str) -> list[str]:
    """`expose --flavour "dark frame"` as words. ActorSyntaxError for a quote without its end."""
    if not any(mark in body for mark in "'\"\\"):
        return body.split()
    try:
        return shlex.split(body)
    except ValueError as error:
        raise ActorSyntaxError(
            f"{shown_line(body)} cannot be read: {str(error).lower()}",
            code="unterminated_quote",
            suggestion="end the quote, then send it again",
        ) from None


def join_words(words: Iterable[str]) -> str:
    """The body that `split_words` reads as these words. It is one line where no word has a line end."""
    return " ".join(word if _PLAIN.fullmatch(word) else shlex.quote(word) for word in words)


def check_body(body: str) -> None:
    """ActorSyntaxError if a text cannot be sent as a command to an actor."""
    words = split_words(body)
    if len(body.splitlines()) > 1:
        raise ActorSyntaxError(f"{shown_line(body)} is more than one line", suggestion="send one command a line")
    if not words or not _VERB.match(body.strip()):
        raise ActorSyntaxError(
            f"{shown_line(body)} is no command: it begins with a letter", suggestion="begin with the name of a command"
        )


def body_problem(body: str) -> str:
    """The error of `check_body` as text; empty if the text is right or empty."""
    try:
        if body:
            check_body(body)
    except ActorSyntaxError as error:
        return error.cause.message
    return ""

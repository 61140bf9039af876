"""Long work of the console in slices of a few ms, so that one user's request does not delay another's.

The web server has one event loop. Work on thousands of rows is written as an iterator and made slice by slice; between
two slices the loop serves the other requests. Only one slice is made at a time, however many answers are under way.
Each user may have a few heavy answers at once, because each keeps its rows in memory.

A worker thread would be worse: it keeps the interpreter's lock for 5 ms at a time, and a small request needs the lock
several times (docs/decisions/0022-long-answers.md).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar, cast

import msgspec

from countingroom.core.errors import RequestError

T = TypeVar("T")
SLICE_S = 0.003
"""The most of one slice, if the steps of the iterator are small."""
OF_ONE_USER = 4
"""Heavy answers of one user at once."""
OF_ALL = 32
"""Heavy answers at once."""
_ROWS = 50
"""Rows encoded in one step."""
_AGAIN_S = 5


class LongWork:
    """Makes long answers, one slice at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._users: Counter[str] = Counter()
        self.reading = asyncio.Lock()
        """Held while many rows are read from the database: one of its two reading threads stays free for others."""

    @contextmanager
    def place(self, user: str) -> Generator[None]:
        """A place for one heavy answer of this user while entered; RequestError (429) where there is none."""
        if self._users[user] >= OF_ONE_USER:
            raise _too_many(f"{user} has {OF_ONE_USER} large answers under way, the most for one user")
        if self._users.total() >= OF_ALL:
            raise _too_many(f"{OF_ALL} large answers are under way, the most for this console")
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    async def slices(self, steps: Iterable[T]) -> AsyncGenerator[list[T]]:
        """What the iterator gives, slice by slice."""
        iterator = iter(steps)
        while True:
            async with self._turn:
                made, is_end = _slice(iterator)
                # Within the turn: short requests come between two slices, other long work does not.
                await asyncio.sleep(0)
            if made:
                yield made
            if is_end:
                return

    async def all(self, steps: Iterable[T]) -> list[T]:
        """All that the iterator gives."""
        return [one async for made in self.slices(steps) for one in made]

    async def joined(self, pieces: Iterable[bytes]) -> AsyncGenerator[bytes]:
        """Pieces of an answer, joined to one a slice."""
        async for made in self.slices(pieces):
            yield b"".join(made)


def _slice(iterator: Iterator[T]) -> tuple[list[T], bool]:
    """(what the iterator gives within SLICE_S, whether that was the end)."""
    made: list[T] = []
    end_s = perf_counter() + SLICE_S
    for one in iterator:
        made.append(one)
        if perf_counter() >= end_s:
            return made, False
    return made, True


def _too_many(message: str) -> RequestError:
    return RequestError(
        message,
        source="console",
        code="too_often",
        evidence={"retry_after_s": _AGAIN_S},
        suggestion="wait until one of them has ended",
    )


def json_list(name: str, items: Iterable[Any]) -> Iterator[bytes]:
    """`{"name":[…]}` in pieces."""
    yield b'{"%s":[' % name.encode()
    separator = b""
    rows: list[Any] = []
    for item in items:
        rows.append(item)
        if len(rows) == _ROWS:
            yield separator + msgspec.json.encode(rows)[1:-1]
            separator = b","
            rows = []
    if rows:
        yield separator + msgspec.json.encode(rows)[1:-1]
    yield b"]}"


def json_columns(columns: msgspec.Struct, *, at_once: int = 5000) -> Iterator[bytes]:
    """A struct of long columns as a JSON object, in pieces of so many values."""
    opening = b"{"
    for name in columns.__struct_fields__:
        value = getattr(columns, name)
        yield b'%s"%s":' % (opening, name.encode())
        opening = b","
        values: list[Any] = cast(list[Any], value) if isinstance(value, list) else []
        if len(values) <= at_once:
            yield msgspec.json.encode(value)
            continue
        for first in range(0, len(values), at_once):
            yield (b"," if first else b"[") + msgspec.json.encode(values[first : first + at_once])[1:-1]
        yield b"]"
    yield b"}"

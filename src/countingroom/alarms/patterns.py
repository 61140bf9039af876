"""Names and patterns of the description, looked up fast for a hundred thousand names. Pure.

A name is found before a pattern, and of several patterns the first one counts. The part of a pattern before its first
`*` tells for most names without a comparison that it does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Generic, TypeVar

T = TypeVar("T")

_WILD = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether it stands for several names."""
    return _WILD.search(text) is not None


class Pattern(Generic[T]):
    """One pattern with what it stands for."""

    def __init__(self, text: str, value: T) -> None:
        self.value = value
        self._begin = _WILD.split(text, maxsplit=1)[0]
        self._fits = re.compile(translate(text)).match

    def may_fit(self, begin: str) -> bool:
        """Whether it can fit any name that begins so."""
        return begin.startswith(self._begin) or self._begin.startswith(begin)

    def fits(self, name: str) -> bool:
        """Whether it fits this name."""
        return self._fits(name) is not None


class Patterns(Generic[T]):
    """Names and patterns, each with a value."""

    def __init__(self, given: Iterable[tuple[str, T]]) -> None:
        self._names: dict[str, T] = {}
        self._patterns: list[Pattern[T]] = []
        for text, value in given:
            if is_pattern(text):
                self._patterns.append(Pattern(text, value))
            else:
                self._names.setdefault(text, value)

    def beginning(self, begin: str) -> Patterns[T] | None:
        """Those that can fit names which begin so; None: there are none."""
        found = Patterns[T](())
        found._names = {name: value for name, value in self._names.items() if name.startswith(begin)}
        found._patterns = [pattern for pattern in self._patterns if pattern.may_fit(begin)]
        return found if found._names or found._patterns else None

    def first(self, name: str) -> T | None:
        """The value of this name, or else of the first pattern that fits it; None: there is none."""
        if name in self._names:
            return self._names[name]
        return next((pattern.value for pattern in self._patterns if pattern.fits(name)), None)

    def all(self, name: str) -> list[T]:
        """The values of all patterns that fit, in their order, and then of the name itself."""
        found = [pattern.value for pattern in self._patterns if pattern.fits(name)]
        if name in self._names:
            found.append(self._names[name])
        return found

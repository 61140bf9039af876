"""How two results differ: their documents, configuration and versions, key by key. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from msgspec import Struct

from countingroom.core.results import StoredResult

MOST = 1000
"""Differences that are listed."""
_NONE = object()


class KeyDifference(Struct, frozen=True, kw_only=True):
    """A key with another value in each of two documents."""

    path: str
    """`modules[3].noise`; empty: the document itself."""
    before: Any = None
    after: Any = None
    only: str = ""
    """`a` or `b` where the other has no such key."""


class DocumentDifferences(Struct, frozen=True, kw_only=True):
    """The differences of one document."""

    name: str
    only: str = ""
    """`a` or `b` where the other result has no such document."""
    differences: tuple[KeyDifference, ...] = ()
    count: int = 0
    """How many there are; the first are listed."""


def differences(before: object, after: object) -> Iterator[KeyDifference]:
    """The keys that differ, in the order of the first document."""
    yield from _walk("", before, after)


def listed(name: str, before: object, after: object) -> DocumentDifferences:
    """The first differences of a document, and their number."""
    found: list[KeyDifference] = []
    count = 0
    for one in differences(before, after):
        count += 1
        if len(found) < MOST:
            found.append(one)
    return DocumentDifferences(name=name, differences=tuple(found), count=count)


def facts(result: StoredResult) -> dict[str, Any]:
    """What is compared of a result itself."""
    return {"state": result.state.value, "by": result.by, "versions": result.versions, "counters": result.counters}


def _walk(path: str, before: object, after: object) -> Iterator[KeyDifference]:
    if isinstance(before, dict) and isinstance(after, dict):
        first, second = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
        for key in dict.fromkeys([*first, *second]):
            inner = f"{path}.{key}" if path else key
            yield from _either(inner, first.get(key, _NONE), second.get(key, _NONE))
    elif isinstance(before, list) and isinstance(after, list):
        one, other = cast("list[Any]", before), cast("list[Any]", after)
        for index in range(max(len(one), len(other))):
            yield from _either(
                f"{path}[{index}]",
                one[index] if index < len(one) else _NONE,
                other[index] if index < len(other) else _NONE,
            )
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield KeyDifference(path=path, before=before, after=after)


def _either(path: str, before: object, after: object) -> Iterator[KeyDifference]:
    if before is _NONE:
        yield KeyDifference(path=path, after=after, only="b")
    elif after is _NONE:
        yield KeyDifference(path=path, before=before, only="a")
    else:
        yield from _walk(path, before, after)

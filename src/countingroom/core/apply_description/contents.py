"""Things that the description gives and the database keeps: their values by kind and name. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.placement import Seed


class ItemKind(StrEnum):
    """Kinds of things, in the order in which they are saved."""

    SCHEMA = "schema"
    CONFIGURATION = "configuration"
    TAG = "tag"
    PARTITION = "partition"
    DETECTOR = "detector"


USERS_FIRST = (ItemKind.PARTITION, ItemKind.TAG, ItemKind.CONFIGURATION, ItemKind.SCHEMA, ItemKind.DETECTOR)
"""Each kind before those that it uses, as a tag before the configurations that it names: the order of removals."""

Contents = dict[str, dict[str, Any]]
"""Kind -> name -> value. A configuration has the name `SYSTEM.TAG`; the value of a partition is its template and its
title, the value of a detector is empty."""


class AppliedDescription(Struct, frozen=True, kw_only=True):
    """The contents of the description when it was last applied."""

    revision: int = 0
    """1, 2, 3 …; 0: it was never recorded."""
    contents: Contents = {}
    applied_by: str = ""
    applied_ns: int = 0


class Held(Struct, frozen=True, kw_only=True):
    """The present contents of the database."""

    contents: Contents = {}
    selected: dict[str, str] = {}
    """Partition -> its selected tag."""
    wanted: dict[str, dict[str, str]] = {}
    """Partition -> system -> tag of the selected configuration."""
    places: dict[str, str] = {}
    """Detector -> partition, or empty."""


def described_by(seed: Seed) -> Contents:
    """The contents that the description gives."""
    given = seed.configurations
    return {
        ItemKind.SCHEMA: dict(given.schemas),
        ItemKind.CONFIGURATION: {
            f"{system}.{tag}": values for system, tags in given.configurations.items() for tag, values in tags.items()
        },
        ItemKind.TAG: dict(given.tags),
        ItemKind.PARTITION: {one.name: {"template": one.template, "title": one.title} for one in seed.partitions},
        ItemKind.DETECTOR: {name: {} for name in seed.detectors},
    }


def names(*given: Contents) -> Iterator[tuple[ItemKind, str]]:
    """Every kind and name that one of them has, sorted by kind and name."""
    for kind in ItemKind:
        for name in sorted({name for each in given for name in each.get(kind, {})}):
            yield kind, name


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same as JSON. In Python `1 == 1.0 == True`, which are three values here."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")

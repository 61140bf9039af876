"""Renaming by `was`: which renames are still to be done, and contents with their new names. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from countingroom.core.apply_description.contents import Contents, Held, ItemKind
from countingroom.core.placement import Renames

T = TypeVar("T")


class Rename(Struct, frozen=True, kw_only=True):
    """One rename. For a configuration both names are `SYSTEM.TAG`, with the new name of the system."""

    what: str
    """`system`, `configuration`, `tag` or `partition`."""
    old: str
    new: str


class PendingRenames(Struct, frozen=True, kw_only=True):
    """The renames that are still to be done, and those that cannot be."""

    renames: tuple[Rename, ...] = ()
    """In the order in which they are done: systems first."""
    taken: tuple[Rename, ...] = ()
    """The new name exists in the database beside the old one, so nothing is renamed."""


def pending(given: Renames, held: Held) -> PendingRenames:
    """The renames that the database still needs; empty if they were done before."""
    found: list[Rename] = []
    taken: list[Rename] = []
    for rename in _in_order(given):
        present = _present(rename.what, renamed(held, tuple(found)))
        if rename.old in present:
            (taken if rename.new in present else found).append(rename)
    return PendingRenames(renames=tuple(found), taken=tuple(taken))


def _in_order(given: Renames) -> Iterator[Rename]:
    for new, old in sorted(given.systems.items()):
        yield Rename(what="system", old=old, new=new)
    for system, tags in sorted(given.configurations.items()):
        for new, old in sorted(tags.items()):
            yield Rename(what=ItemKind.CONFIGURATION, old=f"{system}.{old}", new=f"{system}.{new}")
    for new, old in sorted(given.tags.items()):
        yield Rename(what=ItemKind.TAG, old=old, new=new)
    for new, old in sorted(given.partitions.items()):
        yield Rename(what=ItemKind.PARTITION, old=old, new=new)


def _present(what: str, held: Held) -> set[str]:
    contents = held.contents
    if what != "system":
        return set(contents.get(what, {}))
    configured = {name.partition(".")[0] for name in contents.get(ItemKind.CONFIGURATION, {})}
    return configured | set(contents.get(ItemKind.SCHEMA, {})) | set(contents.get(ItemKind.DETECTOR, {}))


def renamed(held: Held, renames: tuple[Rename, ...]) -> Held:
    """The contents of the database after these renames."""
    for one in renames:
        held = _after(one, held)
    return held


def renamed_contents(contents: Contents, renames: tuple[Rename, ...]) -> Contents:
    """Contents after these renames."""
    return renamed(Held(contents=contents), renames).contents


def _after(one: Rename, held: Held) -> Held:
    contents = {kind: dict(values) for kind, values in held.contents.items()}
    selected, wanted, places = held.selected, held.wanted, held.places
    match one.what:
        case "system":
            for kind in (ItemKind.SCHEMA, ItemKind.DETECTOR):
                contents[kind] = _moved(contents.get(kind, {}), one)
            contents[ItemKind.CONFIGURATION] = {
                f"{_new(system, one)}.{tag}": value
                for name, value in contents.get(ItemKind.CONFIGURATION, {}).items()
                for system, _, tag in [name.partition(".")]
            }
            contents[ItemKind.TAG] = {
                name: _moved(value, one) for name, value in contents.get(ItemKind.TAG, {}).items()
            }
            wanted = {name: _moved(value, one) for name, value in wanted.items()}
            places = _moved(places, one)
        case ItemKind.CONFIGURATION:
            contents[ItemKind.CONFIGURATION] = _moved(contents[ItemKind.CONFIGURATION], one)
            contents[ItemKind.TAG] = {
                name: _naming(value, one) for name, value in contents.get(ItemKind.TAG, {}).items()
            }
            wanted = {name: _naming(value, one) for name, value in wanted.items()}
        case ItemKind.TAG:
            contents[ItemKind.TAG] = _moved(contents[ItemKind.TAG], one)
            selected = {name: _new(tag, one) for name, tag in selected.items()}
        case _:
            contents[ItemKind.PARTITION] = _moved(contents[ItemKind.PARTITION], one)
            selected = _moved(selected, one)
            wanted = _moved(wanted, one)
            places = {name: _new(at, one) for name, at in places.items()}
    return Held(contents=contents, selected=selected, wanted=wanted, places=places)


def _new(name: str, one: Rename) -> str:
    return one.new if name == one.old else name


def _moved(values: Mapping[str, T], one: Rename) -> dict[str, T]:
    """The values by their new names."""
    return {_new(name, one): value for name, value in values.items()}


def _naming(systems: Mapping[str, Any], one: Rename) -> dict[str, Any]:
    """System -> tag of its configuration, where a configuration has a new name."""
    system, _, old = one.old.partition(".")
    return {**systems, system: one.new.partition(".")[2]} if systems.get(system) == old else dict(systems)

"""The three-way comparison: the description as it was last applied, as it is now, and the database. Pure.

Changes only in the description are saved in the database; changes only in the database stay. A change in both is a
conflict, which the user decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, structs

from countingroom.core.apply_description.contents import (
    USERS_FIRST,
    AppliedDescription,
    Contents,
    Held,
    ItemKind,
    is_equal,
    names,
)
from countingroom.core.apply_description.renames import Rename, pending, renamed, renamed_contents
from countingroom.core.placement import Renames


class Side(StrEnum):
    """The side that wins a conflict."""

    DESCRIPTION = "description"
    DATABASE = "database"


class ApplyAction(StrEnum):
    """The action on one thing."""

    ADD = "add"
    UPDATE = "update"
    RENAME = "rename"
    REMOVE = "remove"
    LEAVE = "leave"
    """A conflict that was decided for the database: its value stays, and the conflict is over."""
    CONFLICT = "conflict"
    """Changed on both sides: nothing is applied until it is decided."""
    KEEP = "keep"
    """It is no longer in the description, and stays in the database. Nothing is done."""


TO_DO = (ApplyAction.RENAME, ApplyAction.ADD, ApplyAction.UPDATE, ApplyAction.REMOVE, ApplyAction.LEAVE)
"""The actions that change something when the plan is applied."""


class ItemChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that differs. A missing value is None."""

    action: ApplyAction
    kind: str
    """An `ItemKind`, or `system` for its rename."""
    name: str
    reason: str
    described: Any = None
    """As the description says it now."""
    held: Any = None
    """As the database holds it now."""
    applied: Any = None
    """As the description said it when it was last applied."""
    was: str = ""
    """The old name, of a rename."""

    @property
    def item(self) -> str:
        """Its name for `--take`: `tag.beam`, `configuration.STS.cold`."""
        return f"{self.kind}.{self.name}"


class ApplyPlan(Struct, frozen=True, kw_only=True):
    """Everything that applying the description would do, and what keeps it from being done."""

    revision: int
    """Of the last application; 0: there was none that is recorded."""
    changes: tuple[ItemChange, ...] = ()
    renames: tuple[Rename, ...] = ()
    """The renames among the changes, in the order in which they are done."""
    digest: str = ""
    """Of the changes: `apply` is refused where another plan was seen."""

    @property
    def to_do(self) -> tuple[ItemChange, ...]:
        """The changes that are made, in their order."""
        return tuple(one for one in self.changes if one.action in TO_DO)

    def without(self, items: Collection[str]) -> ApplyPlan:
        """The plan without the changes of these items."""
        return structs.replace(self, changes=tuple(one for one in self.changes if one.item not in items))

    @property
    def conflicts(self) -> tuple[ItemChange, ...]:
        """The conflicts that are not decided."""
        return tuple(one for one in self.changes if one.action is ApplyAction.CONFLICT)

    @property
    def differs(self) -> bool:
        """Whether there is something to do or to decide."""
        return bool(self.to_do or self.conflicts)

    @property
    def counts(self) -> dict[str, int]:
        """Action -> number of changes, without what only stays."""
        found = Counter(str(one.action) for one in self.changes if one.action is not ApplyAction.KEEP)
        return {str(action): found[action] for action in ApplyAction if found[action]}


class Choices(Struct, frozen=True, kw_only=True):
    """The decisions of the user."""

    take: dict[str, Side] = {}
    """Item -> the side it is taken from; the empty item stands for all others."""
    prune: bool = False
    """Remove from the database what was removed from the description and is not in use."""

    def side(self, item: str) -> Side | None:
        """The side for a conflict; None: not decided."""
        return self.take.get(item, self.take.get(""))


def compare(
    described: Contents,
    applied: AppliedDescription,
    held: Held,
    *,
    renames: Renames | None = None,
    choices: Choices | None = None,
) -> ApplyPlan:
    """The plan that brings the database to the description."""
    chosen = choices or Choices()
    ahead = pending(renames or Renames(), held)
    held = renamed(held, ahead.renames)
    base = renamed_contents(applied.contents, ahead.renames)
    changes = [_rename(one) for one in ahead.renames]
    changes += [_taken(one) for one in ahead.taken]
    sides = (described, base, held.contents)
    removed: dict[str, set[str]] = {}
    later: list[ItemChange] = []
    for kind in USERS_FIRST:
        uses = _uses(kind, later, removed, held)
        for name in sorted({name for one in sides for name in one.get(kind, {})}):
            values = (one.get(kind, {}).get(name) for one in sides)
            if found := _judge(kind, name, *values, use=uses.get(name, ""), choices=chosen):
                later.append(found)
                if found.action is ApplyAction.REMOVE:
                    removed.setdefault(kind, set()).add(name)
    order = {kind: at for at, kind in enumerate(ItemKind)}
    changes += sorted(later, key=lambda one: order[ItemKind(one.kind)])
    return ApplyPlan(
        revision=applied.revision,
        changes=tuple(changes),
        renames=ahead.renames,
        digest=_digest(applied.revision, changes),
    )


def _rename(one: Rename) -> ItemChange:
    return ItemChange(
        action=ApplyAction.RENAME, kind=one.what, name=one.new, was=one.old, reason="the description renames it"
    )


def _taken(one: Rename) -> ItemChange:
    reason = f"the database has {one.new} too: nothing is renamed"
    return ItemChange(action=ApplyAction.KEEP, kind=one.what, name=one.new, was=one.old, reason=reason)


def _judge(
    kind: ItemKind, name: str, says: Any, said: Any, has: Any, *, use: str, choices: Choices
) -> ItemChange | None:
    """The change of one thing. `says`: its value in the description now, `said`: when the description was last applied,
    `has`: its value in the database; None: it does not exist there."""
    change = ItemChange(
        action=ApplyAction.KEEP, kind=kind, name=name, reason="", described=says, held=has, applied=said
    )
    if says is None:
        if said is None or has is None:
            return None  # made by a user, or gone already
        if use or not choices.prune:
            stays = f"stays: {use}" if use else "stays unless it is pruned"
            return structs.replace(change, reason=f"removed from the description; {stays}")
        done = structs.replace(change, action=ApplyAction.REMOVE, reason="removed from the description")
        if is_equal(said, has):
            return done
        return _decided(done, "removed from the description, changed in the database", choices)
    if has is not None and is_equal(says, has):
        return None
    if said is not None and is_equal(says, said):
        return None  # only the database changed, which is where users change it
    if has is None:
        done = structs.replace(change, action=ApplyAction.ADD, reason="new in the description")
        why = "changed in the description, deleted in the database"
        return done if said is None else _decided(done, why, choices)
    done = structs.replace(change, action=ApplyAction.UPDATE, reason="changed in the description")
    if said is None:
        why = "description and database differ; it is not recorded which of them changed"
        return _decided(done, why, choices)
    if is_equal(said, has):
        return done
    return _decided(done, "changed in the description and in the database", choices)


def _decided(done: ItemChange, why: str, choices: Choices) -> ItemChange:
    """A conflict, or what was decided about it."""
    match choices.side(done.item):
        case Side.DESCRIPTION:
            return structs.replace(done, reason=f"{why}: the description is taken")
        case Side.DATABASE:
            return structs.replace(done, action=ApplyAction.LEAVE, reason=f"{why}: the database is taken")
        case None:
            return structs.replace(done, action=ApplyAction.CONFLICT, reason=why)


def _uses(kind: ItemKind, changes: list[ItemChange], removed: Mapping[str, set[str]], held: Held) -> dict[str, str]:
    """Name -> why it is in use after the changes that were found so far."""
    gone = removed.get(ItemKind.PARTITION, set[str]())
    match kind:
        case ItemKind.TAG:
            return {tag: f"{at} has it selected" for at, tag in held.selected.items() if tag and at not in gone}
        case ItemKind.CONFIGURATION:
            tags = dict(held.contents.get(ItemKind.TAG, {}))
            tags |= {one.name: one.described for one in changes if one.kind == ItemKind.TAG and _saves(one)}
            for name in removed.get(ItemKind.TAG, ()):
                tags.pop(name, None)
            users = [(systems, f"the tag {name} names it") for name, systems in tags.items()]
            users += [(chosen, f"{at} has it selected") for at, chosen in held.wanted.items() if at not in gone]
            return {f"{system}.{tag}": why for systems, why in users for system, tag in systems.items()}
        case ItemKind.PARTITION:
            return {at: f"{detector} is in it" for detector, at in held.places.items() if at}
        case ItemKind.DETECTOR:
            return {detector: f"it is in {at}" for detector, at in held.places.items() if at}
        case ItemKind.SCHEMA:
            return {}


def _saves(change: ItemChange) -> bool:
    return change.action in (ApplyAction.ADD, ApplyAction.UPDATE)


def _digest(revision: int, changes: list[ItemChange]) -> str:
    return sha256(msgspec.json.encode((revision, changes), order="sorted")).hexdigest()[:16]


def contents_after(described: Contents, plan: ApplyPlan) -> Contents:
    """The contents that are recorded as applied. Things that the description no longer has, but the database keeps,
    stay in the record, so that they can be pruned later."""
    kept = [one for one in plan.changes if one.action is ApplyAction.KEEP and one.described is None and not one.was]
    found: Contents = {kind: dict(described.get(kind, {})) for kind in ItemKind}
    for one in kept:
        found[one.kind][one.name] = one.applied
    return found


def with_equal_contents(described: Contents, applied: AppliedDescription, held: Held) -> Contents | None:
    """The record of applied contents, with all things that are equal in description and database added; None if there
    is no addition.

    A database without a record of what was applied gets one by this, for all that is equal at its first start.
    """
    found: Contents = {kind: dict(applied.contents.get(kind, {})) for kind in ItemKind}
    is_new = not applied.revision
    for kind, name in names(described):
        value, has = described[kind][name], held.contents.get(kind, {}).get(name)
        if has is None or not is_equal(value, has):
            continue
        if name not in found[kind] or not is_equal(found[kind][name], value):
            found[kind][name] = value
            is_new = True
    return found if is_new else None

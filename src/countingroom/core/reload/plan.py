"""Compares two descriptions: what a reload would change, thing by thing, and what each change entails. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, cast

from msgspec import Struct

from countingroom.core.reload.content import ReloadContent

IN_PLACE_KEYS = frozenset({"title", "group", "area", "points", "commands"})
"""Keys of a device that change while its driver goes on: no reconnection, no gap."""
UP_PATHS = ("bus", "storage", "backup", "console.host", "console.port", "console.tls", "alarms.interlocks")
"""Paths that only a restart of `up` changes. Interlocks are among them: a host that took others while it runs could
release what has tripped."""
HIDDEN = "(not shown)"
_SECRET = ("password", "secret", "token", "passphrase")
_LONGEST = 200
_DEEPEST = 2
"""Things with names stand so deep in a section: `alarms.custom.hot`."""


class ReloadAction(StrEnum):
    """What happens to one thing of the description."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Entails(StrEnum):
    """The consequence of a change."""

    IN_PLACE = "in place"
    """Nothing else notices it."""
    RECONNECTS = "reconnects"
    """This device alone is let go and connected again."""
    RESTARTS = "restarts a process"
    UP = "needs a restart of up"
    """It cannot be reloaded."""


class KeyChange(Struct, frozen=True, kw_only=True):
    """One key with both values as text; empty: the key was not there."""

    key: str
    before: str = ""
    after: str = ""


class ReloadChange(Struct, frozen=True, kw_only=True):
    """One thing that differs."""

    path: str
    """`devices.caen`, `alarms.custom.hot`, `history.keep`."""
    action: ReloadAction
    entails: Entails
    keys: tuple[KeyChange, ...] = ()
    """Of a thing that is changed."""
    processes: tuple[str, ...] = ()
    """Those that start again."""

    @property
    def device(self) -> str:
        """The device that it is about; empty: none."""
        section, _, name = self.path.partition(".")
        return name if section == "devices" else ""


class ReloadPlan(Struct, frozen=True, kw_only=True):
    """All differences of two descriptions."""

    digest: str
    """Of the new description."""
    changes: tuple[ReloadChange, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    def of(self, entails: Entails) -> tuple[ReloadChange, ...]:
        """The changes that cost this."""
        return tuple(one for one in self.changes if one.entails is entails)

    @property
    def restarts(self) -> dict[str, tuple[str, ...]]:
        """Process that starts again -> the paths because of which it does."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.changes:
            for process in one.processes:
                found[process] = (*found.get(process, ()), one.path)
        return found

    @property
    def touched(self) -> frozenset[str]:
        """The devices whose link is made, ended or made again."""
        return frozenset(
            one.device
            for one in self.changes
            if one.device and (one.entails is Entails.RECONNECTS or one.action is not ReloadAction.CHANGED)
        )


def plan(old: ReloadContent, new: ReloadContent) -> ReloadPlan:
    """The changes of a reload from the old to the new description, in the order of the paths."""
    found: list[ReloadChange] = []
    readers = {**old.readers, **new.readers}
    for path, before, after in _differences(old.sections, new.sections):
        action = _action(before, after)
        keys = tuple(_keys(before, after, path)) if action is ReloadAction.CHANGED else ()
        processes = _readers(path, readers, after if after is not None else before)
        entails = _entails(path, action, keys, processes)
        found.append(ReloadChange(path=path, action=action, entails=entails, keys=keys, processes=processes))
    told = any(one.entails is Entails.UP for one in found)
    for what in sorted(old.fixed.keys() | new.fixed.keys()):
        if old.fixed.get(what) != new.fixed.get(what) and not told:
            found.append(ReloadChange(path=what, action=ReloadAction.CHANGED, entails=Entails.UP))
    return ReloadPlan(digest=new.digest, changes=tuple(found))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(path, before, after) of each difference; None: it does not exist on that side."""

    def walk(path: tuple[str, ...], before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
        if before == after:
            return
        deepest = 1 if path[:1] == ("devices",) else _DEEPEST
        if isinstance(before, dict) and isinstance(after, dict) and len(path) <= deepest:
            first, second = cast(dict[str, Any], before), cast(dict[str, Any], after)
            for key in sorted(first.keys() | second.keys()):
                yield from walk((*path, key), first.get(key), second.get(key))
        else:
            yield ".".join(path), before, after

    for key in sorted(old.keys() | new.keys()):
        yield from walk((key,), old.get(key), new.get(key))


def _action(before: Any, after: Any) -> ReloadAction:
    if before is None:
        return ReloadAction.ADDED
    return ReloadAction.REMOVED if after is None else ReloadAction.CHANGED


def _readers(path: str, readers: Mapping[str, tuple[str, ...]], value: Any) -> tuple[str, ...]:
    fitting = [prefix for prefix in readers if path == prefix or path.startswith(f"{prefix}.")]
    return readers[max(fitting, key=len)] if fitting else ()


def _entails(path: str, action: ReloadAction, keys: tuple[KeyChange, ...], processes: tuple[str, ...]) -> Entails:
    if any(path == one or path.startswith(f"{one}.") for one in UP_PATHS):
        return Entails.UP
    if path.startswith("devices.") and action is ReloadAction.CHANGED:
        changed = {one.key.partition(".")[0] for one in keys}
        if not changed <= IN_PLACE_KEYS:
            return Entails.RECONNECTS
    return Entails.RESTARTS if processes else Entails.IN_PLACE


def _keys(before: Any, after: Any, thing: str, path: str = "") -> Iterator[KeyChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        first, second = cast(dict[str, Any], before), cast(dict[str, Any], after)
        for key in sorted(first.keys() | second.keys()):
            yield from _keys(first.get(key), second.get(key), thing, f"{path}.{key}" if path else key)
        return
    is_secret = any(word in f"{thing}.{path}".lower() for word in _SECRET)
    yield KeyChange(key=path, before=_text(before, is_secret), after=_text(after, is_secret))


def _text(value: Any, is_secret: bool) -> str:
    if value is None or value == "":
        return ""
    if is_secret:
        return HIDDEN
    text = value if isinstance(value, str) else _plain(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        pairs = cast(dict[str, Any], value).items()
        shown = {key: HIDDEN if any(word in key.lower() for word in _SECRET) else one for key, one in pairs}
        return ", ".join(f"{key}: {_plain(one)}" for key, one in shown.items() if one not in (None, "", [], {}))
    if isinstance(value, list):
        return "[" + ", ".join(_plain(one) for one in cast(list[Any], value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)

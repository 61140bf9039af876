"""Reads the configuration of fliswarm, and remembers what became of each of its keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from countingroom.cli.import_account import NOT_NEEDED, Reasons
from countingroom.core.yaml.located import Located, Path, mapping

_UNKNOWN = "left out: fliswarm has no such key"


class FliswarmReader:
    """Reads values by their path, and remembers what became of each."""

    def __init__(self, located: Located) -> None:
        self._located = located
        self._seen: set[Path] = set()
        self._reasons: Reasons = {}

    def told(self, path: Path, verdict: str, reason: str) -> None:
        """Record the result for a path, unless it has one or the file does not have the path."""
        if path in self._located.keys:
            self._reasons.setdefault(path, (verdict, reason))

    def text(self, *path: str) -> str:
        """A text or number; empty where there is none, or it is none."""
        value = self._value(path)
        if isinstance(value, (dict, list, bool)):
            self.told(path, NOT_NEEDED, "left out: it is no text")
            return ""
        return "" if value is None else str(value)

    def number(self, *path: str, most: int) -> int | None:
        """A whole number from 0 on."""
        value = self._value(path)
        if value is None or (type(value) is int and 0 <= value <= most):
            return value
        self.told(path, NOT_NEEDED, f"left out: it is no whole number from 0 to {most}")
        return None

    def table(self, *path: str) -> Mapping[str, Any]:
        """A mapping; what is in it is accounted for by its own path."""
        value = self._value(path)
        found = mapping(value)
        if found is None and value is not None:
            self.told(path, NOT_NEEDED, "left out: it has no keys")
        return found or {}

    def items(self, *path: str) -> Sequence[Any]:
        """A list, accounted for item by item."""
        value = self._value(path)
        if not isinstance(value, list):
            self.told(path, NOT_NEEDED, "left out: it is no list")
            return []
        found = cast("list[Any]", value)
        self._seen |= {(*path, index) for index in range(len(found))}
        return found

    def account(self) -> Reasons:
        """What became of each path that is not simply taken."""
        for path in self._located.keys:
            above = [path[:end] for end in range(1, len(path))]
            is_left = any(self._reasons.get(one, ("",))[0] == NOT_NEEDED for one in above)
            if path not in self._seen and not is_left:
                self._reasons.setdefault(path, (NOT_NEEDED, _UNKNOWN))
        return self._reasons

    def _value(self, path: Path) -> Any:
        self._seen |= {path[:end] for end in range(1, len(path) + 1)}
        value = self._located.value
        for step in path:
            value = (mapping(value) or {}).get(str(step))
        return value

"""The input of a reload: a description as plain values, and the facts about processes that follow from it. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class ReloadContent(Struct, frozen=True, kw_only=True):
    """One description. Values are those of JSON, with every key that was left out."""

    digest: str
    """Fingerprint of all of it."""
    sections: dict[str, Any]
    """Key at the top of the description -> its section, `devices` among them."""
    readers: dict[str, tuple[str, ...]] = {}
    """Path -> the processes that must start again where something below it changes: `alarms.principals`. Of several
    paths the longest counts; none: nothing has to."""
    fixed: dict[str, str] = {}
    """What only a restart of `up` changes, in words -> its fingerprint: `the users of the bus`."""
    commanded: dict[str, str] = {}
    """System of run control -> the device that its agent commands."""
    interlocked: dict[str, tuple[str, ...]] = {}
    """Device -> the interlocks that read or command it."""
    silent_s: float | None = None
    """The shortest silence of the alarm department after which a device host applies safe outputs; None: never."""
    areas: dict[str, str] = {}
    """Thing -> the area of alarms that it names itself: `device.caen` -> `power/hv`."""

    @property
    def devices(self) -> dict[str, dict[str, Any]]:
        """Device -> its keys."""
        return self.sections.get("devices") or {}

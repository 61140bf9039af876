"""The messages of a reload: on the bus, to child processes, and to the requester. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.reload.plan import ReloadPlan

DEPARTMENT = "processes"
"""The department word of the command `reload` and of the query of its plan: `up` answers both."""
TARGET = "_description"
"""The target of the command."""
QUERY = "reload"
STATE_KEY = "in_force"
"""Key in `state` of the description that is in force (`DescriptionInForce`)."""


class ReloadQuery(Struct, frozen=True, kw_only=True):
    """Requests the plan, on `query.processes.reload`."""


class ReloadAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The plan of a reload now."""

    plan: ReloadPlan
    refusals: tuple[Cause, ...] = ()
    """Why it would not be done now."""
    mistakes: tuple[Cause, ...] = ()
    """Mistakes of the new description, each with file and line as its source; the plan is empty then."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long it would take, about."""


class DescriptionInForce(Struct, frozen=True, kw_only=True):
    """The description that the processes run with, under the key `in_force` of the bucket `state`."""

    version: int
    """Counted in the data folder: one more at each change."""
    digest: str
    since_ns: int
    by: str = ""
    """Who reloaded it; empty: it is that of the start."""
    processes: dict[str, int] = {}
    """Process of this `up` -> the version that it has."""

    @property
    def behind(self) -> tuple[str, ...]:
        """The processes that do not have this version yet."""
        return tuple(name for name, version in self.processes.items() if version != self.version)


class ReloadStep(StrEnum):
    """The steps of a reload inside a process."""

    PREPARE = "prepare"
    """Make what is new, without effect."""
    COMMIT = "commit"
    """Put what was prepared in force."""
    CANCEL = "cancel"
    """Forget what was prepared."""


class ReloadOrder(Struct, frozen=True, kw_only=True):
    """One step, to a process."""

    id: int
    step: ReloadStep
    reload: int = 0
    """Which reload it is part of: a process puts in force only what it has prepared for the same one."""
    devices: dict[str, dict[str, Any]] = {}
    """Device that is new, or is connected again -> its section, as it is written."""
    described: dict[str, dict[str, Any]] = {}
    """Device that goes on with its driver -> its section, as it is written."""
    removed: tuple[str, ...] = ()
    overrides: dict[str, dict[str, Any]] = {}
    """Device -> the keys of its section that point at its simulator."""
    areas: dict[str, str] = {}
    """Thing -> the area of alarms that it names itself."""
    names: tuple[str, ...] = ()
    """All devices of the new description."""


class ReloadReply(Struct, frozen=True, kw_only=True):
    """The answer of a process to an order."""

    id: int
    refused: Cause | None = None
    overrides: dict[str, dict[str, Any]] = {}
    """Of the simulators: the keys of each new device."""

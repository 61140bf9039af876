"""Law: how long a system takes is what it took lately, an old time counting half as much as the one after it."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.systems import ACTIVE, CONFIGURING, Action, SystemState

_WEIGHT = 0.5


class Durations:
    """(system, action) -> seconds, learnt from reports. A global system's partitions count together."""

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        self._known = {key: value for key, value in (known or {}).items() if value >= 0}
        self._began: dict[tuple[str, str], tuple[Action, int]] = {}
        self.changed = False
        """Whether something was learnt since it was last set to False."""

    def reported(self, before: SystemState | None, now: SystemState) -> None:
        """A system said its state."""
        if before is None or before.boot != now.boot or before.common == now.common:
            return
        at = now.system, now.partition
        if now.common == CONFIGURING:
            self._began[at] = Action.CONFIGURE, now.since_ns
        elif (began := self._began.pop(at, None)) and now.common == ACTIVE:
            self._learn(now.system, began[0], (now.since_ns - began[1]) / 1e9)

    def took(self, system: str, action: Action, seconds: float) -> None:
        """An order was over after so long."""
        self._learn(system, action, seconds)

    def all(self) -> dict[tuple[str, Action], float]:
        """What is known."""
        parted = (key.rpartition(".") for key in self._known)
        return {(system, Action(action)): self._known[f"{system}.{action}"] for system, _, action in parted}

    def plain(self) -> dict[str, float]:
        """The same for keeping: `STS.configure` -> seconds."""
        return dict(self._known)

    def _learn(self, system: str, action: Action, seconds: float) -> None:
        key = f"{system}.{action.value}"
        known = self._known.get(key)
        self._known[key] = seconds if known is None else known + _WEIGHT * (seconds - known)
        self.changed = True

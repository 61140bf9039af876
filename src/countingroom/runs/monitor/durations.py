"""Law: how long a system takes is what it took lately, an old time counting half as much as the one after it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.systems import ACTIVE, CONFIGURING, RECORDING, UNCONFIGURED, Action, SystemState

_WEIGHT = 0.5
_WAITING = 10_000
"""Orders whose end is waited for; older ones are forgotten."""

_OVER = {
    Action.START: RECORDING,
    Action.STOP: ACTIVE,
    Action.ABORT: UNCONFIGURED,
    Action.RESET: UNCONFIGURED,
}
"""The common state in which an order is over. Configuring is timed by its states, whoever ordered it."""


class Known(Struct, frozen=True, kw_only=True):
    """What is known, as it is kept: `STS.configure` -> seconds."""

    seconds: dict[str, float] = {}


class Durations:
    """(system, action) -> seconds, learnt from reports. A global system's partitions count together."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._began: dict[tuple[str, str], int] = {}
        self._ordered: dict[str, tuple[Action, int]] = {}
        self.changed = False
        """Whether something was learnt since it was last set to False."""

    def remember(self, known: Known) -> None:
        """What an earlier process learnt."""
        self._known = {**known.seconds, **self._known}

    def known(self) -> Known:
        """What is to be kept."""
        return Known(seconds=dict(self._known))

    def all(self) -> Mapping[tuple[str, Action], float]:
        """What is known."""
        parted = ((key.rpartition("."), seconds) for key, seconds in self._known.items())
        return {(system, Action(action)): seconds for (system, _, action), seconds in parted}

    def ordered(self, order: str, action: Action, now_ns: int) -> None:
        """An order is sent."""
        if action in _OVER:
            self._ordered[order] = action, now_ns
            if len(self._ordered) > _WAITING:
                del self._ordered[next(iter(self._ordered))]

    def reported(self, before: SystemState | None, now: SystemState) -> None:
        """A system said its state."""
        ordered = self._ordered.get(now.order)
        if ordered and now.common == _OVER[ordered[0]]:
            del self._ordered[now.order]
            self._learn(now.system, ordered[0], now.since_ns - ordered[1])
        if before is None or before.boot != now.boot or before.common == now.common:
            return
        at = now.system, now.partition
        if now.common == CONFIGURING:
            self._began[at] = now.since_ns
        elif (began := self._began.pop(at, None)) and now.common == ACTIVE:
            self._learn(now.system, Action.CONFIGURE, now.since_ns - began)

    def _learn(self, system: str, action: Action, took_ns: int) -> None:
        key, seconds = f"{system}.{action.value}", max(0, took_ns) / 1e9
        known = self._known.get(key)
        self._known[key] = seconds if known is None else known + _WEIGHT * (seconds - known)
        self.changed = True

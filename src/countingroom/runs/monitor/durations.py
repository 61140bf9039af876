"""Measured durations of the systems' steps, for expected times of plans: a moving average in which each duration counts
half as much as the next one."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.systems import ACTIVE, CONFIGURING, RECORDING, UNCONFIGURED, Action, SystemState

_WEIGHT = 0.5
_WAITING = 10_000
"""Maximum number of orders without an end; older ones are dropped."""

_OVER = {
    Action.START: RECORDING,
    Action.STOP: ACTIVE,
    Action.ABORT: UNCONFIGURED,
    Action.RESET: UNCONFIGURED,
}
"""The common state that ends an order. Configuring is measured from its states, so it needs no order."""


class Known(Struct, frozen=True, kw_only=True):
    """The durations as they are published: `STS.configure` -> seconds."""

    seconds: dict[str, float] = {}


class Durations:
    """(system, action) -> seconds, measured from reports. The partitions of a global system share one value."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._began: dict[tuple[str, str], int] = {}
        self._ordered: dict[str, tuple[Action, int]] = {}
        self.changed = False
        """Whether a duration changed since this was last set to False."""

    def remember(self, known: Known) -> None:
        """Take over the durations of an earlier process."""
        self._known = {**known.seconds, **self._known}

    def known(self) -> Known:
        """The durations to publish."""
        return Known(seconds=dict(self._known))

    def all(self) -> Mapping[tuple[str, Action], float]:
        """All durations."""
        parted = ((key.rpartition("."), seconds) for key, seconds in self._known.items())
        return {(system, Action(action)): seconds for (system, _, action), seconds in parted}

    def ordered(self, order: str, action: Action, now_ns: int) -> None:
        """Record that an order was sent."""
        if action in _OVER:
            self._ordered[order] = action, now_ns
            if len(self._ordered) > _WAITING:
                del self._ordered[next(iter(self._ordered))]

    def reported(self, before: SystemState | None, now: SystemState) -> None:
        """Record a state that a system reported."""
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

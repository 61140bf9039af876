"""Measured durations of the actions of systems, for the expected times of plans.

The estimate is an exponential moving average: each new measurement has half of the weight.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.systems import ACTIVE, CONFIGURING, RECORDING, UNCONFIGURED, Action, SystemState

_WEIGHT = 0.5
_WAITING = 10_000
"""Maximum number of orders whose end is awaited; the oldest is dropped."""

_OVER = {
    Action.START: RECORDING,
    Action.STOP: ACTIVE,
    Action.ABORT: UNCONFIGURED,
    Action.RESET: UNCONFIGURED,
}
"""The common state in which an order is complete. CONFIGURE is measured from the states, independent of the
sender of the order."""


class Known(Struct, frozen=True, kw_only=True):
    """The estimates as they are stored: `STS.configure` -> seconds."""

    seconds: dict[str, float] = {}


class Durations:
    """(system, action) -> seconds, measured from reports. The partitions of a global system share one estimate."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._began: dict[tuple[str, str], int] = {}
        self._ordered: dict[str, tuple[Action, int]] = {}
        self.changed = False
        """Whether an estimate has changed since this was last set to False."""

    def remember(self, known: Known) -> None:
        """Load the estimates of an earlier process. Estimates of this process take precedence."""
        self._known = {**known.seconds, **self._known}

    def known(self) -> Known:
        """The estimates to store."""
        return Known(seconds=dict(self._known))

    def all(self) -> Mapping[tuple[str, Action], float]:
        """All estimates in seconds."""
        parted = ((key.rpartition("."), seconds) for key, seconds in self._known.items())
        return {(system, Action(action)): seconds for (system, _, action), seconds in parted}

    def ordered(self, order: str, action: Action, now_ns: int) -> None:
        """Record the time at which an order is sent."""
        if action in _OVER or action is Action.RECONFIGURE:
            self._ordered[order] = action, now_ns
            if len(self._ordered) > _WAITING:
                del self._ordered[next(iter(self._ordered))]

    def reported(self, before: SystemState | None, now: SystemState, now_ns: int) -> None:
        """Evaluate a new report of a system. `now_ns`: when it was received, by the clock of `ordered`."""
        ordered = self._ordered.get(now.order)
        if ordered and ordered[0] is Action.RECONFIGURE:
            if before is not None and before.key != now.key and now.cause is None:  # the state is as before
                del self._ordered[now.order]
                self._learn(now.system, Action.RECONFIGURE, now_ns - ordered[1])
        elif ordered and now.common == _OVER[ordered[0]]:
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

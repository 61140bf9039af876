"""The states of one device and its channels, derived from readings. Unchanged states are not published again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.messages import CommandSpec, DeviceState, Link
from countingroom.core.values import Reading
from countingroom.devices.behaviour import Behaviour, CommandRules, Observation
from countingroom.devices.host.driver_fault import cause_of
from countingroom.devices.host.held import held_back
from countingroom.devices.host.legality import refusals

DISCONNECTED = "DISCONNECTED"


class StateChange(Struct, frozen=True, kw_only=True):
    """A state to publish, and the one before it (None at the start)."""

    before: DeviceState | None
    now: DeviceState

    @property
    def moved(self) -> bool:
        """Whether the state differs, and not only its cause or its refusals."""
        return self.before is not None and self.before.state != self.now.state


class StateTracker:
    """The states of one device and of its channels. No clock, no I/O."""

    def __init__(self, device: str, behaviour: Behaviour, commands: tuple[CommandSpec, ...], boot: str) -> None:
        self._device = device
        self._behaviour = behaviour
        self._commands = commands
        self._boot = boot
        self._now: dict[str, DeviceState] = {}
        self._held: tuple[HeldCommand, ...] = ()
        self._is_judged_anew = False
        """Whether the refusals of all states are to be found anew."""
        self._rules = behaviour if isinstance(behaviour, CommandRules) else None

    def hold(self, held: tuple[HeldCommand, ...]) -> None:
        """Keep these effects of acting interlocks in force from now on. The next `observe` also returns the states that
        they give other refusals."""
        self._is_judged_anew |= held != self._held
        self._held = held

    def describe(self, commands: tuple[CommandSpec, ...]) -> None:
        """The same commands, with other properties. The next `observe` judges all states anew."""
        self._is_judged_anew |= commands != self._commands
        self._commands = commands

    @property
    def now(self) -> Mapping[str, DeviceState]:
        """Channel -> its state; the empty name is the device."""
        return self._now

    def observe(
        self, changed: Iterable[str], readings: Mapping[str, Reading], *, link: Link, cause: Cause | None, now_ns: int
    ) -> list[StateChange]:
        """The changed states of channels, then that of the device. `cause` is the reason of a lost link."""
        behaviour = self._behaviour
        connected = link is Link.CONNECTED
        lost = Observation(state=DISCONNECTED, cause=cause)
        wanted = set(changed)
        # Rules look at the device's own points: what they forbid at a channel changes with those.
        self._is_judged_anew |= self._rules is not None and "" in wanted
        changes: list[StateChange] = []
        for channel in behaviour.channels:
            is_wanted = channel in wanted or self._is_judged_anew
            if is_wanted or channel not in self._now or self._now[channel].link is not link:
                seen = self._observe(behaviour.observe_channel, channel, readings) if connected else lost
                chart = behaviour.channel_chart or behaviour.chart
                changes += self._update(channel, chart, seen, link, now_ns, readings)
        active = {name: self._now[name].state for name in behaviour.channels if name not in behaviour.inactive}
        seen = self._observe(behaviour.observe_device, active, readings) if connected else lost
        changes += self._update("", behaviour.chart, seen, link, now_ns, readings)
        self._is_judged_anew = False
        return changes

    def _observe(self, observe: Any, *arguments: Any) -> Observation:
        try:
            return observe(*arguments)
        except Exception as error:  # must not take the host down with all other devices
            return Observation(state="ERROR", cause=cause_of(error, f"devices.{self._device}"))

    def _update(
        self,
        channel: str,
        chart: Chart,
        seen: Observation,
        link: Link,
        now_ns: int,
        readings: Mapping[str, Reading],
    ) -> list[StateChange]:
        before = self._now.get(channel)
        same = before is not None and before.state == seen.state
        cause = _steady(before.cause, seen.cause) if before and same else seen.cause
        if before and same and before.link is link and before.cause == cause and not self._is_judged_anew:
            return []
        active = channel not in self._behaviour.inactive
        now = DeviceState(
            device=self._device,
            channel=channel,
            state=seen.state,
            common=chart.common.get(seen.state, "no_link" if seen.state == DISCONNECTED else ""),
            link=link,
            since_ns=before.since_ns if before and same else now_ns,
            cause=cause,
            refusals=self._with_held(
                refusals(
                    self._commands,
                    chart,
                    channel,
                    seen,
                    link=link,
                    active=active,
                    source=f"devices.{self._device}",
                    forbids=lambda command: self._forbids(command, channel, readings),
                ),
                channel,
                readings,
            ),
            boot=self._boot,
            active=active,
        )
        if before == now:
            return []
        self._now[channel] = now
        return [StateChange(before=before, now=now)]

    def _forbids(self, command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        if self._rules is None:
            return None
        try:
            return self._rules.forbids(command, channel, readings)
        except Exception as error:  # must not take the host down with all other devices
            return cause_of(error, f"devices.{self._device}")

    def _with_held(
        self, refused: dict[str, Cause | None], channel: str, readings: Mapping[str, Reading]
    ) -> dict[str, Cause | None]:
        """With the commands that acting interlocks hold back."""
        if not self._held:
            return refused
        source = f"devices.{self._device}{f'.{channel}' if channel else ''}"
        scope = "channel" if channel else "device"
        specs = {spec.name: spec for spec in self._commands if spec.scope == scope}
        return {
            name: cause or held_back(specs[name], channel, self._behaviour, readings, self._held, source)
            for name, cause in refused.items()
        }


def _steady(before: Cause | None, now: Cause | None) -> Cause | None:
    """The earlier cause while only its evidence differs, so that a noisy number publishes no new state."""
    if before and now and msgspec.structs.replace(now, evidence=before.evidence, since_ns=before.since_ns) == before:
        return before
    return now

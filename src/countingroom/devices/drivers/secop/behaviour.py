"""States of a SECoP node: a module is a channel with the state of its `status`, and the node's text as cause. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, Refused
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.secop.commands import NodeCommand, missing
from countingroom.devices.drivers.secop.structure import STATUS, STATUS_TEXT
from countingroom.devices.plain import PlainBehaviour

MOST_NAMED = 8
"""Parameters that a cause names."""
_STATES = ("DISABLED", "IDLE", "WARN", "BUSY", "ERROR")
"""By the hundreds of the code of the status."""
_FOUND = tuple((f"found_{state.lower()}", state) for state in ("CONNECTED", *_STATES))

NODE = Chart(
    name="secop",
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("CONNECTED", "disconnect", "DISCONNECTED"),
        Row("CONNECTED", "change", "CHANGED"),
        Row("CHANGED", "restore", "CONNECTED"),
        Row("CHANGED", "disconnect", "DISCONNECTED"),
    ),
    initial="DISCONNECTED",
    safe=("CONNECTED",),
    common={"DISCONNECTED": "no_link", "CONNECTED": "on", "CHANGED": "ready"},
)

MODULE = Chart(
    name="secop module",
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        *(Row(state, event, found) for _, state in _FOUND for event, found in _FOUND if found != state),
        *(Row(state, "disconnect", "DISCONNECTED") for _, state in _FOUND),
    ),
    initial="DISCONNECTED",
    safe=("DISABLED", "IDLE"),
    common={
        "DISCONNECTED": "no_link",
        "CONNECTED": "on",
        "DISABLED": "off",
        "IDLE": "on",
        "WARN": "on",
        "BUSY": "moving",
        "ERROR": "error",
    },
)


class SecopBehaviour(PlainBehaviour):
    """Behaviour of a node. It has CommandRules.

    `changed`: point -> why the node does not have it as described; the driver fills it when it connects.
    """

    chart = NODE

    def __init__(
        self,
        modules: tuple[str, ...],
        commands: Mapping[tuple[str, str], NodeCommand],
        changed: Mapping[str, str],
    ) -> None:
        super().__init__(modules)
        self.channel_chart: Chart | None = MODULE
        self.commands = tuple({command.spec.name: command.spec for command in commands.values()}.values())
        self._commands = commands
        self._changed = changed

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        status = readings.get(f"{channel}.{STATUS}")
        if status is None:
            return super().observe_channel(channel, readings)
        if status.quality is Quality.BAD or not isinstance(status.value, int):
            reason = status.reason or "it sends no status"
            return Observation(state="CONNECTED", cause=_of_module(channel, "no_status", reason))
        state = _STATES[min(max(status.value // 100, 0), len(_STATES) - 1)]
        if state not in ("WARN", "ERROR"):
            return Observation(state=state)
        text = readings.get(f"{channel}.{STATUS_TEXT}")
        shown = f"{text.value}" if text is not None and text.value else f"its status is {status.value}"
        return Observation(state=state, cause=_of_module(channel, state.lower(), shown))

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        if not self._changed:
            return Observation(state="CONNECTED")
        named = list(self._changed.items())
        rest = f" and {len(named) - MOST_NAMED} others" if len(named) > MOST_NAMED else ""
        listed = "; ".join(f"{point}: {reason}" for point, reason in named[:MOST_NAMED])
        return Observation(
            state="CHANGED",
            cause=Cause(
                code="node_changed",
                message=f"the node is not as described: {listed}{rest}",
                suggestion="write its section anew with `countingroom secop describe`",
            ),
        )

    def forbids(self, command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        """A command that this module does not have."""
        known = (channel, command) in self._commands or not channel
        return None if known else missing(command, channel)

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        found = self._commands.get((channel, command))
        if found is None:
            raise Refused(missing(command, channel))
        return (found.write(arguments),)

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        channel, _, name = point.partition(".")
        if (channel, name) in self._commands or any(one.point.name == point for one in self._commands.values()):
            return Cause(
                code="command_only",
                message=f"{point} is a command",
                suggestion=f"give the command {name} to the channel {channel}",
            )
        return None


def _of_module(module: str, code: str, text: str) -> Cause:
    return Cause(code=code, message=f"{module}: {text}", suggestion="look at the module at its node")

"""The actions of rules: commands, ramps, messages to people, log entries. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.policy import Role
from countingroom.core.values import Scalar

DEADLINE_S = 60.0
"""The time within which an action must end, unless the description gives another one."""


class CommandAction(Struct, frozen=True, kw_only=True, tag="command"):
    """A command to a device, a partition or the experiment."""

    department: str
    """`devices` or `runs`."""
    target: str
    command: str
    channel: str = ""
    arguments: Mapping[str, Scalar] = {}
    deadline_s: float = DEADLINE_S


class RampAction(Struct, frozen=True, kw_only=True, tag="ramp"):
    """Brings a setpoint to a value at a rate."""

    device: str
    point: str
    to: float
    rate_per_s: float
    """In the unit of the point, per second; above 0."""
    every_s: float = 5.0
    """Time between two steps, where the device does not ramp by itself."""


class LogAction(Struct, frozen=True, kw_only=True, tag="log"):
    """An entry of the events, and of the run book where it names a partition."""

    text: str
    partition: str = ""
    """The entry becomes a comment of its open run."""


class NotifyAction(Struct, frozen=True, kw_only=True, tag="notify"):
    """A message to people, through the channels of the section `alarms.notify`."""

    to: tuple[str, ...]
    """Channels, persons, calendars."""
    text: str
    title: str = ""
    """The name of the rule where empty."""


Action = CommandAction | RampAction | NotifyAction | LogAction


class RuleActions(Struct, frozen=True, kw_only=True):
    """The actions of a rule in their order, and the roles of its principal."""

    actions: tuple[Action, ...]
    roles: Mapping[str, Role] = {}
    """Target or pattern of targets (`device.caen`, `partition.*`) -> the role of its principal there."""
    goes_on: bool = False
    """Whether the actions after one that was refused or failed are done all the same."""


def words(action: Action) -> str:
    """An action in words: `caen: hv_off 0`, `ramp chiller.set_temp to 20 at 0.5 per s`, `log: night begins`."""
    match action:
        case CommandAction():
            given = ", ".join(f"{name} {value}" for name, value in action.arguments.items())
            return f"{action.target}: {' '.join(filter(None, (action.command, action.channel)))}" + (
                f" ({given})" if given else ""
            )
        case RampAction():
            return f"ramp {action.device}.{action.point} to {action.to:g} at {action.rate_per_s:g} per s"
        case NotifyAction():
            return f"notify {', '.join(action.to)}: {action.text}"
        case LogAction():
            return f"log: {action.text}"


def target_of(action: Action) -> str:
    """The target of the policy that an action acts on; empty: none."""
    match action:
        case CommandAction(department="devices", target=target):
            return f"device.{target}"
        case CommandAction(target=target):
            return target if target.startswith("_") else f"partition.{target}"
        case RampAction():
            return f"device.{action.device}"
        case NotifyAction():
            return ""
        case LogAction():
            return f"partition.{action.partition}" if action.partition else ""

"""Identities of alarms that the description does not write itself: each limit, link, channel, system and partition.

An identity is a path of tokens with dots. It is the same after a restart and after an edit of limits or guidance, so
that an acknowledgement, a shelf and the history stay with the alarm.

    point.<device>.<point>          value beyond a limit, or the flag of a fault (`point.caen.0.lv_vMon`)
    value.<device>.<point>          no usable value: stale, bad or missing
    device.<device>.state           the state machine of the device is in an error state
    device.<device>.link            the device is not reached, or its device host is gone
    channel.<device>.<channel>      the state machine of the channel is in an error state
    partition.<partition>.owner     no process owns it
    partition.<partition>.goal      it does not proceed
    member.<partition>.<system>     a member is in Error, not connected, or has another configuration
    role.<role>                     a process of the control system is gone or not ready
    backup.failed                   the last scheduled backup failed
    backup.late                     two times of the schedule have passed without a new backup
    mirror.canary                   a text that must never leave would have left by the mirror
    fleet.keeper                    nothing is done to the fleet: no process keeps it, or it cannot remember
    node.<node>.link                a node of the fleet does not answer
    node.<node>.set_aside           a node is set aside past its time
    service.<service>.<what>        `crash_loop`, `unhealthy`, `change`, `drift` or `disabled` of a service of the fleet
    custom.<name>                   an alarm of the section `alarms`
    overdue.<identity>              an alarm is still out of service after its due date
    interlock.<name>                an interlock has tripped
    interlock.<name>.<effect>       an effect of it is not reached
"""

from __future__ import annotations

from countingroom.core.subjects import EXPERIMENT, token

BACKUP_FAILED = "backup.failed"
BACKUP_LATE = "backup.late"
MIRROR_CANARY = "mirror.canary"
FLEET_KEEPER = "fleet.keeper"
_OVERDUE = "overdue."
_FLEET = ("fleet.", "node.", "service.")


def of_point(device: str, point: str) -> str:
    """A point beyond its limits."""
    return f"point.{token(device)}.{point}"


def of_value(device: str, point: str) -> str:
    """A point without a usable value."""
    return f"value.{token(device)}.{point}"


def is_of_value(id: str) -> bool:
    """Whether it is the alarm of a point without a usable value."""
    return id.startswith("value.")


def of_device_state(device: str) -> str:
    """A device in an error state."""
    return f"device.{token(device)}.state"


def of_link(device: str) -> str:
    """A device that is not reached."""
    return f"device.{token(device)}.link"


def of_channel(device: str, channel: str) -> str:
    """A channel in an error state."""
    return f"channel.{token(device)}.{token(channel)}"


def of_owner(partition: str) -> str:
    """A partition without an owner."""
    return f"partition.{token(partition)}.owner"


def of_goal(partition: str) -> str:
    """A partition that does not proceed."""
    return f"partition.{token(partition)}.goal"


def of_member(partition: str, system: str) -> str:
    """A member of a partition."""
    return f"member.{token(partition)}.{token(system)}"


def of_role(role: str) -> str:
    """A process of the control system."""
    return f"role.{token(role)}"


def is_of_role(id: str) -> bool:
    """Whether it is the alarm of a process of the control system."""
    return id.startswith("role.")


def of_node(node: str, what: str) -> str:
    """A node of the fleet: `link`, `set_aside`."""
    return f"node.{token(node)}.{what}"


def of_service(service: str, what: str) -> str:
    """A service of the fleet: `crash_loop`, `unhealthy`, `change`, `drift`, `disabled`."""
    return f"service.{token(service)}.{what}"


def is_of_fleet(id: str) -> bool:
    """Whether it is an alarm of the fleet."""
    return id.startswith(_FLEET)


def is_of_computers(id: str) -> bool:
    """Whether it is the alarm of a process or of the fleet, on which devices and systems depend."""
    return is_of_role(id) or is_of_fleet(id)


def of_custom(name: str) -> str:
    """An alarm of the section `alarms`."""
    return f"custom.{token(name)}"


def of_overdue(id: str) -> str:
    """An alarm that is still out of service after its due date."""
    return f"{_OVERDUE}{id}"


def overdue(id: str) -> str:
    """The alarm that is out of service for too long; empty: this is an alarm about something else."""
    return id.removeprefix(_OVERDUE) if id.startswith(_OVERDUE) else ""


def of_interlock(name: str) -> str:
    """An interlock."""
    return f"interlock.{token(name)}"


def of_effect(interlock: str, effect: str) -> str:
    """An effect of an interlock."""
    return f"interlock.{token(interlock)}.{token(effect)}"


def target(id: str) -> str:
    """The target on which a user needs a role to act on the alarm: `device.caen`, `partition.mCBM`, or the
    experiment."""
    id = overdue(id) or id
    kind, _, rest = id.partition(".")
    name = rest.partition(".")[0]
    if kind in ("point", "value", "device", "channel"):
        return f"device.{name}"
    return f"partition.{name}" if kind in ("partition", "member") else EXPERIMENT

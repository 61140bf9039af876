"""The permission that a command needs, from the tables of commands. Pure.

A command without a row needs an administrator.
"""

from __future__ import annotations

from countingroom.core.commands.alarms import ALARMS
from countingroom.core.commands.description import DESCRIPTION
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.fleet import FLEET
from countingroom.core.commands.interlocks import INTERLOCKS
from countingroom.core.commands.mirror import MIRROR
from countingroom.core.commands.notes import NOTES
from countingroom.core.commands.notifications import NOTIFICATIONS
from countingroom.core.commands.partition import PARTITION
from countingroom.core.commands.results import RESULTS
from countingroom.core.commands.row import CommandTable
from countingroom.core.commands.rules import RULES
from countingroom.core.commands.system import SYSTEM
from countingroom.core.commands.upstreams import UPSTREAMS
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Point
from countingroom.core.policy import Permission


def of_partition(command: str) -> Permission:
    """The permission for a command of a partition."""
    return _of(PARTITION, command)


def of_experiment(command: str) -> Permission:
    """The permission for a command of the experiment as a whole."""
    return _of(EXPERIMENT, command)


def of_description(command: str) -> Permission:
    """The permission for a command to the description in force."""
    return _of(DESCRIPTION, command)


def of_fleet(command: str) -> Permission:
    """The permission for a command to the fleet."""
    return _of(FLEET, command)


def of_system(command: str) -> Permission:
    """The permission for a command to the agent of a system."""
    return _of(SYSTEM, command)


def of_alarm(command: str) -> Permission:
    """The permission for a command to alarms."""
    return _of(ALARMS, command)


def of_notification(command: str) -> Permission:
    """The permission for a command about messages to people."""
    return _of(NOTIFICATIONS, command)


def of_rule(command: str) -> Permission:
    """The permission for a command to a rule."""
    return _of(RULES, command)


def of_mirror(command: str) -> Permission:
    """The permission for a command to the mirror."""
    return _of(MIRROR, command)


def of_note(command: str) -> Permission:
    """The permission for a command about a note for the public."""
    return _of(NOTES, command)


def of_program(command: str, role: str) -> Permission:
    """The permission for a command to a program of the section `results`, of which `role` may start it."""
    least = _of(RESULTS, command)
    by_role = {"expert": Permission.ENDANGER, "administrator": Permission.ADMINISTER}
    return by_role.get(role, least) if least is Permission.OPERATE else least


def of_upstream(command: str) -> Permission:
    """The permission for an action at an upstream of the mirror."""
    return _of(UPSTREAMS, command)


def of_interlock(command: str) -> Permission:
    """The lowest permission for a command to an interlock, which declares its own roles."""
    return _of(INTERLOCKS, command)


def of_device(spec: CommandSpec | None) -> Permission:
    """The permission for a command of a device; None stands for `set`."""
    return Permission.ENDANGER if spec is not None and spec.dangerous else Permission.OPERATE


def of_point(point: Point | None) -> Permission:
    """The permission for writing a point; None stands for one that the device does not have."""
    return Permission.ENDANGER if point is not None and point.dangerous else Permission.OPERATE


def _of(table: CommandTable, command: str) -> Permission:
    return table[command].permission if command in table else Permission.ADMINISTER

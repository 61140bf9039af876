"""Law: every bus subject, stream, bucket and key is spelled here and nowhere else."""

from __future__ import annotations

import re

STATE_BUCKET = "state"
LEASE_BUCKET = "leases"
READINGS_STREAM = "readings"
EVENTS_STREAM = "events"

_TOKEN = re.compile(r"[A-Za-z0-9_\-]+")


def is_token(text: str) -> bool:
    """Whether the text can stand as one token of a subject or key: letters, digits, `_` and `-`."""
    return _TOKEN.fullmatch(text) is not None


def token(text: str) -> str:
    """The text itself; ValueError where it cannot be one token."""
    if not is_token(text):
        raise ValueError(f"{text!r} is not a name: letters, digits, _ and - only")
    return text


def device_key(device: str) -> str:
    """Key in `state` of a device's state (`DeviceState`)."""
    return f"device.{token(device)}"


def channel_key(device: str, channel: str) -> str:
    """Key in `state` of one channel's state (`DeviceState` with a channel)."""
    return f"channel.{token(device)}.{token(channel)}"


def catalogue_key(device: str) -> str:
    """Key in `state` of what a device is: its points, commands and charts (`Catalogue`)."""
    return f"catalogue.{token(device)}"


def system_key(system: str, partition: str = "") -> str:
    """Key in `state` of a system's state (`SystemState`); of a global system one for each partition."""
    return f"system.{token(system)}.{token(partition)}" if partition else f"system.{token(system)}"


def partition_key(partition: str) -> str:
    """Key in `state` of everything about a partition (`PartitionState`)."""
    return f"partition.{token(partition)}"


MAPPING_KEY = "detectors"
"""Key in `state` of who is where (`Whereabouts`)."""

DURATIONS_KEY = "durations"
"""Key in `state` of how long systems took lately."""

EXPERIMENT = "_experiment"
"""The target of commands to the experiment as a whole: `command.<user>.runs._experiment`."""


def agent(system: str) -> str:
    """Subject of orders to an agent (`Order`, answered by `Answer`). Only run control asks there."""
    return f"agent.{token(system)}"


def owner(partition: str) -> str:
    """Subject of what the experiment tells the owner of a partition (`Hold`, `Release`)."""
    return f"owner.{token(partition)}"


def control_key(target: str) -> str:
    """Key in `state` of who is in control of a partition or of the experiment (`Control`)."""
    return f"control.{token(target)}"


def readings(device: str, *, full: bool) -> str:
    """Subject of a device's readings. A full message carries every point and comes at least every minute; a delta
    carries the points that changed. The last full message and what follows it is the present."""
    return f"readings.{'full' if full else 'delta'}.{token(device)}"


def readings_of(device: str) -> str:
    """Every reading of a device, full and delta."""
    return f"readings.*.{token(device)}"


def event(department: str, source: str) -> str:
    """Subject of an event: `events.devices.caen`."""
    return f"events.{token(department)}.{token(source)}"


def command(user: str, department: str, target: str) -> str:
    """Subject of a command. The user token is the identity: the server enforces it by permission, the payload does
    not repeat it."""
    return f"command.{token(user)}.{token(department)}.{token(target)}"


def commands_to(department: str, target: str = "*") -> str:
    """What the owner of a target listens to: commands of any user."""
    return f"command.*.{token(department)}.{target if target == '*' else token(target)}"


def command_user(subject: str) -> str:
    """The user token of a command's subject."""
    return subject.split(".")[1]


def query(department: str, what: str) -> str:
    """Subject of a question that changes nothing: `query.history.range`."""
    return f"query.{token(department)}.{token(what)}"


def presence(role: str, instance: str) -> str:
    """Subject of a process's heartbeat (`Presence`): `presence.devices.main`; `*` for any instance."""
    return f"presence.{token(role)}.{instance if instance == '*' else token(instance)}"


def pulse(system: str) -> str:
    """Subject of an agent's heartbeat (`Presence`). Apart from `presence`: there are a thousand of them."""
    return f"pulse.{system if system == '*' else token(system)}"


def echo(boot: str) -> str:
    """Subject on which who listens to the heartbeats hears himself among them. No system has such a name."""
    return f"pulse.={token(boot)}"


def connection(system: str, boot: str) -> str:
    """What the connection of an agent is called, so that who left the bus is known by name."""
    return f"agent.{token(system)}.{token(boot)}"


DEPARTURES = "server.gone"
"""Where the server says whose connection ended."""

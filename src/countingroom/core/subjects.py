"""Names of all bus subjects, streams, buckets and keys. No other file spells one."""

from __future__ import annotations

import re

STATE_BUCKET = "state"
LEASE_BUCKET = "leases"
POSITIONS_BUCKET = "consumers"
"""The acknowledged position of each durable consumer."""
NOTIFY_MESSAGES = "notify_message"
NOTIFY_TRACKS = "notify_track"
READINGS_STREAM = "readings"
EVENTS_STREAM = "events"

_TOKEN = re.compile(r"[A-Za-z0-9_\-]+")


def is_token(text: str) -> bool:
    """Whether the text is valid as one token of a subject or key: letters, digits, `_` and `-`."""
    return _TOKEN.fullmatch(text) is not None


def token(text: str) -> str:
    """The text itself; ValueError when it is not a valid token."""
    if not is_token(text):
        raise ValueError(f"{text!r} is not a name; use only letters, digits, _ and -")
    return text


def device_key(device: str) -> str:
    """Key in `state` of a device's state (`DeviceState`)."""
    return f"device.{token(device)}"


def channel_key(device: str, channel: str) -> str:
    """Key in `state` of one channel's state (`DeviceState` with a channel)."""
    return f"channel.{token(device)}.{token(channel)}"


def catalogue_key(device: str) -> str:
    """Key in `state` of a device's points, commands and state machines (`Catalogue`)."""
    return f"catalogue.{token(device)}"


def system_key(system: str, partition: str = "") -> str:
    """Key in `state` of a system's state (`SystemState`); a global system has one for each partition."""
    return f"system.{token(system)}.{token(partition)}" if partition else f"system.{token(system)}"


def partition_key(partition: str) -> str:
    """Key in `state` of a partition's state (`PartitionState`)."""
    return f"partition.{token(partition)}"


def alarm_key(alarm: str) -> str:
    """Key in `state` of an alarm (`AlarmState`). Its id is a path of tokens, see `core/alarms/identity.py`."""
    return f"alarm.{'.'.join(map(token, alarm.split('.')))}"


def notify_message_key(message: str) -> str:
    """Key in `state` of an urgent message to people that has not ended (`OutboxEntry`), for the next alarm process."""
    return f"{NOTIFY_MESSAGES}.{token(message)}"


def notify_track_key(track: str) -> str:
    """Key in `state` of an urgent alarm that was told (`Track`), for the next alarm process."""
    return f"{NOTIFY_TRACKS}.{token(track)}"


def notification_key(channel: str) -> str:
    """Key in `state` of a channel of messages to people (`ChannelState`)."""
    return f"notification.{token(channel)}"


def rule_key(rule: str) -> str:
    """Key in `state` of a rule (`RuleState`)."""
    return f"rule.{token(rule)}"


def interlock_key(name: str) -> str:
    """Key in `state` of an interlock (`InterlockState`)."""
    return f"interlock.{token(name)}"


def history_store_key(store: str) -> str:
    """Key in `state` of a further store of the history (`HistoryStoreState`)."""
    return f"history_store.{token(store)}"


MAPPING_KEY = "detectors"
"""Key in `state` of the partition of each detector (`Placement`)."""

DURATIONS_KEY = "durations"
"""Key in `state` of the recent durations of the systems' transitions."""

DESCRIPTION_KEY = "description"
"""Key in `state` of how the description differs from the database (`DescriptionState`)."""

EXPERIMENT = "_experiment"
"""The target of commands to the experiment as a whole: `command.<user>.runs._experiment`."""


ALARMS = "_alarms"
"""The target of commands to the alarm department: `command.<user>.alarms._alarms`."""

INTERLOCKS = "_interlocks"
"""The target of commands to interlocks: `command.<user>.alarms._interlocks`."""

NOTIFICATIONS = "_notify"
"""The target of commands about messages to people: `command.<user>.alarms._notify`."""


RULES = "_rules"
"""The target of commands to rules: `command.<user>.alarms._rules`."""

_DOT = "="
"""Stands for the dot in the name of a principal that is no person: no account has it in its name."""


def agent(system: str) -> str:
    """Subject of orders to an agent (`Order`, answered by `Answer`). Run control publishes there, and the console while
    a partition has no owner."""
    return f"agent.{token(system)}"


def owner(partition: str) -> str:
    """Subject of requests of the coordinator to the owner of a partition (`Hold`, `Release`)."""
    return f"owner.{token(partition)}"


def control_key(target: str) -> str:
    """Key in `state` of the control lease of a partition or of the experiment (`Control`)."""
    return f"control.{token(target)}"


def readings(device: str, *, full: bool) -> str:
    """Subject of a device's readings. A full message carries every point and comes at least every minute; a delta
    message carries the points that changed. The last full message and the deltas after it give the present values."""
    return f"readings.{'full' if full else 'delta'}.{token(device)}"


def readings_of(device: str) -> str:
    """Every reading of a device, full and delta."""
    return f"readings.*.{token(device)}"


def live_readings(device: str) -> str:
    """Subject of readings that the stream could not store yet, for clients that show or use present values; `*` for any
    device. The stream gets the same message later."""
    return f"live.readings.{device if device == '*' else token(device)}"


def event(department: str, source: str) -> str:
    """Subject of an event: `events.devices.caen`."""
    return f"events.{token(department)}.{token(source)}"


def events_of(department: str) -> str:
    """Every event of a department."""
    return f"events.{token(department)}.*"


def command(user: str, department: str, target: str) -> str:
    """Subject of a command. The user token is the sender's identity, which the permissions of the NATS server can
    enforce; the message does not repeat it. The principal of a rule or an interlock has a dot in its name: `rule.night`
    is written `rule=night`."""
    return f"command.{_sender(user)}.{token(department)}.{token(target)}"


def commands_of(user: str, department: str) -> str:
    """The commands of one user to every target of a department."""
    return f"command.{_sender(user)}.{token(department)}.*"


def _sender(user: str) -> str:
    kind, dot, name = user.partition(".")
    return f"{token(kind)}{_DOT}{token(name)}" if dot else token(user)


def commands_to(department: str, target: str = "*") -> str:
    """Subscription for the commands of all users to a target, or to all targets of a department."""
    return f"command.*.{token(department)}.{target if target == '*' else token(target)}"


def command_user(subject: str) -> str:
    """The user that a command's subject names."""
    return subject.split(".")[1].replace(_DOT, ".")


def query(department: str, what: str) -> str:
    """Subject of a query, which has no effect: `query.history.range`."""
    return f"query.{token(department)}.{token(what)}"


def presence(role: str, instance: str) -> str:
    """Subject of a process's heartbeat (`Presence`): `presence.devices.main`; `*` for any instance."""
    return f"presence.{token(role)}.{instance if instance == '*' else token(instance)}"


ROOTS = frozenset({"agent", "command", "events", "owner", "presence", "pulse", "query", "readings", "server"})
"""First tokens of the subjects of the system."""


def presence_source(subject: str) -> tuple[str, str]:
    """Role and instance that the subject of a heartbeat names."""
    _, _, source = subject.partition(".")
    role, _, instance = source.partition(".")
    return role, instance


def pulse(system: str) -> str:
    """Subject of an agent's heartbeat (`Presence`). Separate from `presence`, as there may be a thousand agents."""
    return f"pulse.{system if system == '*' else token(system)}"


def pulse_of_many(boot: str) -> str:
    """Subject of the heartbeat of a process for all its agents (`AgentBeats`). `~` keeps it apart from the names of
    systems."""
    return f"pulse.~{token(boot)}"


def is_pulse_of_many(subject: str) -> bool:
    """Whether it is a subject of `pulse_of_many`."""
    return subject.startswith("pulse.~")


def echo(boot: str) -> str:
    """Subject on which the failure detector sends messages to itself, to measure the delay of its own subscription to
    the heartbeats. `=` keeps it apart from the names of systems."""
    return f"pulse.={token(boot)}"


def connection(system: str, boot: str) -> str:
    """Name of an agent's bus connection. The server's disconnect event carries it, and so identifies the agent."""
    return f"agent.{token(system)}.{token(boot)}"


def connection_system(name: str) -> str:
    """The system that the name of an agent's connection names; empty for the name of another connection."""
    fields = name.split(".")
    return fields[1] if len(fields) == 3 and fields[0] == "agent" else ""


def agent_user(system: str) -> str:
    """User of the bus of the agent of a system."""
    return f"agent-{token(system)}"


def is_agent_user(user: str) -> bool:
    """Whether this is the name of the user of an agent."""
    return user.startswith("agent-")


DEPARTURES = "server.gone"
"""Subject of the server's disconnect events (`bus/disconnects.py`)."""

SERVER_HEALTH = "server.health"
"""Subject of requests for the health of the embedded server, which it answers itself."""

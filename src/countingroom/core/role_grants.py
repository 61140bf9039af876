"""What roles with many rights may do on the bus. The departments' table names them."""

from __future__ import annotations

from countingroom.core import subjects
from countingroom.core.bus_grants import BusGrants

RUNS = BusGrants(
    answers=("query.runs.*", "owner.*"),
    hears=("pulse.*", "live.readings.*", "presence.alarms.*", subjects.DEPARTURES),
    # Hooks send commands to any department, owners orders to agents. `pulse` is its own echo.
    sends=("command.>", "agent.*", "owner.*", "pulse.*"),
    stores=("events.runs.*",),
    states=(
        *("partition", "control", subjects.MAPPING_KEY, subjects.DURATIONS_KEY),
        subjects.DESCRIPTION_KEY,
    ),
    leases=("runs", "partition.*"),
    reads=(subjects.READINGS_STREAM,),
)

AGENTS = BusGrants(sends=("pulse.*",))
"""One heartbeat for all agents of a process. Each agent has a user of its own for all else."""

DEVICES = BusGrants(
    # The alarm engine: its silence leads to safe outputs. Other device hosts: for derived points.
    hears=("presence.alarms.*", "presence.devices.*", "live.readings.*"),
    reads=(subjects.READINGS_STREAM,),
    sends=("live.readings.*",),
    stores=("readings.*.*", "events.devices.*"),
    states=("device", "channel", "catalogue", "interlock_host"),
    leases=("device.*",),
)

ALARMS = BusGrants(
    answers=("query.alarms.*",),
    # For rules and interlocks. The commands that they may send are in app/bus_users.py.
    hears=("live.readings.*", "presence.>", "events.>"),
    stores=("events.alarms.*",),
    states=("alarm", "notification", "notify_message", "notify_track", "rule", "interlock"),
    leases=("alarms",),
    reads=(subjects.READINGS_STREAM,),
)

FLEET = BusGrants(
    answers=("query.fleet.*",),
    # Agents and roles that it runs: whether they are on the bus. Devices that switch the power of nodes: whether they
    # did; the commands to them are in app/bus_users.py.
    hears=("presence.>", "events.devices.*"),
    # What nodes use: they are devices with readings.
    stores=("events.fleet.*", "readings.*.*"),
    states=("fleet", "node", "service", "talk", "catalogue"),
    leases=("fleet",),
)

DOORS = BusGrants(hears=("presence.fleet.*", "events.fleet.*"), stores=("events.doors.*",))
"""The commands that it may send are in app/bus_users.py."""

MIRROR = BusGrants(
    answers=("query.mirror.*",),
    hears=("presence.>", "live.readings.*"),
    stores=("events.mirror.*",),
    states=("mirror", "mirror_templates", "mirror_notes", "upstreams"),
    reads=(subjects.READINGS_STREAM, subjects.EVENTS_STREAM),
)

PVS = BusGrants(
    # The commands that it may send are in app/bus_users.py.
    hears=("live.readings.*", "presence.devices.*", "events.devices.*"),
    stores=("events.pvs.*",),
    reads=(subjects.READINGS_STREAM,),
)

CONSOLE = BusGrants(
    answers=("command.*.restores.*",),
    hears=("events.>", "live.readings.*", "presence.>"),
    # To agents: stop and abort of a partition without an owner.
    sends=(
        *("command.>", "query.>", "agent.*", "server.mqtt.INFO.*", "server.mqtt.PURGE.*"),
        *("server.mqtt_connections", "server.mqtt_consumers.NAMES.*"),
        "server.mqtt_consumers.DELETE.*.*",
    ),
    stores=("events.runs.*", "events.console.audit", "events.console.snapshots", "events.results.*"),
    states=("restore", "result_program"),
    leases=("restore", "results"),
    # The leases tell it that the owner which got a command has ended.
    reads=(subjects.READINGS_STREAM, subjects.EVENTS_STREAM, f"KV_{subjects.LEASE_BUCKET}"),
)
"""It commands and asks every department, and carries out restores and programs."""

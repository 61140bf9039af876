"""What roles with many rights may do on the bus. The departments' table names them."""

from __future__ import annotations

from countingroom.core import subjects
from countingroom.core.bus_grants import BusGrants

FLEET = BusGrants(
    answers=("query.fleet.*",),
    stores=("events.fleet.*",),
    states=("fleet", "node", "service"),
    leases=("fleet",),
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

"""Law: the configuration of the embedded server is a function of the description, the ports and the room on disk.

nats-server reads JSON as well as its own format, so JSON is what is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom.bus.description import Mqtt, MqttUser
from countingroom.core.subjects import DEPARTURES

MAX_PAYLOAD = 8 << 20
_HOUSE = "house"
"""Who comes in over NATS on loopback without a name."""
ACCOUNT = "HOUSE"
"""The account all of us are in. The server tells of departures only in accounts that have a name."""
NAMELESS = "$G"
"""The account of a server without any; a store of that time is taken over."""
_DEPARTED = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
_INNER = ["$JS.>", "$KV.>", "$O.>", "$SYS.>", "$SRV.>", "_INBOX.>", DEPARTURES]
"""The server's own subjects, which a list such as `#` does not mean."""
_DELIVERY = "$MQTT/sub/#"
"""Where the server delivers what was subscribed with quality of service 1. It refuses a client that asks for it."""
_KEEP_FREE = 1 << 30
"""On disk, or a tenth of what is free where that is less."""
_OVERHEAD = 256 << 20
"""For the small streams: MQTT sessions, leases, positions."""


class Room(Struct, frozen=True, kw_only=True):
    """Room on disk."""

    free: int
    used: int
    """By the store as it is."""


def store_bytes(wanted: int, room: Room) -> int:
    """What the streams may take: what is wanted, less where the disk has not that much."""
    there = room.free + room.used
    return max(0, min(wanted, there - min(_KEEP_FREE, there // 10) - _OVERHEAD))


def configuration(
    directory: Path, *, name: str, port: int, max_bytes: int, mqtt: Mqtt | None = None, mqtt_port: int = 0
) -> dict[str, Any]:
    """The configuration file's content."""
    conf: dict[str, Any] = {
        "server_name": name,
        "listen": f"127.0.0.1:{port}",
        "max_payload": MAX_PAYLOAD,
        "ping_interval": "1s",
        "ping_max": 2,
        "write_deadline": "10s",
        "pid_file": str(directory / "nats.pid"),
        "logfile": str(directory / "nats.log"),
        "logfile_size_limit": 10_000_000,
        "logfile_max_num": 3,
        "jetstream": {
            "store_dir": str(directory / "store"),
            "sync_interval": "1s",
            "max_file_store": max_bytes + _OVERHEAD,
            "max_memory_store": 64 << 20,
        },
    }
    conf["system_account"] = "SYS"
    conf["no_auth_user"] = _HOUSE
    conf["accounts"] = {
        "SYS": {"exports": [{"stream": _DEPARTED}]},
        ACCOUNT: {
            "jetstream": "enabled",
            "imports": [{"stream": {"account": "SYS", "subject": _DEPARTED}, "to": DEPARTURES}],
            "users": [
                {"user": _HOUSE, "password": "", "allowed_connection_types": ["STANDARD"]},
                *(_board(user) for user in (mqtt.users if mqtt else ())),
            ],
        },
    }
    if mqtt:
        conf["mqtt"] = {"listen": f"{mqtt.host}:{mqtt_port}"}
    return conf


def _board(user: MqttUser) -> dict[str, Any]:
    return {
        "user": user.name,
        "password": user.password(),
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": _permission(user.publish, deny=[*_INNER, "$MQTT.>"]),
            "subscribe": _permission([*user.subscribe, _DELIVERY] if user.subscribe else [], deny=_INNER),
        },
    }


def text(conf: dict[str, Any]) -> str:
    """The file."""
    return json.dumps(conf, indent=2) + "\n"


def _permission(topics: list[str], *, deny: list[str]) -> dict[str, list[str]]:
    subjects = [subject for topic in topics for subject in _subjects(topic)]
    return {"allow": subjects, "deny": deny} if subjects else {"deny": [">"]}


def _subjects(topic: str) -> list[str]:
    """What a topic filter is on the bus. `a/#` also means `a` itself."""
    levels = ["*" if level == "+" else level for level in topic.split("/")]
    if levels[-1] != "#":
        return [".".join(levels)]
    above = levels[:-1]
    return [".".join([*above, ">"]), *([".".join(above)] if above else [])]

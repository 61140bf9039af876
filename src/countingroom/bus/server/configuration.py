"""Computes the configuration file of the embedded server from the description, the ports and the disk space.

The file is JSON, which nats-server reads as well as its own format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom.bus.description import Listen, Mqtt
from countingroom.bus.server import mqtt_account
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.bus.server.permissions import BusUser
from countingroom.core.subjects import DEPARTURES, SERVER_HEALTH

MAX_PAYLOAD = 8 << 20
ACCOUNT = "HOUSE"
"""The account of all NATS clients. The server reports disconnects only for accounts with a name. Its name is the name
of a folder in the store, so it must not change."""
NAMELESS = "$G"
"""The default account of a server without accounts.

A store of an early version has its streams there; they are moved.
"""
_SYSTEM = "SYS"
_DEPARTED = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
_HEALTH = "$SYS.REQ.SERVER.PING.HEALTHZ"
_KEEP_FREE = 1 << 30
"""Disk space that stays free, or a tenth of the free space when that is less."""
_OVERHEAD = 256 << 20
"""Disk space for the small streams: MQTT sessions, leases, positions."""


class DiskSpace(Struct, frozen=True, kw_only=True):
    """Disk space in bytes."""

    free: int
    used: int
    """By the present store."""


def store_bytes(wanted: int, space: DiskSpace) -> int:
    """The limit for all streams, in bytes: `wanted`, or less when the disk is too small."""
    available = space.free + space.used
    return max(0, min(wanted, available - min(_KEEP_FREE, available // 10) - _OVERHEAD))


def configuration(
    directory: Path,
    *,
    name: str,
    port: int,
    max_bytes: int,
    users: Sequence[BusUser],
    passwords: Mapping[str, str],
    mqtt: Mqtt | None = None,
    mqtt_port: int = 0,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """The content of the configuration file. `users`: those beside the supervisor, which has all permissions;
    a client without a user is refused."""
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
            # The server acknowledges before it syncs, and by default syncs every two minutes. With 1 s a power cut
            # costs at most the last second of readings and events. `always` would sync each message, which is far too
            # slow.
            "sync_interval": "1s",
            "max_file_store": max_bytes + _OVERHEAD,
            # The limits of the buckets in memory are reserved: state 192 MiB, leases 1 MiB. The rest is for consumers.
            "max_memory_store": (256 << 20) + (mqtt_account.MEMORY_BYTES if mqtt else 0),
        },
    }
    conf |= _accounts(users, passwords, mqtt)
    if listen:
        conf["listen"] = f"{listen.host}:{port}"
        if listen.certificate:
            conf["tls"] = {"cert_file": str(listen.certificate), "key_file": str(listen.key), "timeout": 5}
            # The processes of this computer connect by loopback without. A client with TLS files insists on them.
            conf["allow_non_tls"] = True
    if mqtt:
        conf["accounts"][mqtt_account.ACCOUNT] = mqtt_account.account(mqtt, ACCOUNT)
        conf["mqtt"] = {
            "listen": f"{mqtt.host}:{mqtt_port}",
            "stream_replicas": 1,
            "consumer_memory_storage": True,
        }
    return conf


def permissions_text(users: Sequence[BusUser], passwords: Mapping[str, str]) -> str:
    """The accounts, users and permissions, as a file that the configuration of a server of the site includes."""
    found = _accounts(users, passwords, None)
    # Without braces around it: an included file has the keys of the level that includes it.
    return "".join(f"{key}: {json.dumps(value, indent=2)}\n" for key, value in found.items())


def _accounts(users: Sequence[BusUser], passwords: Mapping[str, str], mqtt: Mqtt | None) -> dict[str, Any]:
    return {
        "system_account": _SYSTEM,
        "accounts": {
            _SYSTEM: {
                "exports": [
                    {"stream": _DEPARTED},
                    {"service": _HEALTH},
                    *(mqtt_account.server_exports(ACCOUNT) if mqtt else ()),
                ]
            },
            ACCOUNT: {
                "jetstream": "enabled",
                "imports": [
                    {"stream": {"account": _SYSTEM, "subject": _DEPARTED}, "to": DEPARTURES},
                    {"service": {"account": _SYSTEM, "subject": _HEALTH}, "to": SERVER_HEALTH},
                    *(mqtt_account.imports(mqtt, _SYSTEM) if mqtt else ()),
                ],
                "exports": mqtt_account.exports(mqtt) if mqtt else [],
                # Not hashed: bcrypt costs 0.16 s for each connection, and the passwords are random, in a private file.
                "users": [
                    _user(SUPERVISOR, passwords),
                    *(_user(user.name, passwords) | {"permissions": user.permissions()} for user in users),
                ],
            },
        },
    }


def _user(name: str, passwords: Mapping[str, str]) -> dict[str, Any]:
    return {"user": name, "password": passwords[name], "allowed_connection_types": ["STANDARD"]}


def text(conf: dict[str, Any]) -> str:
    """The configuration as the text of the file."""
    return json.dumps(conf, indent=2) + "\n"

"""The account of MQTT clients on the embedded server: users, limits, and the subjects that it shares.

MQTT clients have an account of their own, so that their messages cannot fill the streams of the experiment. Subjects
cross between the two accounts only where a topic of a user names them; `#` and `+` at the first level name none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from countingroom.bus.description import Mqtt, MqttUser
from countingroom.core.subjects import ROOTS

ACCOUNT = "MQTT"
"""Its name is the name of a folder in the store, so it must not change."""
MAX_PAYLOAD = 65_536
"""Bytes of a message with its topic. The server disconnects a client that sends more."""
MEMORY_BYTES = 24 << 20
"""Memory for the streams and consumers of this account."""
CLIENTS, SUBSCRIPTIONS, CONSUMERS = 512, 10_000, 1000
STORE = "server.mqtt"
"""Subjects below it are the stream requests of this account, for the experiment: `server.mqtt.INFO.$MQTT_rmsgs`."""
CONSUMERS_API = "server.mqtt_consumers"
"""Subjects below it are the consumer requests of this account, for the experiment."""
CONNECTIONS = "server.mqtt_connections"
"""Subject of requests for the connections of this account, which the server answers itself."""
CLIENTS_SEEN = "server.mqtt_clients"
"""Subjects below it are the server's events about this account: `CONNECT` and `DISCONNECT` of
clients, and `CONSUMER.NAME` for each subscription of a session that is made."""
KICK = "server.mqtt_kick"
"""Subjects below it are requests to disconnect a client: `server.mqtt_kick.SERVER`."""
_STREAMS, _CONSUMERS = "$JS.API.STREAM", "$JS.API.CONSUMER"
_CONNZ = f"$SYS.REQ.ACCOUNT.{ACCOUNT}.CONNZ"
_SEEN = {word: f"$SYS.ACCOUNT.{ACCOUNT}.{word}" for word in ("CONNECT", "DISCONNECT")}
_CREATED = "$JS.EVENT.ADVISORY.CONSUMER.CREATED.$MQTT_msgs.*"
_KICK = "$SYS.REQ.SERVER.*.KICK"
_INNER = ["$JS.>", "$KV.>", "$O.>", "$SYS.>", "$SRV.>", "_INBOX.>", "server.>"]
"""Internal subjects, which an MQTT user must not reach, not even when it names them."""
_DELIVERY = "$MQTT/sub/#"
"""The server delivers subscriptions with quality of service 1 through these subjects, so the user's permissions must
include them. A client cannot subscribe to them itself: the server refuses that."""


def account(mqtt: Mqtt, house: str) -> dict[str, Any]:
    """The account. `house`: the name of the account of the experiment."""
    arriving, leaving = crossing(mqtt)
    return {
        # Without a share of the disk, the server cannot make its unlimited streams for the first client. The experiment
        # makes limited ones in memory right after each start (mqtt_store.py); until then no client gets in.
        "jetstream": {"max_memory": MEMORY_BYTES, "max_file": 0, "max_streams": 8, "max_consumers": CONSUMERS},
        "limits": {"max_payload": MAX_PAYLOAD, "max_connections": CLIENTS, "max_subscriptions": SUBSCRIPTIONS},
        "exports": [
            {"service": f"{_STREAMS}.>", "accounts": [house]},
            {"service": f"{_CONSUMERS}.>", "accounts": [house]},
            {"stream": _CREATED, "accounts": [house]},
            *({"stream": one, "accounts": [house]} for one in leaving),
        ],
        "imports": [{"stream": {"account": house, "subject": one}} for one in arriving],
        "users": [_user(user) for user in mqtt.users],
    }


def exports(mqtt: Mqtt) -> list[dict[str, Any]]:
    """The exports of the account of the experiment."""
    arriving, _ = crossing(mqtt)
    return [{"stream": one, "accounts": [ACCOUNT]} for one in arriving]


def imports(mqtt: Mqtt, server: str) -> list[dict[str, Any]]:
    """The imports of the account of the experiment. `server`: the name of the account `SYS` of the server itself."""
    _, leaving = crossing(mqtt)
    services = (
        (ACCOUNT, f"{_STREAMS}.>", f"{STORE}.>"),
        (ACCOUNT, f"{_CONSUMERS}.>", f"{CONSUMERS_API}.>"),
        (server, _CONNZ, CONNECTIONS),
        (server, _KICK, f"{KICK}.*"),
    )
    return [
        *({"service": {"account": one, "subject": subject}, "to": to} for one, subject, to in services),
        {"stream": {"account": ACCOUNT, "subject": _CREATED}, "to": f"{CLIENTS_SEEN}.CONSUMER.*"},
        *(
            {"stream": {"account": server, "subject": subject}, "to": f"{CLIENTS_SEEN}.{word}"}
            for word, subject in _SEEN.items()
        ),
        *({"stream": {"account": ACCOUNT, "subject": one}} for one in leaving),
    ]


def server_exports(house: str) -> list[dict[str, Any]]:
    """The exports of the account of the server itself for the account of the experiment."""
    return [
        {"service": _CONNZ, "accounts": [house]},
        {"service": _KICK, "accounts": [house]},
        *({"stream": subject, "accounts": [house]} for subject in _SEEN.values()),
    ]


def crossing(mqtt: Mqtt) -> tuple[list[str], list[str]]:
    """The subjects that MQTT clients receive from the experiment, and those that the experiment receives from them.

    A subject crosses in one direction only, because the server refuses cycles; what MQTT clients publish comes first.
    """
    leaving = distinct(
        one for user in mqtt.users for topic in user.publish if is_named(topic) for one in subjects(topic)
    )
    wanted = (one for user in mqtt.users for topic in user.subscribe if is_named(topic) for one in subjects(topic))
    return [one for one in distinct(wanted) if not any(overlap(one, other) for other in leaving)], leaving


def is_named(topic: str) -> bool:
    """Whether the topic names its first level."""
    return topic.partition("/")[0] not in ("#", "+", "*")


def subjects(topic: str) -> list[str]:
    """The bus subjects for an MQTT topic filter. `a/#` also covers `a` itself."""
    levels = ["*" if level == "+" else level for level in topic.split("/")]
    if levels[-1] != "#":
        return [".".join(levels)]
    above = levels[:-1]
    return [".".join([*above, ">"]), *([".".join(above)] if above else [])]


def distinct(found: Iterable[str]) -> list[str]:
    """Subjects that cover all of these and do not overlap: an overlapping message would cross twice."""
    kept: list[str] = []
    for subject in sorted(set(found)):
        widest = subject
        while other := next((one for one in kept if overlap(one, widest)), None):
            kept.remove(other)
            widest = _common(widest, other)
        kept.append(widest)
    return kept


def overlap(one: str, other: str) -> bool:
    """Whether a subject can match both."""
    left, right = one.split("."), other.split(".")
    for first, second in zip(left, right, strict=False):
        if ">" in (first, second):
            return True
        if first != second and "*" not in (first, second):
            return False
    return len(left) == len(right)


def _common(one: str, other: str) -> str:
    """A subject that covers both; they have the first level in common."""
    levels: list[str] = []
    for first, second in zip(one.split("."), other.split("."), strict=False):
        if first != second or first in ("*", ">"):
            break
        levels.append(first)
    return ".".join([*levels, ">"])


def _user(user: MqttUser) -> dict[str, Any]:
    return {
        "user": user.name,
        "password": user.password(),
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": _permission(user.publish, user.publish, deny=[*_INNER, "$MQTT.>"]),
            "subscribe": _permission(
                user.subscribe, [*user.subscribe, _DELIVERY] if user.subscribe else [], deny=_INNER
            ),
        },
    }


def _permission(topics: list[str], allowed: list[str], *, deny: list[str]) -> dict[str, list[str]]:
    if not allowed:
        return {"deny": [">"]}
    named = {topic.partition("/")[0] for topic in topics}
    own = [subject for root in sorted(ROOTS - named) for subject in (root, f"{root}.>")]
    return {"allow": [one for topic in allowed for one in subjects(topic)], "deny": [*deny, *own]}

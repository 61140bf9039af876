"""The streams in which the server keeps retained messages and sessions of MQTT clients: made, shown and cleared.

The server makes them itself for the first client, on disk and without limit, where they do not exist. They are made
before it, in memory and with limits.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.server.mqtt_account import MAX_PAYLOAD, STORE
from countingroom.core.errors import LinkError
from countingroom.core.messages import Malformed, decode_json

RETAINED, SESSIONS, WAITING = "$MQTT_rmsgs", "$MQTT_sess", "$MQTT_msgs"
_MIB = 1 << 20
_STREAMS: dict[str, dict[str, Any]] = {
    WAITING: {"subjects": ["$MQTT.msgs.>"], "retention": "interest", "max_bytes": 8 * _MIB},
    # Where it is full, a topic that has a retained message can get another one, and a new topic none. With "old", one
    # board that publishes on many topics pushed out the messages of all others.
    RETAINED: {"subjects": ["$MQTT.rmsgs.>"], "max_msgs_per_subject": 1, "max_bytes": 4 * _MIB, "discard": "new"},
    SESSIONS: {"subjects": ["$MQTT.sess.>"], "max_msgs_per_subject": 1, "max_bytes": _MIB},
    "$MQTT_out": {"subjects": ["$MQTT.out.>"], "retention": "interest", "max_bytes": _MIB},
    "$MQTT_qos2in": {"subjects": ["$MQTT.qos2.in.>"], "max_msgs_per_subject": 1, "max_bytes": _MIB},
}
_TITLES = {RETAINED: "retained messages", SESSIONS: "sessions", WAITING: "messages for sessions"}
_ANSWER_S = 5.0


class MqttStream(Struct, frozen=True, kw_only=True):
    """What one of these streams holds."""

    name: str
    """`retained messages`, `sessions`, `messages for sessions`."""
    messages: int
    size: int
    """Bytes."""
    limit: int
    """Bytes. Above it no new topic gets a retained message, and the oldest waiting messages are dropped."""


async def prepare(bus: Bus) -> None:
    """Make the streams. LinkError when the server refuses."""
    for name, config in _STREAMS.items():
        shared = {
            "name": name,
            "storage": "memory",
            "num_replicas": 1,
            "discard": "old",
            "max_msg_size": 2 * MAX_PAYLOAD,
        }
        await _request(bus, f"{STORE}.CREATE.{name}", {"retention": "limits", **shared, **config})
        # An earlier version kept them on disk and without limit in the account of the experiment.
        await _request(bus, f"$JS.API.STREAM.DELETE.{name}", {}, may_fail=True)


async def contents(bus: Bus) -> list[MqttStream]:
    """What the streams hold now; LinkError where the server has no MQTT listener."""
    found: list[MqttStream] = []
    for name, title in _TITLES.items():
        info = await _request(bus, f"{STORE}.INFO.{name}", {})
        state = info["state"]
        limit = int(info["config"]["max_bytes"])
        found.append(MqttStream(name=title, messages=int(state["messages"]), size=int(state["bytes"]), limit=limit))
    return found


async def clear(bus: Bus) -> None:
    """Delete all retained messages and those that wait for sessions. Sessions stay (mqtt_sessions.py)."""
    for name in (RETAINED, WAITING):
        await _request(bus, f"{STORE}.PURGE.{name}", {})


async def _request(bus: Bus, subject: str, question: dict[str, Any], *, may_fail: bool = False) -> dict[str, Any]:
    data = json.dumps(question).encode() if question else b""
    answer = await bus.request(subject, data, timeout_s=_ANSWER_S)
    try:
        found = decode_json(answer.data, dict[str, Any])
    except Malformed as error:
        raise LinkError(f"the answer on {subject} is not understood: {error}", source="bus") from error
    if "error" in found and not may_fail:
        raise LinkError(
            f"the bus refuses {subject}: {found['error'].get('description', '')}", source="bus", code="mqtt"
        )
    return found

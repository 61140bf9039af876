"""Where the broker of a department is, and what its user of the listener of the bus may not do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from countingroom.bus.description import BusSection, MqttUser
from countingroom.bus.server import credentials
from countingroom.bus.server.process import REMEMBERED_FILE, remembered
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.located import Path as KeyPath
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.mqtt.broker import BrokerPlace
from countingroom.mqtt.description import MqttBroker

LOOPBACK = "127.0.0.1"


def broker_place(
    section: str, broker: MqttBroker | Literal["builtin"], user: str, bus: BusSection, data: Path
) -> BrokerPlace:
    """Where the broker is now; ConfigurationError where that is not known. `section`: its key in the description.
    `user`: the one of the listener of the bus."""
    if isinstance(broker, MqttBroker):
        host, port, tls = broker.place
        secret = broker.password
        return BrokerPlace(
            host=host,
            port=port,
            tls=tls,
            ca=broker.ca,
            user=broker.user,
            password=(lambda: secret.read(f"{section}.broker.password")) if secret else str,
        )
    known, mqtt = _user(user, bus), bus.mqtt
    if mqtt is None or known is None:
        raise ConfigurationError("the bus has no MQTT listener with this user", source=f"{section}.user")
    host = LOOPBACK if mqtt.host in ("0.0.0.0", "::") else mqtt.host
    port = mqtt.port or remembered(credentials.bus_folder(data) / REMEMBERED_FILE).mqtt_port
    if not port:
        raise ConfigurationError(
            f"the port of the MQTT listener is not known in {data}",
            source="bus.mqtt.port",
            suggestion="give bus.mqtt a port, or use the data folder of `countingroom up`",
        )
    return BrokerPlace(host=host, port=port, user=known.name, password=known.password)


def listener_problems(
    user: str, bus: BusSection, published: Iterable[str], subscribed: Iterable[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Where in a section with `broker` and `user`, and what its user of the listener of the bus may not do."""
    if bus.mqtt is None:
        yield ("broker",), "the bus has no MQTT listener: describe bus.mqtt, or give the address of a broker"
    elif (known := _user(user, bus)) is None:
        hint = did_you_mean(user, [one.name for one in bus.mqtt.users])
        yield ("user",), f"bus.mqtt has no user {user}{hint}"
    else:
        for verb, topics, allowed in (
            ("publish", published, known.publish),
            ("subscribe", subscribed, known.subscribe),
        ):
            for topic in topics:
                if not any(_covers(pattern, topic) for pattern in allowed):
                    yield ("user",), f"the user {known.name} of bus.mqtt may not {verb} {topic}: add it to `{verb}`"


def _user(name: str, bus: BusSection) -> MqttUser | None:
    return next((one for one in bus.mqtt.users if one.name == name), None) if bus.mqtt else None


def _covers(pattern: str, topic: str) -> bool:
    """Whether a pattern covers a topic, or all of another pattern."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    elif levels[-1] == "#":
        return False
    return len(wanted) == len(levels) and all(
        one in ("+", "*", level) for one, level in zip(wanted, levels, strict=True)
    )

"""The entities of a device, made of its catalogue: what each is in Home Assistant, and how it is described there.

A point is a `sensor` or `binary_sensor`; where the section allows to set it, and the principal may, a `number`, a
`switch` or a `select`. A command without arguments is a `button`. Each entity has a description of its own
(decision 53). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from countingroom.core import command_permissions
from countingroom.core.messages import Catalogue, CommandSpec
from countingroom.core.points import Point, Type, value_key
from countingroom.core.values import Scalar
from countingroom.home_assistant.facts import CommandFacts, HomeAssistantFacts, command_addresses
from countingroom.home_assistant.names import STATE, SYSTEM, slug
from countingroom.home_assistant.units import of_home_assistant

ON, OFF, PRESS = "ON", "OFF", "PRESS"
ONLINE, OFFLINE = "online", "offline"
LONGEST_TEXT = 255
"""Letters of a state; Home Assistant ignores a longer one, and would go on showing the one before."""
_NO_LIMIT = 1e9
"""Home Assistant takes a number without limits as one from 1 to 100."""
_LEAST_STEP = 0.001
_MAKERS = {"caen": "CAEN", "julabo": "JULABO"}
VALUE = "{{ value_json.value }}"
AVAILABLE = "{{ value_json.availability }}"


class Entity(Struct, frozen=True, kw_only=True):
    """One entity."""

    component: str
    device: str
    name: str
    """Its slug within the device."""
    topic: str
    """Of its description."""
    config: dict[str, Any]
    point: Point | None = None
    options: dict[str, Scalar] = {}
    """Of a switch or selection: text -> value."""
    command: str = ""
    """Of a button."""
    channel: str = ""

    @property
    def state_topic(self) -> str:
        """Of its values; empty: it has none of its own."""
        return self.config["state_topic"] if self.point else ""

    @property
    def command_topic(self) -> str:
        """Where its commands come; empty: it has none."""
        return self.config.get("command_topic", "")


def entities_of(facts: HomeAssistantFacts, catalogue: Catalogue) -> dict[str, Entity]:
    """Topic of its description -> entity, for a device. Of two with one topic the first."""
    found: dict[str, Entity] = {}
    for entity in (*_points(facts, catalogue), *_buttons(facts, catalogue)):
        found.setdefault(entity.topic, entity)
    if found:
        state = _device_state(facts, catalogue)
        found[state.topic] = state
    return found


def system_entities(facts: HomeAssistantFacts) -> dict[str, Entity]:
    """Those of the experiment as a whole: whether it is there, and the last command that was refused."""
    topics = facts.topics
    made = [
        _system(
            facts,
            "binary_sensor",
            "connected",
            {
                "name": "Connected",
                "state_topic": topics.status,
                "payload_on": ONLINE,
                "payload_off": OFFLINE,
                "device_class": "connectivity",
            },
        )
    ]
    if facts.commands:
        config = {
            "name": "Last refused command",
            "state_topic": topics.errors,
            "value_template": "{{ value_json.cause[:250] }}",
            "json_attributes_topic": topics.errors,
        }
        made.append(_system(facts, "sensor", "last_refusal", config))
    return {entity.topic: entity for entity in made}


def shown(entity: Entity, value: Scalar) -> float | int | str | None:
    """A value as its entity takes it. None where it takes no such value: with it, Home Assistant would ignore the
    message and go on showing the value before."""
    point = entity.point
    if value is None or point is None:
        return None
    match entity.component:
        case "switch" | "binary_sensor":
            return (ON if value else OFF) if isinstance(value, (bool, int)) else None
        case "select":
            return next((text for text, one in entity.options.items() if one == value), None)
        case "number":
            is_inside = not isinstance(value, str) and entity.config["min"] <= value <= entity.config["max"]
            return value if is_inside else None
        case _:
            if point.codes:
                return point.codes.get(value_key(value), value_key(value))[:LONGEST_TEXT]
            if isinstance(value, bool):
                return value_key(value)
            return (value[:LONGEST_TEXT] or None) if isinstance(value, str) else value


def _points(facts: HomeAssistantFacts, catalogue: Catalogue) -> Iterator[Entity]:
    for point in catalogue.points:
        address = f"{catalogue.device}.{point.name}"
        if point.momentary or not facts.shows(address):
            continue
        component, options = "", dict[str, Scalar]()
        if facts.commands and facts.commands.sets(address) and may_set(facts.commands, catalogue, point):
            component, options = _settable(point)
        writes = bool(component)
        component = component or ("binary_sensor" if point.type is Type.BOOL else "sensor")
        yield _of_point(facts, catalogue, point, component, options, writes=writes)


def may_set(commands: CommandFacts, catalogue: Catalogue, point: Point) -> bool:
    """Whether the point can be set at all, and the principal may."""
    device = catalogue.device
    if point.commands:
        specs = [_spec(catalogue, point, name) for name in point.commands.values()]
        return all(spec is not None and commands.may(device, command_permissions.of_device(spec)) for spec in specs)
    return point.writable and not point.command_only and commands.may(device, command_permissions.of_point(point))


def spec_of(catalogue: Catalogue, point: Point, value: Scalar) -> CommandSpec | None:
    """The command that gives the point this value, where commands set it."""
    return _spec(catalogue, point, point.commands.get(value_key(value), ""))


def _spec(catalogue: Catalogue, point: Point, name: str) -> CommandSpec | None:
    found = [one for one in catalogue.commands if one.name == name]
    scope = "channel" if point.channel else "device"
    return next((one for one in found if one.scope == scope), next(iter(found), None))


def _settable(point: Point) -> tuple[str, dict[str, Scalar]]:
    """Component and options of a point that is set; no component where Home Assistant has none for it."""
    if point.type is Type.BOOL:
        return "switch", {ON: True, OFF: False}
    values = point.choices or tuple(_typed(point, key) for key in point.codes or point.commands)
    if set(values) == {0, 1} and not any(isinstance(one, str) for one in values):
        return "switch", {ON: 1, OFF: 0}
    if values:
        texts = [point.codes.get(value_key(one), value_key(one)) for one in values]
        if len(set(texts)) < len(texts) or any(not text or text.lower() == "none" for text in texts):
            texts = [value_key(one) for one in values]
        return "select", dict(zip(texts, values, strict=True))
    is_known = not point.limited_by or (point.write_low is not None and point.write_high is not None)
    return ("number", {}) if point.type in (Type.FLOAT, Type.INT) and is_known else ("", {})


def _typed(point: Point, key: str) -> Scalar:
    try:
        return {Type.INT: int, Type.FLOAT: float}.get(point.type, str)(key)
    except ValueError:
        return key


def _of_point(
    facts: HomeAssistantFacts,
    catalogue: Catalogue,
    point: Point,
    component: str,
    options: dict[str, Scalar],
    *,
    writes: bool,
) -> Entity:
    topics, device, name = facts.topics, catalogue.device, slug(point.name)
    state = topics.of(device, name, "state")
    config: dict[str, Any] = {
        "name": _label(catalogue, point.channel, point.label or point.column or point.name),
        "unique_id": f"countingroom:{facts.experiment}:{device}:{point.name}",
        "state_topic": state,
        "value_template": VALUE,
        "json_attributes_topic": state,
        "json_attributes_template": "{{ {'quality': value_json.quality} | tojson }}",
        **_availability(topics.status, state),
        **_about(facts, catalogue),
    }
    match component:
        case "sensor":
            config |= _measured(point)
        case "number":
            config |= _number(point)
        case "select":
            config["options"] = list(options)
        case "binary_sensor" if point.severity:
            config["device_class"] = "problem"
        case _:
            pass
    if writes:
        config["command_topic"] = topics.of(device, name, "set")
    elif not point.main:
        config["entity_category"] = "diagnostic"
    if facts.expire_after_s and component in ("sensor", "binary_sensor"):
        config["expire_after"] = math.ceil(facts.expire_after_s)
    topic = topics.config(component, device, name)
    return Entity(
        component=component,
        device=device,
        name=name,
        topic=topic,
        config=config,
        point=point,
        options=options,
        channel=point.channel,
    )


def _measured(point: Point) -> dict[str, Any]:
    if point.codes or point.type in (Type.STRING, Type.BOOL):
        return {}
    unit, kind = of_home_assistant(point.unit)
    return {
        "state_class": "measurement",
        **({"unit_of_measurement": unit} if unit else {}),
        **({"device_class": kind} if kind else {}),
        **({"suggested_display_precision": point.precision} if point.type is Type.FLOAT else {}),
    }


def _number(point: Point) -> dict[str, Any]:
    unit, kind = of_home_assistant(point.unit)
    is_whole = point.type is Type.INT
    return {
        "min": -_NO_LIMIT if point.write_low is None else point.write_low,
        "max": _NO_LIMIT if point.write_high is None else point.write_high,
        "step": 1 if is_whole else max(_LEAST_STEP, 10.0**-point.precision),
        "mode": "box",
        **({"unit_of_measurement": unit} if unit else {}),
        **({"device_class": kind} if kind else {}),
    }


def _buttons(facts: HomeAssistantFacts, catalogue: Catalogue) -> Iterator[Entity]:
    if facts.commands is None:
        return
    topics, device = facts.topics, catalogue.device
    for spec in catalogue.commands:
        if not is_button(spec) or not facts.commands.may(device, command_permissions.of_device(spec)):
            continue
        for address, channel in command_addresses(device, spec, catalogue.channels):
            if not facts.commands.has_button(address):
                continue
            name = slug(address.partition(".")[2])
            config: dict[str, Any] = {
                "name": _label(catalogue, channel, spec.label or spec.name),
                "unique_id": f"countingroom:{facts.experiment}:{address}:command",
                "command_topic": topics.of(device, name, "press"),
                "payload_press": PRESS,
                **_availability(topics.status, topics.device(device)),
                **_about(facts, catalogue),
            }
            yield Entity(
                component="button",
                device=device,
                name=name,
                topic=topics.config("button", device, name),
                config=config,
                command=spec.name,
                channel=channel,
            )


def is_button(spec: CommandSpec) -> bool:
    """Whether a command can be given without arguments."""
    return all(one.optional for one in spec.parameters)


def _device_state(facts: HomeAssistantFacts, catalogue: Catalogue) -> Entity:
    topics, device = facts.topics, catalogue.device
    name = STATE
    config: dict[str, Any] = {
        "name": "State",
        "unique_id": f"countingroom:{facts.experiment}:{device}:state of the device",
        "state_topic": topics.device(device),
        "value_template": VALUE,
        **_availability(topics.status, topics.device(device)),
        **_about(facts, catalogue),
    }
    topic = topics.config("sensor", device, name)
    return Entity(component="sensor", device=device, name=name, topic=topic, config=config)


def _system(facts: HomeAssistantFacts, component: str, name: str, config: dict[str, Any]) -> Entity:
    config = config | {
        "unique_id": f"countingroom:{facts.experiment}:{name}",
        "entity_category": "diagnostic",
        "device": {
            "identifiers": [_system_id(facts)],
            "name": facts.title,
            "manufacturer": "countingroom",
            "model": "control room",
            "sw_version": facts.version,
        },
        "origin": _origin(facts),
    }
    topic = facts.topics.config(component, SYSTEM, name)
    return Entity(component=component, device=SYSTEM, name=name, topic=topic, config=config)


def _label(catalogue: Catalogue, channel: str, label: str) -> str:
    if not channel:
        return label
    module = catalogue.channel_labels.get(channel, "")
    return f"{channel} ({module}) {label}" if module else f"{channel} {label}"


def _availability(status: str, state: str) -> dict[str, Any]:
    return {
        "availability": [{"topic": status}, {"topic": state, "value_template": AVAILABLE}],
        "availability_mode": "all",
    }


def _about(facts: HomeAssistantFacts, catalogue: Catalogue) -> dict[str, Any]:
    maker = _MAKERS.get(catalogue.driver)
    return {
        "device": {
            "identifiers": [f"countingroom:{facts.experiment}:{catalogue.device}"],
            "name": catalogue.title or catalogue.device,
            **({"manufacturer": maker} if maker else {}),
            "model": f"{catalogue.driver} (simulated)" if catalogue.simulated else catalogue.driver,
            "via_device": _system_id(facts),
        },
        "origin": _origin(facts),
    }


def _system_id(facts: HomeAssistantFacts) -> str:
    return f"countingroom:{facts.experiment}"


def _origin(facts: HomeAssistantFacts) -> dict[str, str]:
    return {"name": "countingroom", "sw_version": facts.version}

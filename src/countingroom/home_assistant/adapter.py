"""Decides what is published for Home Assistant and when, and turns its messages into commands. Pure.

Descriptions of entities, values and the status are retained. Each value comes with its quality and with whether it may
be shown: an entity is unavailable as soon as its value is STALE or BAD, or its device host or this process is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from countingroom.core.errors import Cause, LinkError, NotFound
from countingroom.core.messages import Catalogue, DeviceState, Readings
from countingroom.home_assistant import names
from countingroom.home_assistant.entities import OFFLINE, ONLINE, Entity, entities_of, shown, system_entities
from countingroom.home_assistant.facts import HomeAssistantFacts
from countingroom.home_assistant.orders import order_of
from countingroom.mqtt.device_view import DeviceViews
from countingroom.mqtt.messages import BURST, Incoming, Publication, printable
from countingroom.mqtt.messages import shown as shown_payload
from countingroom.mqtt.orders import Asked
from countingroom.mqtt.schedule import Item, Schedule

DEPARTMENT = "home_assistant"


class HomeAssistantAdapter:
    """The entities of one experiment, and their publication."""

    def __init__(self, facts: HomeAssistantFacts, now_s: float) -> None:
        self._facts = facts
        self._topics = facts.topics
        self._views = DeviceViews(facts.devices, now_s, tells_quality=True)
        self._schedule = Schedule()
        self._catalogues: dict[str, Catalogue] = {}
        self._entities: dict[str, dict[str, Entity]] = {names.SYSTEM: {}}
        """Device -> topic of its description -> entity."""
        self._items: dict[str, Item] = {}
        """Topic -> its item."""
        self._of_point: dict[tuple[str, str], Item] = {}
        self._of_device: dict[str, dict[str, Item]] = {device: {} for device in facts.devices}
        """Device -> topic -> the item that publishes a value or the state of the device."""
        self._commanded: dict[str, Entity] = {}
        """Topic of commands -> entity."""
        self._strangers: set[str] = set()
        """Descriptions at the broker of entities that this process does not have."""
        self._removals: list[Publication] = []
        self._tells_status = False
        self._replace(names.SYSTEM, system_entities(facts))

    @property
    def department(self) -> str:
        """Its name, as in events."""
        return DEPARTMENT

    @property
    def devices(self) -> Collection[str]:
        """Those of the description."""
        return self._facts.devices

    @property
    def topics(self) -> Sequence[str]:
        """The birth of Home Assistant, our own status, commands where there are any, and our own descriptions: last, as
        many come at once."""
        base = self._topics.base
        commands = [f"{base}/+/+/set", f"{base}/+/+/press"] if self._facts.commands else []
        return [self._topics.birth, self._topics.status, *commands, self._topics.configs]

    def will(self) -> Publication | None:
        """All entities become unavailable."""
        return Publication(topic=self._topics.status, payload=OFFLINE.encode(), retain=True)

    def farewell(self, now_s: float) -> list[Publication]:
        """The same at an orderly end."""
        return [Publication(topic=self._topics.status, payload=OFFLINE.encode(), retain=True)]

    def begin(self) -> None:
        """Publish everything."""
        self._strangers.clear()
        self._again()

    def refresh(self, kind: str = "") -> None:
        """Publish all of a kind soon (`config`, `state`), or of all kinds."""
        self._schedule.refresh(kind)

    def readings(self, message: Readings) -> bool:
        """Take in readings. Returns whether a new message must be published."""
        if (view := self._views.get(message.device)) is None:
            return False
        before = self._schedule.changes
        changed = (self._of_point.get((message.device, point)) for point in view.take_readings(message))
        self._schedule.change([item for item in changed if item])
        return self._schedule.changes > before

    def state(self, state: DeviceState) -> bool:
        """Take in a state. Returns whether a message must be published."""
        view = self._views.get(state.device)
        if view is None or not view.take_state(state) or state.channel:
            return False
        item = self._of_device[state.device].get(self._topics.device(state.device))
        self._schedule.change([item] if item else [])
        return item is not None

    def catalogue(self, device: str, catalogue: Catalogue | None) -> bool:
        """Take in the catalogue of a device; None: it is gone. Returns whether a message must be published."""
        if catalogue is None:
            self._catalogues.pop(device, None)
        else:
            self._catalogues[device] = catalogue
        self._replace(device, entities_of(self._facts, catalogue) if catalogue else {})
        self._remove_strangers()
        return bool(self._schedule.changes or self._removals)

    def beat(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices is alive; whether that is news."""
        self._views.beat(devices, now_s)
        return self._believe(now_s)

    def leave(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices ended; whether that is news."""
        self._views.leave(devices)
        return self._believe(now_s)

    def bus(self, *, is_there: bool, now_s: float) -> bool:
        """Whether the bus is followed; whether that is news."""
        self._views.bus(is_there=is_there, now_s=now_s)
        return self._believe(now_s)

    def due(self, now_s: float) -> list[Publication]:
        """The messages that must be published now. They count as published."""
        self._believe(now_s)
        removals, self._removals = self._removals, []
        found = [*removals, *self._schedule.due(now_s, BURST)]
        # ONLINE comes after all values: otherwise retained values of an earlier time would be shown as present.
        if self._tells_status and not self._schedule.is_refreshing:
            self._tells_status = False
            found.append(Publication(topic=self._topics.status, payload=ONLINE.encode(), retain=True))
        return found

    def next_s(self) -> float:
        """When `due` has something next, or a host must be heard again; infinity: not before something changes."""
        if self._removals or (self._tells_status and not self._schedule.is_refreshing):
            return float("-inf")
        return min(self._schedule.next_s(), self._views.next_s())

    def shown_state(self, device: str) -> str:
        """The state of a device, as it is published."""
        return self._views[device].state()

    def hear(self, message: Incoming) -> bool:
        """Take in that Home Assistant has started, and what others or an earlier process published for us."""
        if message.topic == self._topics.birth:
            if message.payload == ONLINE.encode():
                self._again()
            return True
        if message.topic == self._topics.status:
            # The will of the former process can arrive after this one has published ONLINE; then ONLINE is repeated.
            self._tells_status |= message.payload == OFFLINE.encode() and not message.retained
            return True
        if not self._topics.object_of(message.topic):
            return False
        if message.retained and message.payload:
            self._strangers.add(message.topic)
            self._remove_strangers()
        return True

    def asked(self, message: Incoming) -> Asked:
        """The command that a message asks for. RequestError if there is no such entity or the payload is wrong."""
        if (entity := self._commanded.get(message.topic)) is None:
            raise NotFound(
                f"there is no command on the topic {message.topic[:100]!r}",
                code="unknown_topic",
                suggestion="see `home_assistant.commands` in the description",
            )
        if (catalogue := self._catalogues.get(entity.device)) is None:
            raise LinkError(
                f"{entity.device} is not known yet",
                source=f"devices.{entity.device}",
                code="not_known",
                suggestion="see whether its device host runs",
            )
        return order_of(entity, catalogue, message.payload)

    def kind_of(self, topic: str) -> str:
        """`number`, `switch`, `select`, `button`."""
        entity = self._commanded.get(topic)
        return entity.component if entity else ""

    def error(self, message: Incoming, cause: Cause) -> Publication:
        """A document for the topic of errors. The value of the entity is published again, because Home Assistant may
        show the requested one."""
        entity = self._commanded.get(message.topic)
        if entity and (item := self._items.get(entity.state_topic)):
            item.is_forced = True
            self._schedule.change([item])
        document = {
            "topic": printable(message.topic[:200]),
            "entity": entity.config["name"] if entity else "",
            "device": entity.device if entity else "",
            "payload": shown_payload(message),
            "code": cause.code,
            "cause": cause.message,
            "suggestion": cause.suggestion,
        }
        return Publication(topic=self._topics.errors, payload=msgspec.json.encode(document))

    def _again(self) -> None:
        self.refresh()
        self._tells_status = True

    def _believe(self, now_s: float) -> bool:
        changed = self._views.believe(now_s)
        for device in changed:
            self._schedule.change(self._of_device[device].values())
        return bool(changed)

    def _replace(self, device: str, entities: dict[str, Entity]) -> None:
        """Replace the entities of a device."""
        before = self._entities.get(device, {})
        for topic, entity in before.items():
            if topic not in entities:
                self._take_out(topic)
            if entities.get(topic) != entity:
                self._commanded.pop(entity.command_topic, None)
        kept = {entity.state_topic for entity in entities.values()}
        for entity in before.values():
            if entity.state_topic and entity.state_topic not in kept:
                self._take_out(entity.state_topic)
                self._of_device[device].pop(entity.state_topic, None)
                self._of_point.pop((device, entity.point.name if entity.point else ""), None)
        if device != names.SYSTEM:
            self._tell_device(device, is_shown=bool(entities))
        for topic, entity in entities.items():
            if before.get(topic) != entity:
                self._put(topic, entity)
        self._entities[device] = entities

    def _put(self, topic: str, entity: Entity) -> None:
        description = msgspec.json.encode(entity.config)
        self._add(Item("config", topic, lambda _: description, least_s=0.0, retain=True))
        if entity.command_topic:
            self._commanded[entity.command_topic] = entity
        if entity.point is None:
            return
        view, name = self._views[entity.device], entity.point.name

        def value(_: bool) -> bytes:
            known = view.value(name)
            return msgspec.json.encode(
                {
                    "value": shown(entity, known),
                    "quality": view.quality(name).name,
                    "availability": OFFLINE if known is None else ONLINE,
                }
            )

        every_s = self._facts.expire_after_s / 3
        item = Item("state", entity.state_topic, value, least_s=self._facts.interval_s, every_s=every_s, retain=True)
        self._add(item)
        self._of_point[entity.device, name] = item
        self._of_device[entity.device][entity.state_topic] = item

    def _tell_device(self, device: str, *, is_shown: bool) -> None:
        topic, view = self._topics.device(device), self._views[device]
        if is_shown and topic not in self._items:

            def state(_: bool) -> bytes:
                is_there = view.is_believed and view.is_known
                return msgspec.json.encode(
                    {"value": view.state(), "availability": ONLINE if is_there else OFFLINE},
                )

            item = Item("state", topic, state, least_s=0.0, every_s=self._facts.expire_after_s / 3, retain=True)
            self._add(item)
            self._of_device[device][topic] = item
        elif not is_shown and topic in self._items:
            self._take_out(topic)
            self._of_device[device].pop(topic, None)

    def _add(self, item: Item) -> None:
        if (before := self._items.pop(item.topic, None)) is not None:
            self._schedule.remove(before)
        self._items[item.topic] = item
        self._schedule.add(item)
        self._schedule.change([item])

    def _take_out(self, topic: str) -> None:
        """Stop publishing a topic, and remove its retained message at the broker."""
        if (item := self._items.pop(topic, None)) is not None:
            self._schedule.remove(item)
        self._removals.append(Publication(topic=topic, payload=b"", retain=True))

    def _remove_strangers(self) -> None:
        """Remove entities at the broker that are no longer described. A described device whose catalogue has not
        arrived yet keeps its entities."""
        waiting = [device + names.SEPARATOR for device in self._facts.devices if device not in self._catalogues]
        for topic in list(self._strangers):
            object_id = self._topics.object_of(topic)
            if topic not in self._items and any(object_id.startswith(begin) for begin in waiting):
                continue
            self._strangers.discard(topic)
            if topic not in self._items:
                state = self._topics.state_of_object(object_id)
                self._take_out(topic)
                if state not in self._items:
                    self._take_out(state)

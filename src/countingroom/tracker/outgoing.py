"""What is published when: at most one message in a second on a topic, the first change after a quiet second at once.

A change that comes sooner waits for the second to pass, and then the newest values go out. A refresh, and a new
connection to the broker, send everything. Pure: the caller gives the time and publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from countingroom.core.messages import DeviceState, Readings
from countingroom.tracker import documents
from countingroom.tracker.device_view import DeviceView
from countingroom.tracker.facts import CaenFacts, MartaFacts, TrackerFacts

LEAST_S = 1.0
"""Between two messages of one channel, plant or sensor."""
CHILLER_S = 5.0
"""The chiller is told so often although nothing changes."""
PLANT_S = 1.0
PLANT_FULL_S = 600.0
"""Between two messages with all fields of the plant."""
SENSOR_S = 60.0
REFRESH_S = 0.2
"""Refreshes that come faster are answered together."""
SILENT_S = 3.5
"""Without a heartbeat of its host for so long a device is not believed: hosts beat each second."""

Make = Callable[[bool], bytes | None]
"""Makes the payload, with all fields where it is asked for; None: there is nothing to publish."""


class Publication(Struct, frozen=True, kw_only=True):
    """A message to publish, QoS 0, not retained."""

    topic: str
    payload: bytes


class _Item:
    """One topic, or one channel of `dcs/channels`."""

    def __init__(
        self, kind: str, topic: str, make: Make, *, least_s: float = LEAST_S, every_s: float = 0.0, full_s: float = 0.0
    ) -> None:
        self.kind = kind
        self.topic = topic
        self.make = make
        self.least_s = least_s
        self.every_s = every_s
        self.full_s = full_s
        self.last_s = float("-inf")
        self.last_full_s = float("-inf")
        self.is_forced = False

    def due_s(self, *, changed: bool) -> float:
        """When it is to be published next; infinity: not before something changes."""
        if self.is_forced:
            return self.last_s + REFRESH_S
        if changed:
            return self.last_s + self.least_s
        return self.last_s + self.every_s if self.every_s else float("inf")


class TrackerMessages:
    """The messages of all topics."""

    def __init__(self, facts: TrackerFacts, now_s: float) -> None:
        self.views = {device: DeviceView() for device in facts.devices}
        self._beaten_s = dict.fromkeys(facts.devices, now_s)
        self._bus_is_there = True
        self._items: list[_Item] = []
        self._of_point: dict[tuple[str, str], list[_Item]] = {}
        self._of_state: dict[tuple[str, str], list[_Item]] = {}
        self._of_device: dict[str, list[_Item]] = {device: [] for device in facts.devices}
        self._changed: dict[_Item, None] = {}
        """In the order of their change."""
        if facts.caen:
            self._add_caen(facts.caen)
        if facts.chiller:
            self._add_chiller(facts.chiller)
        if facts.marta:
            self._add_marta(facts.marta)
        if facts.switchbox:
            self._add_switchbox(facts.switchbox)
        for address, topic in facts.sensors.items():
            self._add_sensor(address, topic)
        self._periodic = [item for item in self._items if item.every_s]

    def readings(self, message: Readings) -> bool:
        """Take readings in; whether anything more is to be published for them."""
        if (view := self.views.get(message.device)) is None:
            return False
        before = len(self._changed)
        for point in view.take_readings(message):
            self._change(self._of_point.get((message.device, point), ()))
        return len(self._changed) > before

    def state(self, state: DeviceState) -> bool:
        """Take a state in; whether anything is to be published for it."""
        if (view := self.views.get(state.device)) is None:
            return False
        was_known = view.is_known
        if not view.take_state(state):
            return False
        # Until the state of the device was known, nothing of it could be published.
        found = self._of_state.get((state.device, state.channel), []) if was_known else self._of_device[state.device]
        self._change(found)
        return bool(found)

    def beat(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices is alive; whether that is news."""
        for device in devices:
            if device in self._beaten_s:
                self._beaten_s[device] = now_s
        return self._believe(now_s)

    def leave(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices ended; whether that is news."""
        for device in devices:
            if device in self._beaten_s:
                self._beaten_s[device] = float("-inf")
        return self._believe(now_s)

    def bus(self, *, is_there: bool, now_s: float) -> bool:
        """Whether the bus is followed; whether that is news. After it was away, hosts have time to be heard again."""
        if is_there and not self._bus_is_there:
            self._beaten_s = dict.fromkeys(self._beaten_s, now_s)
        self._bus_is_there = is_there
        return self._believe(now_s)

    def refresh(self, kind: str = "") -> None:
        """Publish all of a kind (`caen`, `chiller`, `marta`, `switchbox`, `sensor`) soon, or of all kinds."""
        for item in self._items:
            if kind in ("", item.kind):
                item.is_forced = True
                item.last_full_s = float("-inf")
                self._change([item])

    def due(self, now_s: float) -> list[Publication]:
        """What is to be published now. It counts as published."""
        self._believe(now_s)
        ready = [item for item in self._changed if item.due_s(changed=True) <= now_s]
        ready += [item for item in self._periodic if item not in self._changed and item.due_s(changed=False) <= now_s]
        found: list[Publication] = []
        for item in ready:
            full = bool(item.full_s) and now_s - item.last_full_s >= item.full_s
            payload = item.make(full)
            self._changed.pop(item, None)
            item.is_forced = False
            item.last_s = now_s
            if payload is not None:
                item.last_full_s = now_s if full else item.last_full_s
                found.append(Publication(topic=item.topic, payload=payload))
        return found

    def next_s(self) -> float:
        """When `due` has something next, or a host must be heard again; infinity: not before something changes."""
        times = [item.due_s(changed=True) for item in self._changed]
        times += [item.due_s(changed=False) for item in self._periodic if item not in self._changed]
        times += [beaten_s + SILENT_S for device, beaten_s in self._beaten_s.items() if self.views[device].is_believed]
        return min(times, default=float("inf"))

    def _change(self, items: Iterable[_Item]) -> None:
        self._changed.update(dict.fromkeys(items))

    def _believe(self, now_s: float) -> bool:
        news = False
        for device, view in self.views.items():
            is_believed = self._bus_is_there and now_s - self._beaten_s[device] < SILENT_S
            if is_believed is not view.is_believed:
                view.is_believed = is_believed
                self._change(self._of_device[device])
                news = True
        return news

    def _add(self, item: _Item, device: str, states: Iterable[str], points: Iterable[str]) -> None:
        self._items.append(item)
        self._of_device[device].append(item)
        for channel in states:
            self._of_state.setdefault((device, channel), []).append(item)
        for point in points:
            self._of_point.setdefault((device, point), []).append(item)

    def _add_caen(self, facts: CaenFacts) -> None:
        view = self.views[facts.device]
        status = _Item("caen", "dcs/status", _known(view, lambda _: documents.state_document(view)), least_s=0.0)
        self._add(status, facts.device, [""], [])
        for row in facts.rows:
            make = _known(view, lambda _, row=row: documents.channel_document(row, view))
            names = [*(f"lv_{name}" for name in documents.LV_FIELDS), *(f"hv_{name}" for name in documents.HV_FIELDS)]
            points = [f"{row.channel}.{name}" for name in names]
            self._add(_Item("caen", "dcs/channels", make), facts.device, [row.channel], points)

    def _add_chiller(self, device: str) -> None:
        view = self.views[device]
        make = _known(view, lambda _: documents.chiller_document(view))
        item = _Item("chiller", "julabo/status", make, every_s=CHILLER_S)
        self._add(item, device, [""], documents.CHILLER_FIELDS)

    def _add_marta(self, facts: MartaFacts) -> None:
        view, status = self.views[facts.device], documents.MartaStatus(facts)

        def alarms(_: bool) -> bytes | None:
            return documents.alarm_text(facts, view).encode() if view.is_known else None

        make = _known(view, lambda full: status.document(view, full=full))
        item = _Item("marta", "MARTA/status", make, every_s=PLANT_S, full_s=PLANT_FULL_S)
        self._add(item, facts.device, [""], facts.fields)
        self._add(_Item("marta", "MARTA/alarms", alarms, every_s=PLANT_S), facts.device, [""], facts.alarms)

    def _add_switchbox(self, device: str) -> None:
        view = self.views[device]
        make = _known(view, lambda _: documents.switchbox_document(view))
        self._add(_Item("switchbox", "SB/status", make), device, [""], documents.switchbox_points())

    def _add_sensor(self, address: str, topic: str) -> None:
        device, _, point = address.partition(".")
        view = self.views[device]

        def value(_: bool) -> bytes | None:
            found = view.value(point)
            return None if found is None else documents.sensor_payload(found)

        self._add(_Item("sensor", topic, value, every_s=SENSOR_S), device, [], [point])


def _known(view: DeviceView, make: Callable[[bool], documents.Document]) -> Make:
    """As before the first state of a device was heard of, nothing is published."""
    return lambda full: documents.encoded(make(full)) if view.is_known else None

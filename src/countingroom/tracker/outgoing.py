"""What is published when: at most one message in a second on a topic, the first change after a quiet second at once.

A change that comes sooner waits for the second to pass, and then the newest values go out. A refresh, and a new
connection to the broker, send everything. Pure: the caller gives the time and publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countingroom.core.messages import DeviceState, Readings
from countingroom.mqtt.device_view import DeviceView, DeviceViews
from countingroom.mqtt.messages import Publication
from countingroom.mqtt.schedule import Item, Make, Schedule
from countingroom.tracker import documents
from countingroom.tracker.facts import CaenFacts, MartaFacts, TrackerFacts

LEAST_S = 1.0
"""Between two messages of one channel, plant or sensor."""
CHILLER_S = 5.0
"""The chiller is told so often although nothing changes."""
PLANT_S = 1.0
PLANT_FULL_S = 600.0
"""Between two messages with all fields of the plant."""
SENSOR_S = 60.0


class TrackerMessages:
    """The messages of all topics."""

    def __init__(self, facts: TrackerFacts, now_s: float) -> None:
        self.views = DeviceViews(facts.devices, now_s)
        self._schedule = Schedule()
        self._of_point: dict[tuple[str, str], list[Item]] = {}
        self._of_state: dict[tuple[str, str], list[Item]] = {}
        self._of_device: dict[str, list[Item]] = {device: [] for device in facts.devices}
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

    def readings(self, message: Readings) -> bool:
        """Take readings in; whether anything more is to be published for them."""
        if (view := self.views.get(message.device)) is None:
            return False
        before = self._schedule.changes
        for point in view.take_readings(message):
            self._schedule.change(self._of_point.get((message.device, point), ()))
        return self._schedule.changes > before

    def state(self, state: DeviceState) -> bool:
        """Take a state in; whether anything is to be published for it."""
        if (view := self.views.get(state.device)) is None:
            return False
        was_known = view.is_known
        if not view.take_state(state):
            return False
        # Until the state of the device was known, nothing of it could be published.
        found = self._of_state.get((state.device, state.channel), []) if was_known else self._of_device[state.device]
        self._schedule.change(found)
        return bool(found)

    def beat(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices is alive; whether that is news."""
        self.views.beat(devices, now_s)
        return self._believe(now_s)

    def leave(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices ended; whether that is news."""
        self.views.leave(devices)
        return self._believe(now_s)

    def bus(self, *, is_there: bool, now_s: float) -> bool:
        """Whether the bus is followed; whether that is news. After it was away, hosts have time to be heard again."""
        self.views.bus(is_there=is_there, now_s=now_s)
        return self._believe(now_s)

    def refresh(self, kind: str = "") -> None:
        """Publish all of a kind (`caen`, `chiller`, `marta`, `switchbox`, `sensor`) soon, or of all kinds."""
        self._schedule.refresh(kind)

    def due(self, now_s: float) -> list[Publication]:
        """What is to be published now. It counts as published."""
        self._believe(now_s)
        return self._schedule.due(now_s)

    def next_s(self) -> float:
        """When `due` has something next, or a host must be heard again; infinity: not before something changes."""
        return min(self._schedule.next_s(), self.views.next_s())

    def _believe(self, now_s: float) -> bool:
        changed = self.views.believe(now_s)
        for device in changed:
            self._schedule.change(self._of_device[device])
        return bool(changed)

    def _add(self, item: Item, device: str, states: Iterable[str], points: Iterable[str]) -> None:
        self._schedule.add(item)
        self._of_device[device].append(item)
        for channel in states:
            self._of_state.setdefault((device, channel), []).append(item)
        for point in points:
            self._of_point.setdefault((device, point), []).append(item)

    def _add_caen(self, facts: CaenFacts) -> None:
        view = self.views[facts.device]
        status = Item("caen", "dcs/status", _known(view, lambda _: documents.state_document(view)), least_s=0.0)
        self._add(status, facts.device, [""], [])
        for row in facts.rows:
            make = _known(view, lambda _, row=row: documents.channel_document(row, view))
            names = [*(f"lv_{name}" for name in documents.LV_FIELDS), *(f"hv_{name}" for name in documents.HV_FIELDS)]
            points = [f"{row.channel}.{name}" for name in names]
            self._add(Item("caen", "dcs/channels", make, least_s=LEAST_S), facts.device, [row.channel], points)

    def _add_chiller(self, device: str) -> None:
        view = self.views[device]
        make = _known(view, lambda _: documents.chiller_document(view))
        item = Item("chiller", "julabo/status", make, least_s=LEAST_S, every_s=CHILLER_S)
        self._add(item, device, [""], documents.CHILLER_FIELDS)

    def _add_marta(self, facts: MartaFacts) -> None:
        view, status = self.views[facts.device], documents.MartaStatus(facts)

        def alarms(_: bool) -> bytes | None:
            return documents.alarm_text(facts, view).encode() if view.is_known else None

        make = _known(view, lambda full: status.document(view, full=full))
        item = Item("marta", "MARTA/status", make, least_s=LEAST_S, every_s=PLANT_S, full_s=PLANT_FULL_S)
        self._add(item, facts.device, [""], facts.fields)
        self._add(
            Item("marta", "MARTA/alarms", alarms, least_s=LEAST_S, every_s=PLANT_S), facts.device, [""], facts.alarms
        )

    def _add_switchbox(self, device: str) -> None:
        view = self.views[device]
        make = _known(view, lambda _: documents.switchbox_document(view))
        self._add(Item("switchbox", "SB/status", make, least_s=LEAST_S), device, [""], documents.switchbox_points())

    def _add_sensor(self, address: str, topic: str) -> None:
        device, _, point = address.partition(".")
        view = self.views[device]

        def value(_: bool) -> bytes | None:
            found = view.value(point)
            return None if found is None else documents.sensor_payload(found)

        self._add(Item("sensor", topic, value, least_s=LEAST_S, every_s=SENSOR_S), device, [], [point])


def _known(view: DeviceView, make: Callable[[bool], documents.Document]) -> Make:
    """The payload from `make`; None, which is not published, before the first state of the device has arrived."""
    return lambda full: documents.encoded(make(full)) if view.is_known else None

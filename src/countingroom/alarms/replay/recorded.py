"""Makes the inputs of a replay other than readings: states of devices, hosts that were gone, and acts of people.

States and links come from the recorded events of device hosts, all others from the history of alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.device_alarms import NOT_SERVED
from countingroom.core import subjects
from countingroom.core.alarms.events import (
    Acknowledge,
    AlarmEvent,
    PutInService,
    Remark,
    Reset,
    Shelve,
    TakeOutOfService,
    Unshelve,
)
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.messages import Catalogue, DeviceState, Event, EventKind, Link

DISCONNECTED = "DISCONNECTED"
_DEVICES, _RUNS = "devices", "runs"


class StateAt(Struct, frozen=True, kw_only=True):
    """The state of a device or channel from this time on."""

    time_ns: int
    state: DeviceState


class WordAt(Struct, frozen=True, kw_only=True):
    """The state of a partition from this time on."""

    time_ns: int
    subject: str
    word: str


class ServedAt(Struct, frozen=True, kw_only=True):
    """Whether the host of a device was alive, from this time on."""

    time_ns: int
    device: str
    is_alive: bool


class ActAt(Struct, frozen=True, kw_only=True):
    """An act of a person on an alarm."""

    time_ns: int
    row: AlarmEntry
    once: bool = False
    """Whether it was a shelf that ended with the first return."""

    def events(self, book: AlarmBook) -> Mapping[str, AlarmEvent]:
        """The event for the alarm as it is in the replay, where its occurrence may have another number."""
        row = self.row
        entry = book.get(row.alarm)
        match row.kind:
            case HistoryKind.ACKNOWLEDGED if entry:
                event: AlarmEvent = Acknowledge(by=row.person, occurrence=entry.record.occurrence, comment=row.text)
            case HistoryKind.RESET if entry:
                event = Reset(by=row.person)
            case HistoryKind.SHELVED if row.until_ns is not None:
                event = Shelve(by=row.person, reason=row.text or "-", until_ns=row.until_ns, once=self.once)
            case HistoryKind.UNSHELVED if entry:
                event = Unshelve(by=row.person)
            case HistoryKind.OUT_OF_SERVICE if row.until_ns is not None:
                event = TakeOutOfService(by=row.person, owner=row.person, reason=row.text or "-", due_ns=row.until_ns)
            case HistoryKind.IN_SERVICE if entry:
                event = PutInService(by=row.person)
            case HistoryKind.COMMENTED:
                event = Remark(by=row.person, text=row.text)
            case _:
                return {}
        return {row.alarm: event}


class OtherAt(Struct, frozen=True, kw_only=True):
    """An input for rules or interlocks only: an event, or an act of a person."""

    time_ns: int
    give: Callable[[int], None]
    """Called with the time."""


Input = StateAt | WordAt | ServedAt | ActAt | OtherAt


def first_states(catalogue: Catalogue, inactive: Iterable[str], begin_ns: int) -> list[DeviceState]:
    """The states of a device and its channels before the first event: connected, without a state. `inactive`: channels
    that are monitored only."""
    own = DeviceState(device=catalogue.device, state="", link=Link.CONNECTED, since_ns=begin_ns)
    off = set(inactive)
    channels = [structs.replace(own, channel=one, active=one not in off) for one in catalogue.channels]
    return [*channels, own]


class DeviceStates:
    """The states of one device, derived from its events."""

    def __init__(self, catalogue: Catalogue, inactive: Iterable[str], events: Sequence[Event], begin_ns: int) -> None:
        """`events`: the events of this device, in the order of time."""
        self._catalogue = catalogue
        self._states = {one.channel: one for one in first_states(catalogue, inactive, begin_ns)}
        before: dict[str, str] = {}
        links = [one for one in events if one.kind is EventKind.LINK]
        if links and links[0].before in set(Link):
            self._link = Link(links[0].before)
        else:
            self._link = Link.CONNECTED
        for event in events:
            if event.kind is EventKind.STATE:
                before.setdefault(event.channel, event.before)
        for channel, word in before.items():
            if channel in self._states:
                self._states[channel] = self._state(self._states[channel], word, begin_ns)

    def first(self, begin_ns: int) -> Iterator[Input]:
        """The states at the begin: the first event of each channel names the state before it."""
        for state in self._states.values():
            yield StateAt(time_ns=begin_ns, state=structs.replace(state, link=self._link))

    def take(self, event: Event) -> Iterator[Input]:
        """The states after an event."""
        if event.kind is EventKind.LINK:
            self._link = Link(event.after) if event.after in set(Link) else self._link
            if self._link is Link.CONNECTED:
                # Separate events follow with the states of the channels; the event of the device comes last.
                for channel in filter(None, self._states):
                    yield from self._put(channel, "", event)
                return
            # The device ("" sorts first) before its channels: so the lost link is one alarm, not one for each channel.
            for channel in sorted(self._states):
                yield from self._put(channel, DISCONNECTED, event)
        elif event.kind is EventKind.STATE and event.channel in self._states:
            yield from self._put(event.channel, event.after, event)

    def _put(self, channel: str, word: str, event: Event) -> Iterator[Input]:
        state = self._state(self._states[channel], word, event.time_ns)
        state = structs.replace(state, link=self._link, cause=event.cause)
        self._states[channel] = state
        yield StateAt(time_ns=event.time_ns, state=state)

    def _state(self, state: DeviceState, word: str, since_ns: int) -> DeviceState:
        catalogue = self._catalogue
        chart = (catalogue.channel_chart if state.channel else None) or catalogue.chart
        common = chart.common.get(word, "") if chart else ""
        if not common and word == DISCONNECTED:
            common = "no_link"
        return structs.replace(state, state=word, common=common, since_ns=since_ns)


def inputs(
    catalogues: Iterable[Catalogue],
    inactive: Mapping[str, Iterable[str]],
    events: Sequence[Event],
    rows: Sequence[AlarmEntry],
    begin_ns: int,
    *,
    people: bool = True,
) -> list[Input]:
    """All inputs in the order of time. `events`, `rows`: those from `begin_ns` on, in the order of time. `inactive`:
    device -> channels that are monitored only. `people`: include the acts of people on alarms."""
    found: list[Input] = []
    devices: dict[str, DeviceStates] = {}
    known = list(catalogues)
    of_device: dict[str, list[Event]] = {}
    for event in events:
        if event.department == _DEVICES:
            of_device.setdefault(event.source, []).append(event)
    for catalogue in known:
        states = DeviceStates(
            catalogue, inactive.get(catalogue.device, ()), of_device.get(catalogue.device, ()), begin_ns
        )
        devices[catalogue.device] = states
        found += states.first(begin_ns)
    seen: set[str] = set()
    for event in events:
        if event.department == _DEVICES and (states := devices.get(event.source)):
            found += states.take(event)
        elif event.department == _RUNS and event.kind is EventKind.STATE and event.after:
            subject = subjects.partition_key(event.source)
            if subject not in seen and event.before:
                found.append(WordAt(time_ns=begin_ns, subject=subject, word=event.before))
            seen.add(subject)
            found.append(WordAt(time_ns=event.time_ns, subject=subject, word=event.after))
    found += _served(rows, devices)
    if people:
        found += _acts(rows)
    return sorted(found, key=lambda one: one.time_ns)


def _served(rows: Iterable[AlarmEntry], devices: Mapping[str, object]) -> Iterator[Input]:
    """The times in which hosts were gone, from the history of the link alarms."""
    gone: set[str] = set()
    for row in rows:
        words = row.alarm.split(".")
        if len(words) != 3 or (words[0], words[2]) != ("device", "link") or words[1] not in devices:
            continue
        device = words[1]
        if row.kind in (HistoryKind.ANNOUNCED, HistoryKind.ACTIVATED) and row.text == NOT_SERVED:
            gone.add(device)
            yield ServedAt(time_ns=row.time_ns, device=device, is_alive=False)
        elif row.kind is HistoryKind.RETURNED and device in gone:
            gone.discard(device)
            yield ServedAt(time_ns=row.time_ns, device=device, is_alive=True)


def _acts(rows: Sequence[AlarmEntry]) -> Iterator[Input]:
    ends: dict[str, list[int]] = {}
    for row in rows:
        if row.kind is HistoryKind.SHELF_ENDED:
            ends.setdefault(row.alarm, []).append(row.time_ns)
    for row in rows:
        if not row.person:
            continue
        early = [at for at in ends.get(row.alarm, ()) if row.until_ns and row.time_ns <= at < row.until_ns]
        yield ActAt(time_ns=row.time_ns, row=row, once=row.kind is HistoryKind.SHELVED and bool(early))

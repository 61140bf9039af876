"""The live feed: once a tick it encodes what changed and offers it to every viewer.

Changes are encoded once and composed once for each distinct subscription. A viewer that reads too slowly loses its
queue and gets a snapshot instead: the latest value wins, other viewers do not wait, and memory stays bounded.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from countingroom.console.live.backlog import Backlog, FeedChange
from countingroom.console.live.snapshot_parts import SnapshotParts
from countingroom.console.live.subscription import LiveSubscription, fragment
from countingroom.console.live.viewer_queue import Viewer
from countingroom.console.present import partition_views, partition_words
from countingroom.console.present.control_requests import ControlRequests
from countingroom.console.present.device_rows import DeviceRows, Row
from countingroom.console.present.latest import Latest
from countingroom.console.present.present_alarms import AlarmsNow
from countingroom.console.present.recent_events import RecentEvents, shown
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock
from countingroom.core.start_up import HEARD_S

_log = logging.getLogger(__name__)

_ALARMS_EVERY_S = 1.0
_TROUBLE_S = 10.0
"""How long a failed tick makes the feed not ready."""


class LiveFeed:
    """The live feed. `revision` counts ticks with a change.

    It starts at the time in ms: a page that reconnects after a restart of the console then never resumes at a revision
    of the former process.
    """

    def __init__(
        self,
        latest: Latest,
        device_rows: DeviceRows,
        alarms_now: AlarmsNow,
        recent_events: RecentEvents,
        clock: Clock,
        *,
        tick_s: float = 0.2,
    ) -> None:
        self._latest = latest
        self.device_rows = device_rows
        self._alarms_now = alarms_now
        self._recent_events = recent_events
        self._clock = clock
        self._tick_s = tick_s
        self._changes = latest.follow()
        self._backlog = Backlog()
        self._snapshot_parts = SnapshotParts(latest, self._rows)
        self._requests = ControlRequests()
        self._viewers: set[Viewer] = set()
        self._alarms = b""
        self._alarms_at_s = float("-inf")
        self._failed_at_s = float("-inf")
        self._quiet_until_s = clock.monotonic() + HEARD_S
        self._unreported: set[str] = set()
        self._reported_connected = True
        """The link as of this revision. A snapshot has this, not the link of the moment: a loss between two ticks is in
        no change, and a page that opened during it would never hear of its end."""
        self.revision = clock.now_ns() // 1_000_000
        self.updates: dict[str, int] = {}
        """Device -> readings shown since the start."""
        self.dropped = 0
        """How often a viewer was too slow, over all viewers."""

    @property
    def viewers(self) -> int:
        """The number of viewers."""
        return len(self._viewers)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            try:
                self.tick()
            except Exception:  # the changes of one tick must not end the feed of all later ones
                if not self.troubles():
                    _log.exception("the live feed cannot show what the bus carries")
                self._failed_at_s = self._clock.monotonic()
                for viewer in self._viewers:  # the changes of this tick are lost: begin again with the present
                    viewer.restart()
            await self._clock.sleep(self._tick_s)

    def troubles(self) -> list[str]:
        """Why the live feed is not ready: it failed in the last seconds."""
        failed_s_ago = self._clock.monotonic() - self._failed_at_s
        return ["the live feed cannot show what the bus carries"] if failed_s_ago < _TROUBLE_S else []

    def tick(self) -> None:
        """Take the changes, encode them, and offer them to every viewer."""
        change = self._gather()
        if change is not None:
            self.revision = change.revision
            self._backlog.add(change)
        now_s, composed = self._clock.monotonic(), dict[LiveSubscription, str | None]()
        idle = self._idle()
        for viewer in self._viewers:
            watch = viewer.watch
            if watch not in composed:
                composed[watch] = change.compose(watch) if change else None
            text = composed[watch]
            if text is None and now_s - viewer.last_offer_s < 1.0 - self._tick_s / 2:
                continue
            before = viewer.lost
            viewer.offer(text if text is not None else idle)
            self.dropped += viewer.lost - before
            viewer.last_offer_s = now_s

    @contextmanager
    def viewer(self, watch: LiveSubscription, resume: int | None = None) -> Generator[Viewer]:
        """A viewer while entered."""
        viewer = Viewer(watch)
        missed = self._backlog.after(resume, now=self.revision) if resume is not None else None
        if missed is not None:
            viewer.resume([text for change in missed if (text := change.compose(watch)) is not None])
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def next(self, viewer: Viewer) -> str:
        """The next message for this viewer."""
        text = await viewer.wait()
        if text is not None:
            return text
        viewer.needs_snapshot = False
        return self.snapshot(viewer.watch)

    def messages(self, watch: LiveSubscription, resume: int | None = None) -> list[str]:
        """Messages for a page without a websocket: the changes since this revision, or one snapshot. Never empty."""
        missed = self._backlog.after(resume, now=self.revision) if resume is not None else None
        if missed is None:
            return [self.snapshot(watch)]
        return [text for change in missed if (text := change.compose(watch)) is not None] + [self._idle()]

    def snapshot(self, watch: LiveSubscription) -> str:
        """Everything in the subscription, at this revision."""
        parts = [
            b'"kind":"snapshot","revision":%d,"time_ns":%d,"bus":%s'
            % (self.revision, self._clock.now_ns(), b"true" if self._reported_connected else b"false"),
            b'"points":{%s}' % self._snapshot_parts.points(watch),
            b'"states":{%s}' % self._snapshot_parts.states(watch),
            b'"alive":' + msgspec.json.encode(self.device_rows.living()),
            b'"catalogues":' + msgspec.json.encode(self.device_rows.digests()),
            self._alarms or self._encode_alarms(),
        ]
        return (b"{" + b",".join(parts) + b"}").decode()

    def _idle(self) -> str:
        connected = "true" if self._reported_connected else "false"
        return f'{{"kind":"tick","revision":{self.revision},"time_ns":{self._clock.now_ns()},"bus":{connected}}}'

    def _gather(self) -> FeedChange | None:
        taken = self._changes.take()
        now_ns = self._clock.now_ns()
        shared: list[bytes] = []
        changed: dict[str, set[str] | None] = dict(taken.points)
        renewed = {device for device in taken.catalogues if self._learn(device)}
        alive = self._changed_alive(taken.alive)
        for device, name in self._alarm_levels(taken.words):
            names = changed.setdefault(device, set())
            if names is not None:
                changed[device] = names | {name}
        changed |= dict.fromkeys(renewed | alive & self._latest.catalogues.keys())
        for name in alive:
            self.device_rows.alive(name, self._latest.alive.get(name, False), now_ns=now_ns)
        rows = {device: self._rows(device, names) for device, names in changed.items()}
        for device, names in changed.items():
            self._snapshot_parts.update(device, rows[device], whole=names is None)
        self._snapshot_parts.forget(states=bool(taken.states), words=bool(taken.words))
        states: dict[str, list[str]] = {}
        for key in taken.states:
            if state := self._latest.states.get(key):
                self.device_rows.state(state)
                states.setdefault(state.device, []).append(key)
        words: dict[str, dict[str, Struct | None]] = {}
        for key in taken.words:
            word = self._latest.words.get(key)
            words.setdefault(partition_words.place_of(key, word), {})[key] = word
        if self._latest.connected != self._reported_connected:
            self._reported_connected = self._latest.connected
            shared.append(b'"bus":' + msgspec.json.encode(self._reported_connected))
        if alive:
            shared.append(b'"alive":' + msgspec.json.encode(self.device_rows.living()))
        if renewed:
            shared.append(b'"catalogues":' + msgspec.json.encode(self.device_rows.digests()))
        events: dict[str, list[dict[str, object]]] = {}
        for numbered in self._recent_events.take_new():
            self._requests.take(numbered[1])
            events.setdefault(numbered[1].source, []).append(shown(numbered))
        if alive or self._clock.monotonic() - self._alarms_at_s >= _ALARMS_EVERY_S:
            self._alarms_at_s = self._clock.monotonic()
            if (encoded := self._encode_alarms()) != self._alarms:
                self._alarms = encoded
                shared.append(encoded)
        if not (any(rows.values()) or states or words or events or shared):
            return None
        for device, one in rows.items():
            self.updates[device] = self.updates.get(device, 0) + len(one)
        return FeedChange(
            revision=self.revision + 1,
            time_ns=now_ns,
            rows=rows,
            points={device: fragment(one) for device, one in rows.items() if one},
            states={
                device: fragment({key: self._latest.states[key] for key in keys}) for device, keys in states.items()
            },
            words={partition: fragment(changed_words) for partition, changed_words in words.items()},
            events={source: msgspec.json.encode(list_)[1:-1] for source, list_ in events.items()},
            shared=b",".join(shared),
        )

    def _learn(self, device: str) -> bool:
        """Take in the catalogue of a device. Returns whether it has changed."""
        if catalogue := self._latest.catalogues.get(device):
            return self.device_rows.learn(catalogue)
        self.device_rows.forget(device)
        return True

    def _changed_alive(self, changed: set[str]) -> set[str]:
        """The devices and partitions whose presence is reported with this tick.

        A live one is reported at once. A silent one only after the first heartbeats: right after the start of the
        console every device is silent, and every page would show all of them as gone.
        """
        self._unreported |= changed
        if self._clock.monotonic() < self._quiet_until_s:
            due = {device for device in self._unreported if self._latest.alive.get(device)}
        else:
            due = self._unreported
        self._unreported = self._unreported - due
        return due

    def _rows(self, device: str, names: set[str] | None) -> dict[str, Row]:
        readings = self._latest.readings.get(device, {})
        chosen = readings.items() if names is None else ((name, readings[name]) for name in names if name in readings)
        return {f"{device}.{name}": row for name, row in self.device_rows.show(device, chosen).items()}

    def _alarm_levels(self, keys: set[str]) -> set[tuple[str, str]]:
        """(device, point) of each point whose level may have changed with an alarm of these keys."""
        found: set[tuple[str, str]] = set()
        for key in keys:
            if key.startswith("alarm."):
                word = self._latest.words.get(key)
                found |= self.device_rows.alarm(key, word if isinstance(word, AlarmState) else None)
        return found

    def _encode_alarms(self) -> bytes:
        found = self._alarms_now()
        devices = {device: self.device_rows.summary(device) for device in self._latest.catalogues}
        states, now_ns = partition_words.partitions(self._latest.words), self._clock.now_ns()
        partitions = {
            name: {
                "worst": found.worst(name),
                "priorities": found.of_partition(name),
                "gone_ns": gone_ns,
                "state": state.state,
                "run": state.run,
                "holder": control.holder if control and control.held(now_ns) else "",
                "asks": self._requests.of(name, control, now_ns),
            }
            for name, state in states.items()
            for gone_ns in [partition_words.gone_since(self.device_rows, name)]
            for control in [partition_words.control_of(self._latest.words, name)]
        }
        return fragment(
            {
                "alarms": found.listed,
                "counts": found.counts,
                "newest": found.newest,
                "waiting": found.waiting,
                "follow": found.follow,
                "watched": self._latest.watched,
                "kept": self._latest.kept,
                "devices": devices,
                "partitions": partitions,
                "places": found.places,
                "foremost": partition_views.foremost(states),
            }
        )

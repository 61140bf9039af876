"""Law: one ticking encoder serves every viewer: what changed is encoded once a tick, a wish composed once a tick.

A viewer that reads too slowly loses what waited for it and gets a fresh snapshot instead: the latest value wins, nobody
else waits, and memory stays bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from countingroom.console.live.backlog import Backlog, FeedChange
from countingroom.console.live.subscription import LiveSubscription, fragment
from countingroom.console.present import partition_alarms, partition_views
from countingroom.console.present.abnormal import AbnormalList, Row
from countingroom.console.present.latest import Latest
from countingroom.console.present.recent_events import RecentEvents, shown
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict

_WAITING = 32
"""Messages that may wait for one viewer."""
_VIEWERS = 256
_ALARMS = 200
"""Alarms sent at most; the counts are of all."""
_ALARMS_EVERY_S = 1.0
_FIRST_BEATS_S = 4.0
"""After the start nobody is called gone for that long: three heartbeats and a little."""


class Viewer:
    """One websocket's end of the feed."""

    def __init__(self, watch: LiveSubscription) -> None:
        self.watch = watch
        self.lost = 0
        """How often it was too slow."""
        self.needs_snapshot = True
        self.last_offer_s = 0.0
        self._waiting: deque[str] = deque()
        self._something = asyncio.Event()

    def offer(self, text: str) -> None:
        """Put a message into its queue; a full queue is emptied and a snapshot takes its place."""
        if self.needs_snapshot:
            return
        if len(self._waiting) >= _WAITING:
            self.restart()
            self.lost += 1
            return
        self._waiting.append(text)
        self._something.set()

    def restart(self) -> None:
        """Forget what waits; the next message is a snapshot."""
        self._waiting.clear()
        self.needs_snapshot = True
        self._something.set()

    def resume(self, texts: list[str]) -> None:
        """Begin with these instead of a snapshot."""
        self.needs_snapshot = False
        self._waiting.extend(texts)
        self._something.set()

    async def wait(self) -> str | None:
        """The next message; None: send a snapshot."""
        while not self._waiting and not self.needs_snapshot:
            self._something.clear()
            await self._something.wait()
        return None if self.needs_snapshot else self._waiting.popleft()


class LiveFeed:
    """The live feed. `revision` counts ticks that told something; it starts at the time in ms, so revisions of two
    lives of the console never meet."""

    def __init__(
        self, latest: Latest, abnormal: AbnormalList, recent_events: RecentEvents, clock: Clock, *, tick_s: float = 0.2
    ) -> None:
        self._latest = latest
        self.abnormal = abnormal
        self._recent_events = recent_events
        self._clock = clock
        self._tick_s = tick_s
        self._changes = latest.follow()
        self._backlog = Backlog()
        self._viewers: set[Viewer] = set()
        self._alarms = b""
        self._alarms_at_s = float("-inf")
        self._quiet_until_s = clock.monotonic() + _FIRST_BEATS_S
        self._unheard: set[str] = set()
        self._bus_told = True
        self.revision = clock.now_ns() // 1_000_000
        self.updates: dict[str, int] = {}
        """Device -> readings shown since the start."""
        self.dropped = 0
        """How often a viewer was too slow, over all viewers."""

    @property
    def viewers(self) -> int:
        """How many look on now."""
        return len(self._viewers)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await self._clock.sleep(self._tick_s)

    def tick(self) -> None:
        """Take what changed, encode it, and offer it to every viewer."""
        change = self._gather()
        if change is not None:
            self.revision = change.revision
            self._backlog.add(change)
        now_s, composed = self._clock.monotonic(), dict[LiveSubscription, str | None]()
        idle = b'{"kind":"tick","revision":%d,"time_ns":%d,"bus":%s}' % (
            self.revision,
            self._clock.now_ns(),
            b"true" if self._latest.connected else b"false",
        )
        for viewer in self._viewers:
            watch = viewer.watch
            if watch not in composed:
                composed[watch] = change.compose(watch) if change else None
            text = composed[watch]
            if text is None and now_s - viewer.last_offer_s < 1.0 - self._tick_s / 2:
                continue
            before = viewer.lost
            viewer.offer(text if text is not None else idle.decode())
            self.dropped += viewer.lost - before
            viewer.last_offer_s = now_s

    @contextmanager
    def viewer(self, watch: LiveSubscription, resume: int | None = None) -> Generator[Viewer]:
        """A viewer while entered; Conflict where there are too many."""
        if len(self._viewers) >= _VIEWERS:
            raise Conflict(f"{_VIEWERS} viewers look on already", source="console", code="too_many")
        viewer = Viewer(watch)
        missed = self._backlog.after(resume, now=self.revision) if resume is not None else None
        if missed is not None:
            viewer.resume([text for change in missed if (text := change.compose(watch)) is not None][-_WAITING:])
            if len(missed) > _WAITING:
                viewer.restart()
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

    def snapshot(self, watch: LiveSubscription) -> str:
        """Everything the wish sees, as it is at this revision."""
        parts = [
            b'"kind":"snapshot","revision":%d,"time_ns":%d,"bus":%s'
            % (self.revision, self._clock.now_ns(), b"true" if self._latest.connected else b"false")
        ]
        seen = [device for device in self._latest.catalogues if watch.sees(device)]
        rows: dict[str, Row] = {}
        if watch.points is None or watch.points:
            for device in seen:
                rows |= self._rows(device, None)
        if watch.points:
            rows = {name: row for name, row in rows.items() if name in watch.points}
        parts.append(b'"points":{%s}' % fragment(rows))
        parts.append(b'"states":{%s}' % fragment(self._states(watch)))
        parts.append(b'"alive":' + msgspec.json.encode(self.abnormal.living()))
        parts.append(b'"catalogues":' + msgspec.json.encode(self.abnormal.digests()))
        parts.append(self._encode_alarms())
        return (b"{" + b",".join(parts) + b"}").decode()

    def _states(self, watch: LiveSubscription) -> dict[str, object]:
        """Every state that the wish sees."""
        states = self._latest.states.items() if watch.states else ()
        found: dict[str, object] = {key: one for key, one in states if watch.sees(one.device)}
        words = self._latest.words.items()
        return found | {key: one for key, one in words if watch.sees_partition(partition_alarms.place_of(key, one))}

    def _gather(self) -> FeedChange | None:
        taken = self._changes.take()
        now_ns = self._clock.now_ns()
        shared: list[bytes] = []
        changed: dict[str, set[str] | None] = dict(taken.points)
        renewed = {device for device in taken.catalogues if self._learn(device)}
        heard = self._hear(taken.alive)
        changed |= dict.fromkeys(renewed | heard & self._latest.catalogues.keys())
        for name in heard:
            self.abnormal.alive(name, self._latest.alive.get(name, False), now_ns=now_ns)
        rows = {device: self._rows(device, names) for device, names in changed.items()}
        states: dict[str, list[str]] = {}
        for key in taken.states:
            if state := self._latest.states.get(key):
                self.abnormal.state(state)
                states.setdefault(state.device, []).append(key)
        words: dict[str, dict[str, Struct | None]] = {}
        for key in taken.words:
            word = self._latest.words.get(key)
            words.setdefault(partition_alarms.place_of(key, word), {})[key] = word
        if self._latest.connected != self._bus_told:
            self._bus_told = self._latest.connected
            shared.append(b'"bus":' + msgspec.json.encode(self._bus_told))
        if heard:
            shared.append(b'"alive":' + msgspec.json.encode(self.abnormal.living()))
        if renewed:
            shared.append(b'"catalogues":' + msgspec.json.encode(self.abnormal.digests()))
        if heard or self._clock.monotonic() - self._alarms_at_s >= _ALARMS_EVERY_S:
            self._alarms_at_s = self._clock.monotonic()
            if (told := self._encode_alarms()) != self._alarms:
                self._alarms = told
                shared.append(told)
        events: dict[str, list[dict[str, object]]] = {}
        for numbered in self._recent_events.take_new():
            events.setdefault(numbered[1].source, []).append(shown(numbered))
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
            words={partition: fragment(told) for partition, told in words.items()},
            events={source: msgspec.json.encode(list_)[1:-1] for source, list_ in events.items()},
            shared=b",".join(shared),
        )

    def _learn(self, device: str) -> bool:
        """Whether anything about it is new."""
        if catalogue := self._latest.catalogues.get(device):
            return self.abnormal.learn(catalogue)
        self.abnormal.forget(device)
        return True

    def _hear(self, changed: set[str]) -> set[str]:
        """The devices and partitions whose life is to be told anew: the living at once, the silent when the first beats
        are over."""
        self._unheard |= changed
        if self._clock.monotonic() < self._quiet_until_s:
            told = {device for device in self._unheard if self._latest.alive.get(device)}
        else:
            told = self._unheard
        self._unheard = self._unheard - told
        return told

    def _rows(self, device: str, names: set[str] | None) -> dict[str, Row]:
        readings = self._latest.readings.get(device, {})
        chosen = readings.items() if names is None else ((name, readings[name]) for name in names if name in readings)
        return {f"{device}.{name}": row for name, row in self.abnormal.show(device, chosen).items()}

    def _encode_alarms(self) -> bytes:
        found = partition_alarms.everything(self.abnormal, self._latest.words)
        counts = [sum(alarm.level == level for alarm in found) for level in (1, 2, 3)]
        devices = {device: self.abnormal.summary(device) for device in self._latest.catalogues}
        states = partition_alarms.partitions(self._latest.words)
        partitions = {
            name: {
                "worst": partition_alarms.worst(state, gone_ns),
                "priorities": partition_alarms.priorities(state, gone_ns),
                "gone_ns": gone_ns,
                "state": state.state,
                "run": state.run,
            }
            for name, state in states.items()
            for gone_ns in [partition_alarms.gone_since(self.abnormal, name)]
        }
        return fragment(
            {
                "alarms": found[:_ALARMS],
                "counts": counts,
                "devices": devices,
                "partitions": partitions,
                "foremost": partition_views.foremost(states),
            }
        )

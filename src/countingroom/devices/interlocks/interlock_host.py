"""Interlocks inside a device host: it evaluates its parts of them on its own readings and acts at once.

Neither the bus nor the engine of the alarm department is needed. What the engine publishes is followed: bypasses,
resets, and trips that it found. While the engine is silent the declared safe outputs are applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock, raise_if_cancelled, within
from countingroom.core.interlocks.events import ActionKind, InterlockEvent, ReportEffect
from countingroom.core.interlocks.host_state import HOST_KEYS, HostInterlockState, host_key
from countingroom.core.interlocks.inputs import InterlockInputs
from countingroom.core.interlocks.local_part import local_part, silent_effects
from countingroom.core.interlocks.specs import EffectSpec, InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import DeviceState, Event, Link, MessageDecoder, Readings
from countingroom.devices.host.device import HostedDevice
from countingroom.devices.interlocks.effect_actor import EffectActor
from countingroom.devices.interlocks.engine_watch import EngineWatch
from countingroom.devices.interlocks.held_effects import Acting, HeldEffects, of_state
from countingroom.devices.interlocks.host_records import SOURCE, SavedInterlocks, event_of, event_of_silence, told_again
from countingroom.devices.interlocks.hosted_part import TIME_PASSED, HostedPart, kept
from countingroom.devices.interlocks.saved_latches import SavedLatches

_log = logging.getLogger(__name__)

AGAIN_S = 1.0
"""Pause after a fault of the code."""
LONGEST_S = 60.0
"""The time is looked at again after so long, because the wall clock of delays may be set."""
_states = MessageDecoder(InterlockState)
Task = asyncio.Task[None]


class InterlockHost:
    """The interlocks of one device host; a DeviceWatch of its devices."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        specs: Sequence[InterlockSpec],
        devices: Collection[str],
        *,
        instance: str,
        boot: str,
        file: Path | None = None,
    ) -> None:
        """`devices`: those that this host can serve. `file`: where it keeps what has tripped."""
        self._bus = bus
        self._clock = clock
        self._instance = instance
        self._boot = boot
        self._specs = {spec.name: spec for spec in specs}
        self._saves = SavedLatches(file, SavedInterlocks, clock, self._publish_all)
        saved = self._saves.load() or SavedInterlocks()
        parts = [part for spec in specs if (part := local_part(spec, devices))]
        self._parts = {part.spec.name: HostedPart(part, saved.interlocks.get(part.spec.name)) for part in parts}
        self._inputs = InterlockInputs([part.spec for part in parts], clock.now_ns())
        self._silent = {spec.name: effects for spec in specs if (effects := tuple(silent_effects(spec, devices)))}
        """Interlock -> its safe outputs in this host."""
        self._silent_since: dict[str, int] = {}
        """Interlock whose safe outputs are applied -> since when the engine is silent."""
        self._published: dict[str, InterlockState] = {}
        self._served: dict[str, HostedDevice] = {}
        self._running: dict[tuple[str, str, str], tuple[object, Task]] = {}
        """(`part` or `silent`, interlock, effect) -> since which trip it acts, and what carries it out."""
        self._held = HeldEffects()
        self._news = asyncio.Event()
        self._engine = EngineWatch(bus, clock)
        self._publisher = Publisher(bus, clock, SOURCE)
        self._group: asyncio.TaskGroup | None = None
        self._points = {
            name: frozenset(
                address.removeprefix(f"{name}.") for address in self._inputs.addresses if address.startswith(f"{name}.")
            )
            for name in devices
        }

    async def run(self) -> None:
        """Until cancelled. Effects that act are not undone at the end."""
        self._bus.on_link(lambda up: self._publish_all() if up else None)
        followers = [
            BucketFollower(self._bus, self._clock, "interlock.*", self._follow),
            BucketFollower(self._bus, self._clock, f"{HOST_KEYS}.*.{self._instance}", self._forget),
        ]
        try:
            async with asyncio.TaskGroup() as self._group:
                for part in (*followers, self._publisher, self._engine):
                    self._group.create_task(part.run())
                self._group.create_task(self._pass_time())
                self._group.create_task(self._watch_engine())
                self._publish_all()
                if self._parts:
                    self._save()  # the file is there when the first one trips
                for hosted in self._parts.values():
                    self._carry_out(hosted)
                    for event in told_again(hosted, self._instance, self._clock.now_ns()):
                        self._publisher.event(event)
        finally:
            self._group = None
            self._saves.close()

    # Devices that this host serves.

    def begin(self, device: HostedDevice) -> None:
        """The host serves this device from now on."""
        self._served[device.name] = device
        for part in self._parts.values():
            if device.name in part.part.devices and part.part.devices <= self._served.keys():
                part.serve(self._clock.now_ns())
                self._carry_out(part)
                self._publish(part.name)
        self._update_holds()
        self._news.set()

    def end(self, device: HostedDevice) -> None:
        """The host does not serve this device any more."""
        self._served.pop(device.name, None)
        device.hold(())
        self._inputs.lost(device.name, self._clock.now_ns())
        for part in self._parts.values():
            if device.name in part.part.devices and part.is_served:
                part.leave()
                self._carry_out(part)
                self._publish(part.name)

    # DeviceWatch.

    def inputs(self, device: str) -> Collection[str]:
        return self._points.get(device, frozenset[str]())

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        try:
            self._read(device, points)
        except Exception:  # a fault here must not end the link of the device; the engine evaluates too
            _log.exception("interlocks: readings of %s were not evaluated", device.name)

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        try:
            self._move(device, now)
        except Exception:  # as above
            _log.exception("interlocks: a state of %s was not evaluated", device.name)

    # Steps.

    def _read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        if points is None and not device.connections:
            return  # the link of a device that was not reached yet is not lost
        message = _message(device, self.inputs(device.name) if points is None else points, self._clock.now_ns())
        if message.points:
            self._look(self._inputs.read(message, message.sent_ns))

    def _move(self, device: HostedDevice, now: DeviceState) -> None:
        is_known = now.link is Link.CONNECTED
        if not is_known and not device.connections:
            return
        subject = f"channel.{device.name}.{now.channel}" if now.channel else f"device.{device.name}"
        self._look(self._inputs.state(subject, now.state if is_known else None, now.common, self._clock.now_ns()))
        if device.situation().held:
            self._update_holds()

    def _look(self, names: Iterable[str]) -> None:
        for name in names:
            self._step(self._parts[name])

    def _step(self, part: HostedPart, event: InterlockEvent = TIME_PASSED) -> None:
        before, was_evaluated = part.state, part.is_evaluated
        actions = part.take(event, self._inputs.of(part.name), self._clock.now_ns())
        self._news.set()
        if part.state is before and part.is_evaluated is was_evaluated:
            return
        if actions or part.state.effects != before.effects:
            self._save()  # it goes on while the effects begin, and they wait for its end
        self._carry_out(part)
        if any(one.kind in (ActionKind.ACT, ActionKind.RELEASE) for one in actions):
            self._update_holds()
        if actions and self._group:
            now_ns = self._clock.now_ns()
            self._group.create_task(self._tell([event_of(part, one, self._instance, now_ns) for one in actions]))
        self._publish(part.name)

    async def _tell(self, events: Iterable[Event]) -> None:
        """Record them when they are saved: the next host may not know what this one has told."""
        await self._saves.written()
        for event in events:
            self._publisher.event(event)

    async def _pass_time(self) -> None:
        looked_ns = 0
        while True:
            due = [one.next_due_ns() for one in (self._inputs, *self._parts.values())]
            due_ns = min((one for one in due if one is not None), default=None)
            wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
            with suppress(TimeoutError):
                async with within(self._clock, max(0.0, wait_s)):
                    await self._news.wait()
            self._news.clear()
            now_ns = self._clock.now_ns()
            changed = self._inputs.pass_time(now_ns)
            is_set_back, looked_ns = now_ns < looked_ns, now_ns
            for name, part in self._parts.items():
                due_ns = part.next_due_ns()
                if is_set_back or name in changed or (due_ns is not None and due_ns <= now_ns):
                    self._step(part)

    # Effects.

    def _carry_out(self, part: HostedPart) -> None:
        """Begin the effects that act and are not carried out yet, and end the others. One that has ended and begun
        again in one step begins anew: it acts for another trip."""
        state = part.state
        acting = {one.name: (state.trip, one.acting_ns) for one in state.effects if one.acting_ns is not None}
        for effect in part.spec.effects:
            self._set_running("part", part.spec, effect, since=acting.get(effect.name) if part.is_served else None)

    def _set_running(self, kind: str, spec: InterlockSpec, effect: EffectSpec, *, since: object) -> None:
        key = kind, spec.name, effect.name
        running, task = self._running.get(key, (None, None))
        if running == since:
            return
        if task:
            del self._running[key]
            task.cancel()
        if since is not None and self._group:
            self._running[key] = since, self._group.create_task(self._act(key, spec, effect))

    async def _act(self, key: tuple[str, str, str], spec: InterlockSpec, effect: EffectSpec) -> None:
        part = self._parts[spec.name] if key[0] == "part" else None
        trip = part.state.trip if part else 0
        await self._saves.written()

        def told() -> None:
            if part:
                trouble = "" if actor.confirmed else actor.cause.message if actor.cause else "the readback differs"
                self._step(part, ReportEffect(effect=effect.name, trip=trip, trouble=trouble))

        while True:
            actor = EffectActor(f"interlock.{spec.name}", effect.commands, self._served, self._clock, told)
            try:
                await actor.run()
            except Exception:  # a fault must not end the other interlocks
                _log.exception("interlocks: %s of %s failed, and is tried again", effect.name, spec.name)
                raise_if_cancelled()
                await self._clock.sleep(AGAIN_S)

    def _save(self) -> None:
        if self._group:
            self._saves.begin(
                SavedInterlocks(interlocks={name: kept(part.state) for name, part in self._parts.items()})
            )

    def _update_holds(self) -> None:
        """Tell each device what acting effects keep in force on it."""
        acting = list(self._acting())
        for device in self._served.values():
            device.hold(self._held.of(acting, device.situation()))

    def _acting(self) -> Iterator[Acting]:
        for part in self._parts.values():
            if part.is_served:
                yield from of_state(part.spec, part.state)
        for name, since_ns in self._silent_since.items():
            for effect in self._silent[name]:
                yield self._specs[name], effect.name, "the alarm engine is silent", since_ns
        for name, state in self._published.items():
            if spec := self._specs.get(name):
                yield from of_state(spec, state)

    # The engine.

    def _follow(self, entry: Entry) -> None:
        name = entry.key.partition(".")[2]
        if entry.data is None:
            self._published.pop(name, None)
        else:
            self._published[name] = _states.decode(entry.data)
        if part := self._parts.get(name):
            part.published = self._published.get(name)
            self._step(part)
        self._update_holds()

    async def _watch_engine(self) -> None:
        """Apply the safe outputs while the engine is silent."""
        while self._silent:
            silent_s = self._engine.silent_s
            left = [self._after_s(name) - silent_s for name in self._silent if name not in self._silent_since]
            for name in self._silent:
                self._set_silent(name, is_silent=silent_s >= self._after_s(name))
            with suppress(TimeoutError):
                async with within(self._clock, max(0.01, min((one for one in left if one > 0), default=LONGEST_S))):
                    await self._engine.news.wait()
            self._engine.news.clear()

    def _after_s(self, name: str) -> float:
        rule = self._specs[name].engine_silent
        return rule.after_ns / 1e9 if rule else float("inf")

    def _set_silent(self, name: str, *, is_silent: bool) -> None:
        if is_silent == (name in self._silent_since):
            return
        now_ns = self._clock.now_ns()
        spec = self._specs[name]
        if is_silent:
            self._silent_since[name] = now_ns - round(self._engine.silent_s * 1e9)
        else:
            del self._silent_since[name]
        self._update_holds()
        for effect in self._silent[name]:
            self._set_running("silent", spec, effect, since=self._silent_since.get(name))
        self._publisher.event(event_of_silence(spec, self._silent[name], self._instance, now_ns, is_silent=is_silent))
        self._publish(name)

    # What is published.

    def _publish_all(self) -> None:
        for name in {**self._parts, **self._silent}:
            self._publish(name)

    def _publish(self, name: str) -> None:
        part = self._parts.get(name)
        self._publisher.state(
            host_key(name, self._instance),
            HostInterlockState(
                name=name,
                instance=self._instance,
                boot=self._boot,
                evaluates=bool(part and part.is_evaluated),
                is_whole=bool(part and part.part.is_whole),
                state=part.state if part else None,
                silent_since_ns=self._silent_since.get(name),
                silent_effects=tuple(one.name for one in self._silent.get(name, ()))
                if name in self._silent_since
                else (),
                problem=self._saves.problem,
            ),
        )

    def _forget(self, entry: Entry) -> None:
        """Delete what an earlier host of this name published of interlocks that are not described any more."""
        name = entry.key.split(".")[1]
        if entry.data is not None and name not in self._parts and name not in self._silent:
            self._publisher.delete(entry.key)


def _message(device: HostedDevice, points: Iterable[str], now_ns: int) -> Readings:
    readings = device.situation().readings
    names = [name for name in points if name in readings]
    rows = [readings[name] for name in names]
    return Readings(
        device=device.name,
        boot="",
        sequence=0,
        full=False,
        sent_ns=now_ns,
        points=names,
        values=[row.value for row in rows],
        qualities=[int(row.quality) for row in rows],
        device_ns=[row.device_ns for row in rows],
        received_ns=[row.received_ns for row in rows],
    )

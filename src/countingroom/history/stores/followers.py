"""All further stores of a history: a follower for each, their published states, warnings and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.history_stores import HistoryStoreState, StoreHealth
from countingroom.core.retry import Retry, edge_log
from countingroom.history.notes import Notes
from countingroom.history.port import HistoryStore
from countingroom.history.stores.follower import Follower
from countingroom.history.stores.registry import open_store
from countingroom.history.stores.section import StoreSection
from countingroom.history.stores.tracker_layout import TrackerField

_log = logging.getLogger(__name__)

PUBLISH_S = 2.0
"""The states are published so often, for the position and how far behind the stores are; a change of health at once."""


class Followers:
    """Runs until cancelled. What happens to a store ends neither it nor the others."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        default: HistoryStore,
        notes: Notes,
        sections: Mapping[str, StoreSection],
        *,
        flush_s: float,
        registry: CollectorRegistry,
        tracker: Mapping[str, TrackerField] | None = None,
    ) -> None:
        """`tracker`: for stores in the layout of the tracker DCS."""
        self._bus = bus
        self._clock = clock
        self._publisher = Publisher(bus, clock, "history")
        self._published: dict[str, HistoryStoreState] = {}
        self._followers = [
            Follower(
                bus,
                clock,
                default,
                notes,
                open_store(name, section, tracker),
                name=name,
                kind=section.kind,
                flush_s=flush_s,
                timeout_s=section.timeout,
                changed=self._publish,
            )
            for name, section in sections.items()
        ]
        registry.register(self)  # pyright: ignore[reportArgumentType] # it has `collect`

    async def run(self) -> None:
        """Follow for all of them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publisher.run())
            for follower in self._followers:
                tasks.create_task(follower.run())
            report = edge_log(_log, "states of former stores cannot be removed now", "they are removed")
            tasks.create_task(Retry(self._clock, report, pause_s=PUBLISH_S).run(self._remove_others))
            while self._followers:
                self._publish()
                await self._clock.sleep(PUBLISH_S)

    def warnings(self) -> Iterable[str]:
        """The stores that fail or are far behind, one sentence each."""
        now_ns = self._clock.now_ns()
        for state in self._states():
            if state.is_late(now_ns):
                behind = f"the further store {state.store} is {state.lag_s(now_ns):.0f} s behind"
                yield f"{behind}: {state.problem}" if state.problem else behind

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        now_ns = self._clock.now_ns()
        lag = _gauge("lag_seconds", "How far behind the further store is")
        messages = _gauge("behind_messages", "Messages of the bus that it lacks")
        failing = _gauge("failing", "1 while the last call to it failed")
        values = CounterMetricFamily("countingroom_history_store_values", "Values stored in it", labels=["store"])
        failures = CounterMetricFamily("countingroom_history_store_calls_failed", "Failed calls", labels=["store"])
        for follower in self._followers:
            state = follower.present()
            lag.add_metric([state.store], state.lag_s(now_ns))
            messages.add_metric([state.store], state.behind_messages)
            failing.add_metric([state.store], state.health is StoreHealth.FAILING)
            values.add_metric([state.store], state.values)
            failures.add_metric([state.store], follower.failures)
        return lag, messages, failing, values, failures

    def _states(self) -> list[HistoryStoreState]:
        return [follower.present() for follower in self._followers]

    def _publish(self) -> None:
        for state in self._states():
            if self._published.get(state.store) != state:
                self._published[state.store] = state
                self._publisher.state(subjects.history_store_key(state.store), state)

    async def _remove_others(self) -> None:
        """Delete the states of stores that the description had before."""
        own = {subjects.history_store_key(state.store) for state in self._states()}
        async with self._bus.watch(subjects.STATE_BUCKET, "history_store.>") as entries:
            async for entry in entries:
                if isinstance(entry, Current):
                    return
                if isinstance(entry, Entry) and entry.data is not None and entry.key not in own:
                    self._publisher.delete(entry.key)


def _gauge(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"countingroom_history_store_{name}", meaning, labels=["store"])

"""Metrics for Prometheus, computed from the console's state when they are scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from countingroom.console.context import ConsoleContext
from countingroom.core.messages import Link


class Figures:
    """A Prometheus collector over the console's state."""

    def __init__(self, context: ConsoleContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Every metric, computed now."""
        context = self._context
        yield InfoMetricFamily("countingroom", "This console.", {"version": context.version, "title": context.title})
        yield _one("countingroom_bus_connected", "1 while the bus is reached.", context.latest.connected)
        yield _one("countingroom_live_viewers", "Websockets of the live feed.", context.feed.viewers)
        slow = CounterMetricFamily("countingroom_live_dropped", "How often a viewer was too slow for the live feed.")
        slow.add_metric([], context.feed.dropped)
        yield slow
        ready = GaugeMetricFamily("countingroom_role_ready", "1 while the role is ready.", labels=["role"])
        for one in context.readiness():
            ready.add_metric([one.role], one.ready)
        yield ready
        letters = CounterMetricFamily(
            "countingroom_dead_letters", "Messages of the bus that were not understood.", labels=["role", "instance"]
        )
        for process in context.latest.roster.present():
            letters.add_metric([process.role, process.instance], process.dead_letters)
        yield letters
        refused = CounterMetricFamily("countingroom_live_refused", "Live feeds refused because too many were open.")
        refused.add_metric([], context.viewers.refused)
        yield refused
        updates = CounterMetricFamily("countingroom_device_updates", "Readings shown.", labels=["device"])
        points = GaugeMetricFamily("countingroom_device_points", "Points by how they stand.", labels=["device", "as"])
        alarms = GaugeMetricFamily("countingroom_device_alarms", "Active alarms.", labels=["device", "priority"])
        alive = GaugeMetricFamily("countingroom_device_host_alive", "1 while its host beats.", labels=["device"])
        link = GaugeMetricFamily("countingroom_device_connected", "1 while the device is reached.", labels=["device"])
        active = context.alarms_now().active
        living = context.device_rows.living()
        for device in context.latest.catalogues:
            summary = context.device_rows.summary(device)
            updates.add_metric([device], context.feed.updates.get(device, 0))
            for word in ("normal", "alarm", "off", "no_link"):
                points.add_metric([device, word], getattr(summary, word))
            of_device = active.get(device, Counter[int]())
            for priority in (1, 2, 3):
                alarms.add_metric([device, str(priority)], of_device[priority])
            alive.add_metric([device], living.get(device, False))
            state = context.latest.states.get(f"device.{device}")
            link.add_metric([device], state is not None and state.link is Link.CONNECTED)
        yield from (updates, points, alarms, alive, link)


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def text(context: ConsoleContext) -> bytes:
    """What /metrics answers, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(context))
    return generate_latest(registry)

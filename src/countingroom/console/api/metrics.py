"""Metrics for Prometheus, computed when they are scraped: the console's own, and those that the alarm engine gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from countingroom.console.context import ConsoleContext
from countingroom.console.present import alarm_views
from countingroom.core.alarms import figures as judged
from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.messages import Link
from countingroom.core.notify.messages import ChannelState


class Figures:
    """A Prometheus collector over the console's state."""

    def __init__(self, context: ConsoleContext, engine: EngineFigures | None) -> None:
        self._context = context
        self._engine = engine

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
        yield from self._alarms()
        yield from _of_channels(context)
        if self._engine is not None:
            yield from _of_engine(self._engine)

    def _alarms(self) -> Iterator[Metric]:
        states = alarm_views.all_alarms(self._context.latest.words)
        active = GaugeMetricFamily(
            "countingroom_alarms_open", "Open alarms that follow from no other one.", labels=["priority"]
        )
        for priority, count in alarm_views.counts(states).items():
            active.add_metric([str(priority)], count)
        yield active
        now = judged.present(states.values(), self._context.clock.now_ns())
        yield _one("countingroom_alarms_unacknowledged", "Alarms that are not acknowledged.", now.unacknowledged)
        yield _one("countingroom_alarms_standing", "Alarms that are active and announced.", now.standing)
        yield _one("countingroom_alarms_stale", "Those of them that are active for more than 24 h.", now.stale_count)
        yield _one("countingroom_alarms_shelved", "Shelved alarms.", now.shelved)
        yield _one("countingroom_alarms_suppressed", "Alarms suppressed by design.", now.suppressed)
        yield _one("countingroom_alarms_out_of_service", "Alarms out of service.", now.out_of_service)


def _of_engine(engine: EngineFigures) -> Iterator[Metric]:
    evaluations = CounterMetricFamily("countingroom_alarm_evaluations", "Readings that the alarm engine evaluated.")
    evaluations.add_metric([], engine.evaluations)
    yield evaluations
    announced = CounterMetricFamily("countingroom_alarm_announcements", "Announced alarms.", labels=["priority"])
    for priority, count in enumerate(engine.announced, 1):
        announced.add_metric([str(priority)], count)
    yield announced
    yield _one("countingroom_alarm_announced_10min", "Announcements in the last 10 minutes.", engine.announced_10min)
    yield _one("countingroom_alarm_flood", "1 while there is a flood of alarms.", engine.in_flood)
    yield SummaryMetricFamily(
        "countingroom_alarm_delay_seconds",
        "From a finding to its publication, saving included.",
        count_value=engine.batches,
        sum_value=engine.delay_s,
    )
    yield _one("countingroom_alarm_longest_delay_seconds", "The longest of these delays.", engine.longest_s)
    yield _one("countingroom_alarm_unsaved_rows", "Rows of the history that wait for the database.", engine.unsaved)


def _of_channels(context: ConsoleContext) -> Iterator[Metric]:
    """The channels of messages about alarms. The counts begin at 0 with each active alarm process."""
    messages = CounterMetricFamily(
        "countingroom_notifications", "Messages to people, by what came of them.", labels=["channel", "outcome"]
    )
    failing = GaugeMetricFamily(
        "countingroom_notification_channel_failing", "1 while the last try to send failed.", labels=["channel"]
    )
    last = GaugeMetricFamily(
        "countingroom_notification_last_sent_seconds",
        "Unix time of the last message that was sent.",
        labels=["channel"],
    )
    for state in context.latest.words.values():
        if isinstance(state, ChannelState):
            for outcome in ("sent", "failed", "dead", "cancelled"):
                messages.add_metric([state.channel, outcome], getattr(state, outcome))
            failing.add_metric([state.channel], bool(state.problem))
            if state.last_sent_ns is not None:
                last.add_metric([state.channel], state.last_sent_ns / 1e9)
    yield from (messages, failing, last)


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def text(context: ConsoleContext, engine: EngineFigures | None = None) -> bytes:
    """What /metrics answers, in Prometheus' text format. `engine`: None where no alarm engine is active."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(context, engine))
    return generate_latest(registry)

"""The counters of one history service, for Prometheus. Users' dashboards name them, so they are not renamed."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class HistoryMetrics:
    """Made by the service; two services in one process count apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.points = self._counter("points", "Samples stored")
        self.messages = self._counter("messages", "Messages of readings stored")
        self.missing = self._counter("missing", "Messages of readings that never came", "device")
        self.repeated = self._counter("repeated", "Messages of readings that came twice and were taken once")
        self.unreadable = self._counter("unreadable", "Messages that are no readings")
        self.failures = self._counter("store_failures", "Writes the store refused; they are tried again")
        self.delay = Gauge(
            "countingroom_history_delay_seconds",
            "From the bus having it to the store having it, latest batch",
            registry=self.registry,
        )
        self.questions = Histogram(
            "countingroom_history_question_seconds", "Time to answer", ["question"], registry=self.registry
        )

    def text(self) -> bytes:
        """All of them in Prometheus' text format. The console adds them to its own at /metrics."""
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"countingroom_history_{name}", documentation, labels, registry=self.registry)

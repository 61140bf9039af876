"""Law: what the history counts, for Prometheus; the names are kept stable."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

POINTS = Counter("countingroom_history_points", "Samples stored")
MESSAGES = Counter("countingroom_history_messages", "Messages of readings stored")
MISSING = Counter("countingroom_history_missing", "Messages of readings that never came", ["device"])
REPEATED = Counter("countingroom_history_repeated", "Messages of readings that came twice and were taken once")
UNREADABLE = Counter("countingroom_history_unreadable", "Messages that are no readings")
FAILURES = Counter("countingroom_history_store_failures", "Writes the store refused; they are tried again")
DELAY = Gauge("countingroom_history_delay_seconds", "From the bus having it to the store having it, latest batch")
QUESTIONS = Histogram("countingroom_history_question_seconds", "Time to answer", ["question"])

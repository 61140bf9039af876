"""A replay of a recorded day of 1,000,000 readings, from the file of a history that does not run.

Ten devices of 40 points: each sends all of them every minute, and single changes between. Of the alarms one in ten has
hysteresis and delays; one reading in a thousand is beyond a limit.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.row import Row
from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.alarms.replay.picture import picture
from countingroom.alarms.replay.report import Report
from countingroom.alarms.replay.run import first_messages, replay
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Limits, Point
from countingroom.core.series import LastQuery
from countingroom.core.values import Scalar
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.messages import BACK_NS, messages, pages
from countingroom.history.port import Position
from countingroom.history.query_answers import answer_last

S = 1_000_000_000
BEGIN_NS = 1_790_000_000 * S
DAY_NS = 86_400 * S
DEVICES, POINTS = 10, 40
READINGS = 1_000_000
ABNORMAL = 1000
SECTION = {
    "overrides": {"point.*.p*5": {"hysteresis": 1.0, "on_delay": 10, "off_delay": 20}},
    "custom": {
        f"hot{number}": {"expression": {"text": f"device{number}.p1 > 14 and device{number}.p2 > 14"}}
        for number in range(DEVICES)
    },
}


def run() -> list[Row]:
    """The time of a whole replay, by the kind of messages in which the readings came."""
    rows: list[Row] = []
    for name, with_full in (("of full messages and single changes", True), ("each in a message of its own", False)):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "history.duckdb"
            _record(file, with_full=with_full)
            gc.collect()
            cpu = time.process_time()
            begin = time.perf_counter()
            report = _replay(file)
            took = time.perf_counter() - begin
            cpu = time.process_time() - cpu
        count = f"{report.readings:,} readings"
        rows.append(Row(name=f"replay of a day, {count}, {name}", value=took, unit="s", goal="<= 10 s"))
        rows.append(Row(name="the same, time of the processor", value=cpu, unit="s"))
        rows.append(Row(name="the same, rows of history", value=len(report.rows), unit="rows"))
    return rows


def catalogues() -> list[Catalogue]:
    """The devices, each point with four limits."""
    limits = Limits(alarm_low=-12.0, warning_low=-10.0, warning_high=10.0, alarm_high=12.0)
    points = tuple(Point(name=f"p{number}", unit="V", limits=limits) for number in range(POINTS))
    return [
        Catalogue(device=f"device{number}", title=f"Device {number}", driver="x", group="g", points=points)
        for number in range(DEVICES)
    ]


def _record(file: Path, *, with_full: bool) -> None:
    store = DuckStore(file)
    batch: list[Readings] = []
    for message in _messages(with_full=with_full):
        batch.append(message)
        if len(batch) == 20_000:
            _append(store, batch)
            batch = []
    _append(store, batch)
    store.close()


def _append(store: DuckStore, batch: list[Readings]) -> None:
    number = store.position().sequence + 1
    store.append(flatten(batch), Position(sequence=number, stored_ns=number))


def _messages(*, with_full: bool) -> Iterator[Readings]:
    chance = random.Random(1)
    names = [f"p{number}" for number in range(POINTS)]
    of_full = DEVICES * POINTS * 1440 if with_full else 0
    step_ns = DAY_NS // (READINGS - of_full)
    next_full_ns = BEGIN_NS if with_full else BEGIN_NS + 2 * DAY_NS
    for number in range(READINGS - of_full):
        now_ns = BEGIN_NS + number * step_ns
        while next_full_ns <= now_ns:
            for device in range(DEVICES):
                yield _message(device, next_full_ns, names, [_value(chance) for _ in names], full=True)
            next_full_ns += 60 * S
        yield _message(number % DEVICES, now_ns, [chance.choice(names)], [_value(chance)], full=False)


def _value(chance: random.Random) -> float:
    return chance.uniform(-9.0, 9.0) if chance.randrange(ABNORMAL) else 15.0


def _message(device: int, now_ns: int, names: list[str], values: list[Scalar], *, full: bool) -> Readings:
    times = [now_ns - 1_000_000] * len(names)
    return Readings(
        device=f"device{device}",
        boot="b",
        sequence=1,
        full=full,
        sent_ns=now_ns,
        points=names,
        values=values,
        qualities=[0] * len(names),
        device_ns=times,
        received_ns=times,
    )


def _replay(file: Path) -> Report:
    """As the command does it, with the picture."""
    store = DuckStore(file, read_only=True)
    known = catalogues()
    definitions = Definitions(AlarmsSection.model_validate(SECTION))
    end_ns = BEGIN_NS + DAY_NS
    subject = AlarmReplay(definitions, known, BEGIN_NS)
    names = tuple(store.points())
    for message in first_messages(answer_last(store, LastQuery(points=names, at_ns=BEGIN_NS - 1)).readings, BEGIN_NS):
        subject.read(message)
    found = pages(store, names, BEGIN_NS - BACK_NS, end_ns + BACK_NS)
    replay(subject, (), messages(found, BEGIN_NS, end_ns), end_ns)
    store.close()
    defined = [one for catalogue in known for one in definitions.of_device(catalogue)]
    report = Report(
        begin_ns=BEGIN_NS,
        end_ns=end_ns,
        readings=subject.readings,
        rows=subject.rows,
        recorded=(),
        definitions={one.id: one for one in defined},
        points={f"{one.device}.{point.name}": point for one in known for point in one.points},
    )
    list(report.table())
    picture(report.title, report.lanes({}), BEGIN_NS, end_ns)
    return report

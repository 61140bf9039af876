"""Conditions of 100,000 alarms: how many are evaluated a second, decoding included, and how soon all are ready."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator

from bench.row import Row
from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.device_alarms import DeviceAlarms
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.core.alarms.chart import AlarmRecord, ChartRules, step
from countingroom.core.alarms.conditions.rows import ConditionRows
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.alarms.events import ConditionActive
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.messages import Catalogue, MessageDecoder, Readings, encode
from countingroom.core.points import Limits, Point
from countingroom.core.values import Scalar

ALARMS = 100_000
POINTS_OF_A_DEVICE = 1_000
DEVICES = ALARMS // POINTS_OF_A_DEVICE
READINGS = 200_000
ROUNDS = 5
ABNORMAL = 100
"""One reading in so many is beyond a limit."""
SECOND_NS = 1_000_000_000
NAMES = [f"{number // 20}.point{number % 20}" for number in range(POINTS_OF_A_DEVICE)]


def run() -> list[Row]:
    """Evaluations a second by size of message, one reading, a flood, and the time until all are ready."""
    ready_s = min(_ready()[1] for _ in range(ROUNDS))
    rows = [Row(name=f"{ALARMS:,} alarms ready", value=ready_s, unit="s", goal="<= 1 s")]
    for size in (1, 20, 1_000):
        rate = max(_rate(size) for _ in range(ROUNDS))
        name = f"evaluations, {size:,} readings a message, decoded, 1 in {ABNORMAL} abnormal"
        rows.append(Row(name=name, value=rate, unit="/s", goal=">= 300000 /s"))
        rate = max(_department_rate(size) for _ in range(ROUNDS))
        name = f"the same by the department, for limits of points, {size:,} a message"
        rows.append(Row(name=name, value=rate, unit="/s", goal=">= 300000 /s"))
    times = _single()
    rows.append(Row(name="one reading, median", value=statistics.median(times) / 1e3, unit="us"))
    rows.append(Row(name="one reading, p99", value=_p99(times) / 1e3, unit="us", goal="<= 100 us"))
    floods = [_flood() for _ in range(ROUNDS)]
    evaluated_s, stepped_s = min(one for one, _ in floods), min(other for _, other in floods)
    rows.append(Row(name="flood: every point crosses a limit", value=evaluated_s, unit="s", goal="<= 0.5 s"))
    rows.append(Row(name="flood, with the step of each alarm", value=stepped_s, unit="s"))
    evaluated_s, booked_s = map(min, zip(*(_department_flood() for _ in range(ROUNDS)), strict=True))
    rows.append(Row(name="the same by the department", value=evaluated_s, unit="s", goal="<= 0.5 s"))
    rows.append(Row(name="and folded and stepped in its book, with the texts", value=booked_s, unit="s"))
    rows.append(Row(name="expression of three points, evaluated", value=_expression(), unit="us"))
    return rows


def _expression() -> float:
    """The one of the trial: `a - b > 5.0 and (c < 10.0 or a > 100.0)`."""
    names = {name: f"device.{name}" for name in "abc"}
    evaluate = compile_expression("a - b > 5.0 and (c < 10.0 or a > 100.0)", names).condition
    values: dict[str, Scalar] = {"device.a": 12.0, "device.b": 3.0, "device.c": 20.0}
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(20_000):
            evaluate(values)
        times.append((time.perf_counter() - begin) / 20_000 * 1e6)
    return min(times)


def _ready() -> tuple[ConditionRows, float]:
    """All conditions, made from limits as a catalogue has them."""
    gc.collect()
    begin = time.perf_counter()
    rows = ConditionRows()
    for device in range(DEVICES):
        for name in NAMES:
            spec = LimitSpec(
                high=(AlarmLimit(10.0, 3), AlarmLimit(12.0, 2)), low=(AlarmLimit(0.0, 3), AlarmLimit(-2.0, 2))
            )
            rows.add(spec, (f"device{device}.{name}",), now_ns=0)
    took = time.perf_counter() - begin
    for message in _messages(POINTS_OF_A_DEVICE, ALARMS, lambda number: 5.0):
        rows.take(message, 1)
    return rows, took


def _messages(size: int, readings: int, value: Callable[[int], float]) -> Iterator[Readings]:
    """Messages of so many readings each, over all devices in turn."""
    for start in range(0, readings, size):
        first = start % POINTS_OF_A_DEVICE
        names = NAMES[first : first + size]
        values: list[Scalar] = [value(start + place) for place in range(size)]
        yield Readings(
            device=f"device{start // POINTS_OF_A_DEVICE % DEVICES}",
            boot="b",
            sequence=1,
            full=False,
            sent_ns=0,
            points=names,
            values=values,
            qualities=[0] * size,
            device_ns=[0] * size,
            received_ns=[0] * size,
        )


def _rate(size: int) -> float:
    rows, _ = _ready()
    data = [encode(one) for one in _messages(size, READINGS, lambda number: 11.0 if number % ABNORMAL == 0 else 5.0)]
    decoder = MessageDecoder(Readings)
    gc.collect()
    begin = time.perf_counter()
    for now_ns, one in enumerate(data):
        rows.take(decoder.decode(one), now_ns)
    return READINGS / (time.perf_counter() - begin)


def _department() -> tuple[dict[str, DeviceAlarms], KnownAlarms]:
    """All devices, with normal values, and the definitions of their alarms."""
    devices = {f"device{number}": DeviceAlarms(f"device{number}") for number in range(DEVICES)}
    known = KnownAlarms(Definitions(AlarmsSection()))
    limits = Limits(alarm_low=-2.0, warning_low=0.0, warning_high=10.0, alarm_high=12.0)
    points = tuple(Point(name=name, limits=limits) for name in NAMES)
    for name, one in devices.items():
        catalogue = Catalogue(device=name, title=name, driver="bench", group="", points=points)
        known.learn(catalogue)
        list(one.learn(catalogue, 0))
    for message in _messages(POINTS_OF_A_DEVICE, ALARMS, lambda number: 5.0):
        devices[message.device].read(message, 1)
    return devices, known


def _department_flood() -> tuple[float, float]:
    devices, known = _department()
    book = AlarmBook(known.define, known.rules)
    messages = list(_messages(POINTS_OF_A_DEVICE, ALARMS, lambda number: 13.0))
    gc.collect()
    begin = time.perf_counter()
    found = [devices[message.device].read(message, SECOND_NS) for message in messages]
    evaluated = time.perf_counter()
    changed = sum(len(book.take(one, SECOND_NS).published) for one in found)
    booked = time.perf_counter()
    assert changed == ALARMS
    return evaluated - begin, booked - begin


def _department_rate(size: int) -> float:
    """As the department evaluates limits without delays."""
    devices, _ = _department()
    data = [encode(one) for one in _messages(size, READINGS, lambda number: 11.0 if number % ABNORMAL == 0 else 5.0)]
    decoder = MessageDecoder(Readings)
    gc.collect()
    begin = time.perf_counter()
    for now_ns, one in enumerate(data):
        message = decoder.decode(one)
        devices[message.device].read(message, now_ns)
    return READINGS / (time.perf_counter() - begin)


def _single() -> list[int]:
    """Each reading crosses a limit, so that none is left out by its band."""
    rows, _ = _ready()
    decoder = MessageDecoder(Readings)
    data = [encode(one) for one in _messages(1, 20_000, lambda number: 13.0)]
    times: list[int] = []
    for one in data:
        begin = time.perf_counter_ns()
        rows.take(decoder.decode(one), SECOND_NS)
        times.append(time.perf_counter_ns() - begin)
    return times


def _flood() -> tuple[float, float]:
    rows, _ = _ready()
    messages = list(_messages(POINTS_OF_A_DEVICE, ALARMS, lambda number: 13.0))
    gc.collect()
    begin = time.perf_counter()
    changes = [change for message in messages for change in rows.take(message, SECOND_NS)]
    evaluated = time.perf_counter()
    assert len(changes) == ALARMS
    rules, record = ChartRules(), AlarmRecord()
    records = [
        step(record, ConditionActive(priority=after.level, since_ns=after.since_ns), SECOND_NS, rules)[0]
        for _, _, after in changes
    ]
    stepped = time.perf_counter()
    assert len(records) == ALARMS
    return evaluated - begin, stepped - begin


def _p99(times: list[int]) -> float:
    return sorted(times)[int(len(times) * 0.99)]

"""What is stored gives back the messages in which it came, and alarms decide the same on them as on the messages."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.alarms.replay.run import replay
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Limits, Point
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import flatten
from countingroom.history.messages import BACK_NS, messages, pages, side_by_side
from countingroom.history.port import Position
from tests.memory_store import MemoryStore

S = 1_000_000_000
T0 = 1_790_000_000 * S
LIMITS = Limits(alarm_low=-3.0, warning_low=-2.0, warning_high=2.0, alarm_high=3.0)
POINTS = (Point(name="a", limits=LIMITS), Point(name="b", limits=LIMITS), Point(name="flag", severity=2))
DEVICES = ("one", "two")
CATALOGUES = [Catalogue(device=name, title=name, driver="x", group="g", points=POINTS) for name in DEVICES]
SECTION: dict[str, Any] = {
    "overrides": {
        "point.*.a": {"hysteresis": 1.0, "on_delay": 2, "off_delay": 3},
        "point.*.b": {"count": {"n": 2, "of": 3}},
        "value.one.*": {"on_delay": 1},
    },
    "custom": {
        "over": {"expression": {"text": "one.a > two.b"}},
        "silent": {"silence": {"point": "two.a", "longer_than": 4}},
    },
}
NUMBERS = st.integers(-5, 5).map(float)
ROW = st.one_of(
    st.tuples(st.sampled_from(["a", "b"]), NUMBERS, st.sampled_from([0, 0, 0, 1, 2])),
    st.tuples(st.sampled_from(["a", "b"]), st.none(), st.just(int(Quality.BAD))),
    st.tuples(st.just("flag"), st.booleans(), st.just(0)),
)
LATE = st.sampled_from([0, 0, 1_000_000, 50 * S, -50 * S, 90 * S])
"""How far the clock of the device is behind."""


@st.composite
def sent(draw: st.DrawFn) -> list[Readings]:
    """Messages in the order in which they were sent."""
    now_ns = T0
    found: list[Readings] = []
    for number in range(draw(st.integers(1, 25))):
        now_ns += draw(st.integers(1, 5_000_000_000))
        rows = draw(st.lists(ROW, min_size=1, max_size=5))
        names = [name for name, _, _ in rows]
        received_ns = now_ns - draw(st.integers(0, 2_000_000))
        device_ns = received_ns - draw(LATE)
        alarms = {names[0]: draw(st.integers(1, 3))} if draw(st.booleans()) and names.count(names[0]) == 1 else {}
        found.append(
            Readings(
                device=draw(st.sampled_from(DEVICES)),
                boot="b",
                sequence=number + 1,
                full=draw(st.booleans()),
                sent_ns=now_ns,
                points=names,
                values=[value for _, value, _ in rows],
                qualities=[quality for _, _, quality in rows],
                device_ns=[device_ns + place for place in range(len(rows))],
                received_ns=[received_ns] * len(rows),
                alarms=alarms,
            )
        )
    return found


def stored(given_messages: list[Readings]) -> MemoryStore:
    """A store that has them."""
    store = MemoryStore()
    for message in given_messages:
        store.append(flatten([message]), Position(sequence=message.sequence, stored_ns=message.sent_ns))
    return store


def end_of(given_messages: list[Readings]) -> int:
    return given_messages[-1].sent_ns + 10 * S


def plain(message: Readings) -> Readings:
    """Without what is not stored."""
    return structs.replace(message, boot="", sequence=0)


@given(sent(), st.sampled_from([2, 5, 1000]), st.booleans())
def test_stored_samples_give_back_their_messages(given_messages: list[Readings], most: int, by_device: bool) -> None:
    store, end_ns = stored(given_messages), end_of(given_messages)
    sets = [tuple(f"{device}.{point.name}" for point in POINTS) for device in DEVICES]
    asked = sets if by_device else [sets[0] + sets[1]]
    found = side_by_side([pages(store, names, T0 - BACK_NS, end_ns + BACK_NS, most=most) for names in asked])
    assert list(messages(found, T0, end_ns)) == [plain(one) for one in given_messages]


@settings(deadline=None)
@given(sent(), st.sampled_from([3, 1000]))
def test_alarms_decide_the_same_on_stored_samples_as_on_the_messages(given_messages: list[Readings], most: int) -> None:
    definitions = Definitions(AlarmsSection.model_validate(SECTION))
    end_ns = end_of(given_messages)
    direct = AlarmReplay(definitions, CATALOGUES, T0)
    replay(direct, (), given_messages, end_ns)
    names = tuple(f"{device}.{point.name}" for device in DEVICES for point in POINTS)
    found = pages(stored(given_messages), names, T0 - BACK_NS, end_ns + BACK_NS, most=most)
    again = AlarmReplay(definitions, CATALOGUES, T0)
    replay(again, (), messages(found, T0, end_ns), end_ns)
    assert again.rows == direct.rows


def test_samples_of_an_earlier_version_come_at_the_time_at_which_they_were_received() -> None:
    values: list[Scalar] = [1.0, 2.0]
    message = Readings(
        device="one",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=T0 + 5,
        points=["a", "b"],
        values=values,
        qualities=[0, 0],
        device_ns=[T0, T0],
        received_ns=[T0 + 3, T0 + 3],
    )
    columns = flatten([message])
    columns = structs.replace(columns, sent_ns=columns.sent_ns * 0, place=columns.place * 0)
    (found,) = messages([(columns, T0 + S)], T0, T0 + S)
    assert (found.sent_ns, found.points, found.values) == (T0 + 3, ["a", "b"], values)

"""At every moment a span says what the last row before it said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.spans import active_spans
from countingroom.core.alarms.states import BaseState

FROM_NS, TO_NS = 100, 200


def row(time_ns: int, base: BaseState, priority: int, kind: HistoryKind = HistoryKind.ANNOUNCED) -> AlarmEntry:
    return AlarmEntry(time_ns=time_ns, alarm="a", kind=kind, occurrence=1, base=base, priority=priority)


rows = st.lists(
    st.builds(
        row,
        st.integers(50, TO_NS - 1),
        st.sampled_from(BaseState),
        st.integers(1, 4),
        st.sampled_from([HistoryKind.ANNOUNCED, HistoryKind.RETURNED, HistoryKind.CLOSED]),
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda one: one.time_ns))


def at(history: list[AlarmEntry], time_ns: int) -> int | None:
    before = [one for one in history if one.time_ns <= time_ns]
    if not before or not before[-1].base.is_active or before[-1].kind is HistoryKind.CLOSED:
        return None
    return before[-1].priority


@given(rows)
def test_a_span_says_what_the_last_row_said(history: list[AlarmEntry]) -> None:
    spans = active_spans(history, FROM_NS)
    for time_ns in range(FROM_NS, TO_NS):
        inside = [one.priority for one in spans if one.begin_ns <= time_ns < (one.end_ns or TO_NS)]
        assert inside == ([] if at(history, time_ns) is None else [at(history, time_ns)])


@given(rows, st.integers(1, 30))
def test_what_a_picture_cannot_separate_is_one_span_that_hides_no_alarm(
    history: list[AlarmEntry], resolution_ns: int
) -> None:
    spans = active_spans(history, FROM_NS, resolution_ns)
    assert len(spans) <= 2 * (TO_NS - FROM_NS) // resolution_ns + 2
    for time_ns in range(FROM_NS, TO_NS):
        priority = at(history, time_ns)
        inside = [one.priority for one in spans if one.begin_ns <= time_ns < (one.end_ns or TO_NS)]
        assert len(inside) <= 1
        assert priority is None or (inside and inside[0] <= priority)

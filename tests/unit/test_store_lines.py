"""Samples as lines of InfluxDB and as series of VictoriaMetrics, and what is done with lines that a server refuses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.errors import LinkError
from countingroom.core.messages import Readings
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import Columns, flatten
from countingroom.history.stores import victoriametrics_samples as series
from countingroom.history.stores.line_protocol import key, lines, quoted, readings_key
from countingroom.history.stores.refused_lines import MOST_REFUSED, Taken, send_all
from countingroom.history.stores.tracker_layout import TrackerField, tracker_lines
from countingroom.history.stores.victoriametrics_samples import SeriesLine

GOOD, UNCERTAIN, STALE, BAD = Quality
T0 = 1_790_000_100_000_000_000
MS = 1_000_000


def columns(*rows: tuple[str, int, Scalar, Quality]) -> Columns:
    """(point of caen, time in ns, value, quality)."""
    return flatten(
        [
            Readings(
                device="caen",
                boot="b",
                sequence=1,
                full=False,
                sent_ns=max(time for _, time, _, _ in rows),
                points=[point for point, _, _, _ in rows],
                values=[value for _, _, value, _ in rows],
                qualities=[int(quality) for _, _, _, quality in rows],
                device_ns=[time for _, time, _, _ in rows],
                received_ns=[time for _, time, _, _ in rows],
            )
        ]
    )


def written(*rows: tuple[str, int, Scalar, Quality], doubtful: set[str] | None = None) -> list[str]:
    return lines(columns(*rows), readings_key, set() if doubtful is None else doubtful)


def test_a_sample_is_a_line() -> None:
    where = "readings,device=caen,point=0.hv_vMon"
    assert written(("0.hv_vMon", T0, 1.5, GOOD)) == [f"{where} value=1.5 {T0}"]
    assert written(("0.hv_vMon", T0, 7, UNCERTAIN)) == [f"{where} value=7.0,quality=1i,kind=1i {T0}"]
    assert written(("0.hv_vMon", T0, True, GOOD)) == [f"{where} value=1.0,kind=2i {T0}"]
    assert written(("0.hv_vMon", T0, "ON", GOOD)) == [f'{where} text="ON" {T0}']
    assert written(("0.hv_vMon", T0, None, BAD)) == [f"{where} quality=3i {T0}"]
    assert written(("0.hv_vMon", T0, float("inf"), GOOD)) == [f"{where} quality=3i {T0}"]


def test_the_time_of_the_device_is_kept_where_it_is_another() -> None:
    late = columns(("v", T0, 1.5, GOOD))
    late.device_ns[0] -= 5
    assert lines(late, readings_key, set()) == [f"readings,device=caen,point=v value=1.5,device_off=-5i {T0}"]


def test_the_first_good_sample_after_another_one_says_so() -> None:
    doubtful: set[str] = set()
    rows = [("v", T0, 1.0, UNCERTAIN), ("v", T0, 2.0, GOOD), ("v", T0 + 1, 3.0, GOOD), ("w", T0, 4.0, GOOD)]
    found = written(*rows, doubtful=doubtful)
    assert ["quality=0i" in line for line in found] == [False, True, False, False]
    assert not doubtful
    written(("v", T0, None, BAD), doubtful=doubtful)
    assert "quality=0i" in written(("v", T0, 2.0, GOOD), doubtful=doubtful)[0]
    assert "quality" not in written(("v", T0, 2.0, GOOD), doubtful=doubtful)[0]


def test_signs_of_the_protocol_are_escaped() -> None:
    assert key("a b", [("t=", "x,y"), ("empty", ""), ("u", "\\end\\")]) == "a\\ b,t\\==x\\,y,u=\\end"
    assert quoted('a "b" \\') == '"a \\"b\\" \\\\"'


class Picky:
    """A server that refuses some lines, and bodies that are too large."""

    def __init__(self, *bad: str, most: int = 1000) -> None:
        self.bad, self.most, self.stored, self.calls = bad, most, list[str](), 0

    def __call__(self, part: Sequence[str]) -> tuple[Taken, str]:
        self.calls += 1
        if len(part) > self.most or any(line in self.bad for line in part):
            return Taken.REFUSED, "400 unable to parse"
        self.stored += part
        return Taken.STORED, ""


def test_a_bad_line_does_not_lose_its_neighbours() -> None:
    every = [f"line{number}" for number in range(1000)]
    server = Picky("line0", "line500", "line501", most=300)
    send_all(every, server, "history.stores.site")
    assert server.stored == [line for line in every if line not in server.bad]
    assert server.calls < 100


def test_a_store_that_refuses_everything_loses_nothing() -> None:
    every = [f"line{number}" for number in range(1000)]
    with pytest.raises(LinkError, match="more than 100 lines"):
        send_all(every, Picky(*every), "history.stores.site")
    server = Picky(*every[:MOST_REFUSED])
    send_all(every, server, "history.stores.site")
    assert len(server.stored) == 900


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.integers(-(2**52), 2**52),
    st.booleans(),
    st.text(max_size=8),
    st.none(),
)
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), VALUES, st.sampled_from([GOOD, UNCERTAIN])),
    min_size=1,
    max_size=20,
)


@settings(max_examples=50)
@given(ROWS)
def test_series_keep_the_last_sample_of_each_point_and_ms(rows: list[tuple[str, int, Scalar, Quality]]) -> None:
    # Samples of one ms that are of different kinds are in different series: such rows are not made here.
    apart = {(point, at): (point, at, value, quality) for point, at, value, quality in rows}
    given = [
        (point, T0 + at * MS + 5, value, BAD if value is None else quality)
        for point, at, value, quality in apart.values()
    ]
    first = [(point, time - 3, value, quality) for point, time, value, quality in given if isinstance(value, float)]
    sent = series.lines(columns(*first, *given), "cr")
    assert all(line.timestamps == sorted(set(line.timestamps)) for line in sent)
    back = series.columns(series.parse(series.encode(sent)), "cr")
    got = {
        (name, int(time)): back.value(row)
        for row, (name, time) in enumerate(zip(back.names, back.time_ns, strict=True))
    }
    assert got == {(f"caen.{point}", time // MS * MS): value for point, time, value, _ in given}
    assert sorted(back.quality.tolist()) == sorted(int(quality) for *_, quality in given)


def test_what_is_there_is_not_written_again() -> None:
    wanted = [SeriesLine({"__name__": "a"}, [1.0, 2.0, 3.0], [1, 2, 3]), SeriesLine({"__name__": "b"}, [1.0], [1])]
    present = {(("__name__", "a"),): {2, 9}, (("__name__", "b"),): {1}}
    assert series.without(wanted, present) == [SeriesLine({"__name__": "a"}, [1.0, 3.0], [1, 3])]
    assert series.without(wanted, {}) == wanted


def test_a_selector_takes_names_literally() -> None:
    assert series.selector("cr_(a|b)", device="x", point=["0.v", 'q"']) == (
        '{__name__=~"cr_(a|b)",device="x",point=~"0\\\\.v|q\\\\\\""}'
    )


def test_the_tracker_has_its_own_lines() -> None:
    number = TrackerField(key="channels,id=0", name="lv_vMon")
    status = TrackerField(
        key="chiller,topic=julabo/status",
        name="status_code",
        is_integer=True,
        state={2: "OFF", 3: "ON"},
        state_below="ERROR",
    )
    given = columns(
        ("v", T0, 12.5, GOOD),
        ("v", T0, 12.5, STALE),
        ("v", T0, None, BAD),
        ("s", T0, 3, GOOD),
        ("s", T0, -8, GOOD),
        ("s", T0, 7, GOOD),
        ("other", T0, 7, GOOD),
    )
    assert np.isnan(given.number).sum() == 1
    assert tracker_lines(given, {"caen.v": number, "caen.s": status}) == [
        f"channels,id=0 lv_vMon=12.5 {T0}",
        f'chiller,topic=julabo/status status_code=3i,fsm_state="ON" {T0}',
        f'chiller,topic=julabo/status status_code=-8i,fsm_state="ERROR" {T0}',
        f"chiller,topic=julabo/status status_code=7i {T0}",
    ]

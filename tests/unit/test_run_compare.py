"""Two runs side by side: what differs is marked, and counters are compared without a mark."""

from __future__ import annotations

from msgspec import structs

from countingroom.console.present.partition_views import conditions
from countingroom.console.present.run_compare import compare_runs, differing, excluded, remarks
from countingroom.core.partitions import Configuration
from countingroom.core.run_book import Run, RunCondition, RunEnd, RunFlag, RunFlagKind, RunNote
from countingroom.core.values import Quality, Scalar

S = 1_000_000_000
UNITS = {"co2.PT01_CO2": "bar"}


def configuration(tag: str, **parameters: Scalar) -> Configuration:
    return Configuration(tag=tag, key=tag, parameters=parameters)


A = Run(
    number=213,
    partition="mCBM",
    template="cbm",
    requested_by="anna",
    asked_ns=S,
    started_ns=2 * S,
    ended_ns=100 * S,
    end=RunEnd.STOPPED,
    tag="beam",
    members=("TFC", "STS", "RICH"),
    configurations={"TFC": configuration("std"), "STS": configuration("beam", threshold=45, gain=2)},
    versions={"FLES": "5.0.1"},
    counters={"QA.events": 900},
    notes=(
        RunNote(time_ns=3 * S, kind="exclude", text="", system="RICH"),
        RunNote(time_ns=4 * S, kind="comment", text="gas refill"),
        RunNote(time_ns=5 * S, kind="comment", text="beam is back"),
    ),
)
B = structs.replace(
    A,
    number=209,
    members=("TFC", "STS"),
    configurations={"TFC": configuration("std"), "STS": configuration("beam", threshold=42, gain=2)},
    versions={"FLES": "5.0.0"},
    counters={"QA.events": 1000},
    notes=(),
)


def rows(one: Run, other: Run) -> dict[str, tuple[str, str, str, bool]]:
    return {
        row.name: (row.before, row.after, row.difference, row.differs)
        for section in compare_runs(one, other, 200 * S, UNITS)
        for row in section.rows
    }


def test_members_parameters_and_versions_that_differ_are_marked() -> None:
    found = rows(A, B)
    assert found["TFC"] == ("std", "std", "same", False)
    assert found["STS"] == ("beam", "beam", "1 of 2 parameters", True)
    assert found["threshold"] == ("45", "42", "+3", True)
    assert found["RICH"] == ("no configuration, excluded", "not in it", "not in B", True)
    assert found["FLES"] == ("5.0.1", "5.0.0", "differs", True)
    assert "gain" not in found


def test_counters_have_a_difference_and_no_mark() -> None:
    assert rows(A, B)["QA.events"] == ("900", "1\u202f000", "\u221210.0 %", False)


def test_a_run_beside_itself_has_no_difference() -> None:
    assert differing(compare_runs(A, A, 200 * S, UNITS))[0] == 0


def test_the_list_shows_comments_and_who_is_out() -> None:
    assert remarks(A) == "beam is back · gas refill"
    assert excluded(A) == ["RICH"]
    back = RunNote(time_ns=9 * S, kind="include", text="", system="RICH")
    assert excluded(structs.replace(A, notes=(*A.notes, back))) == []


def test_flags_that_differ_are_marked_and_conditions_are_compared() -> None:
    flagged = structs.replace(
        A,
        flags=(RunFlag(flag=RunFlagKind.DEGRADED, what="STS is excluded", since_ns=3 * S),),
        conditions_begin={"co2.t": RunCondition(value=-20.5, quality=Quality.GOOD, device_ns=1)},
    )
    plain = structs.replace(
        B, conditions_begin={"co2.t": RunCondition(value=-21.0, quality=Quality.STALE, device_ns=1)}
    )
    found = rows(flagged, plain)
    assert found["flags"] == ("degraded", "none", "differs", True)
    assert found["co2.t"] == ("-20.5", "-21 STALE", "+0.5", False)


def test_conditions_have_the_unit_of_their_point() -> None:
    begin = {
        "co2.PT01_CO2": RunCondition(value=57.68, device_ns=S, quality=Quality.GOOD),
        "caen.mode": RunCondition(value="remote", device_ns=S, quality=Quality.GOOD),
    }
    run = structs.replace(A, conditions_begin=begin)
    found = rows(run, run)
    assert found["co2.PT01_CO2"][:2] == ("57.68 bar", "57.68 bar")
    assert found["caen.mode"][0] == "remote"
    assert conditions(run, UNITS)[1] == ("co2.PT01_CO2", "57.68 bar", "\u2013")

"""The table of the fault drill says what is not right. Its short form is played in test_demo.py."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.drill.__main__ import cells
from tests.drill.drill import ALL_STATES
from tests.drill.faults import DRILLS, NUMBERED
from tests.drill.report import Row, not_played, table
from tests.drill.role_faults import AGENT, KINDS, PROCESSES, ROLES

ROW = Row(fault="x", state="Idle", control_s=0.5, right_s=1.0, gap_s=0.0, lost=(), readiness="")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"control_s": None}, "no stop or abort within 10 s"),
        ({"right_s": None}, "not right again within 60 s"),
        ({"tells": True}, "/readyz said ready all the time"),
        ({"lost": ("run 3 has no end",)}, "run 3 has no end"),
    ],
)
def test_a_row_that_is_not_right_says_why(change: dict[str, object], fault: str) -> None:
    assert not ROW.faults
    row = structs.replace(ROW, **change)
    assert row.faults == [fault]
    assert fault in table([ROW, row])


def test_a_fault_that_the_machine_cannot_play_is_no_mistake_and_no_success() -> None:
    row = not_played("x", "Idle", "it needs root")
    assert row.faults == []
    assert row.verdict == "not played: it needs root"
    assert not_played("x", "Idle", "it did not come back", failed=True).faults == ["it did not come back"]


def test_each_kind_of_fault_is_played_for_each_process_in_each_state() -> None:
    assert {*PROCESSES} == {*ROLES, AGENT}
    played = {(drill.name, state) for drill, state in cells(DRILLS)}
    assert {(f"{name} {kind}", state) for name in PROCESSES for kind in KINDS for state in ALL_STATES} <= played
    assert {one.number for one in NUMBERED} == {*range(1, 20)}

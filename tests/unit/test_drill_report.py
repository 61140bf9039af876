"""The table of the fault drill says what is not right. Its short form is played in test_demo.py."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.drill.report import Row, table

ROW = Row(fault="x", state="Idle", control_s=0.5, right_s=1.0, gap_s=0.0, lost=(), readiness="")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"control_s": None}, "no stop or abort within 10 s"),
        ({"right_s": None}, "not right again within 60 s"),
        ({"lost": ("run 3 has no end",)}, "run 3 has no end"),
    ],
)
def test_a_row_that_is_not_right_says_why(change: dict[str, object], fault: str) -> None:
    assert not ROW.faults
    row = structs.replace(ROW, **change)
    assert row.faults == [fault]
    assert fault in table([ROW, row])

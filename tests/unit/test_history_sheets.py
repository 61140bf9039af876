"""A text in an exported file is a text for a spreadsheet too, whatever a device has sent."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from countingroom.core.plain_text import no_formula
from countingroom.core.series import Samples
from countingroom.history.export import sheet


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_a_text_that_is_a_formula_begins_with_an_apostrophe(tmp_path: Path, text: str) -> None:
    assert no_formula(text) == f"'{text}"
    path = tmp_path / "a.csv"
    times = [1, 2, 3]
    with sheet(path) as made:
        made.add(
            ["d.name"],
            Samples(
                point=[0, 0, 0],
                time_ns=times,
                value=[text, -1.5, "a=b"],
                quality=[0, 0, 0],
                device_ns=times,
                received_ns=times,
            ),
        )
    with path.open(newline="") as file:
        assert [row["value"] for row in csv.DictReader(file)] == [f"'{text}", "-1.5", "a=b"]

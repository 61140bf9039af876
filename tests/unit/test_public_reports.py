"""Every row of the page of public reports names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "public-reports.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| [")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"[^\w/-]+", "-", row[0].split("]")[0][1:]))
def test_a_report_has_a_result_and_a_test_that_exists(row: list[str]) -> None:
    report, _, _, result, tests = row
    assert re.fullmatch(r"\[\S+ \d+\]\(https://github\.com/\S+/(issues|pull)/\d+\)", report)
    assert re.match(r"(right|mended|gap)\b", result)
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert named or result.startswith("gap")
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"


def test_no_report_stands_twice() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)

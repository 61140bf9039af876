"""Every whole description that a how-to page shows is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from countingroom.alarms.description import AlarmsSection
from countingroom.experiment import load
from countingroom.runs.description import RunsSection

PAGES = [
    page
    for page in sorted((Path(__file__).parents[2] / "docs" / "howto").glob("*.md"))
    if page.stem not in ("write-a-driver", "add-a-department")  # their own tests make the driver and the department
]
BLOCK = re.compile(r"^```yaml\n(experiment:.*?)^```", re.MULTILINE | re.DOTALL)
RUNS = re.compile(r"^```yaml\n(runs:.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [(page.stem, text) for page in PAGES for text in BLOCK.findall(page.read_text())]


@pytest.mark.parametrize(("page", "text"), SHOWN, ids=[f"{page}-{n}" for n, (page, _) in enumerate(SHOWN)])
def test_a_shown_description_is_right(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    shown = load(file)
    assert len(shown.model_fields_set) > 1, page


PARTS = [(page.stem, text) for page in PAGES for text in RUNS.findall(page.read_text())]


@pytest.mark.parametrize(("page", "text"), PARTS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(PARTS)])
def test_a_shown_section_of_run_control_is_right(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{name: shown}}\n{text}")
    assert load(file).section(RunsSection).in_use, page


ALARMS = re.compile(r"^```yaml\n(alarms:.*?)^```", re.MULTILINE | re.DOTALL)
ALARM_PARTS = [(page.stem, text) for page in PAGES for text in ALARMS.findall(page.read_text())]


@pytest.mark.parametrize(("page", "text"), ALARM_PARTS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(ALARM_PARTS)])
def test_a_shown_section_of_alarms_is_right(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{name: shown}}\n{text}")
    assert load(file).section(AlarmsSection).model_fields_set, page

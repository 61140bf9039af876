"""Each example is valid as it is written, in each size, and replaces no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.cli.example import names
from countingroom.cli.main import run
from countingroom.experiment import load


@pytest.mark.parametrize("count", [1, 5, 12, 200])
def test_an_example_of_any_size_is_right(count: int, tmp_path: Path) -> None:
    assert run(["example", "cbm", "--detectors", str(count), "--output", str(tmp_path)]) == 0
    runs = load(tmp_path / "experiment.yaml").runs
    partition = runs.partitions["mCBM"]
    assert len(partition.detectors) == len(set(partition.detectors)) == count
    assert set(runs.tags["physics"]) == set(runs.systems), "the tag covers exactly what the partition needs"
    assert {len(runs.systems[name].steps) for name in partition.detectors[:2]} <= {2, 3}


def test_a_step_takes_as_long_as_asked(tmp_path: Path) -> None:
    assert run(["example", "cbm", "--detectors", "1", "--pause", "0", "-o", str(tmp_path)]) == 0
    assert load(tmp_path / "experiment.yaml").runs.systems["STS"].agent.model_dump()["configure"] == 0


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("mine")
    assert run(["example", "cbm", "-o", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert not (tmp_path / "tables").exists()


def test_detectors_have_names_of_their_own() -> None:
    assert names(6) == ["STS", "MVD", "RICH", "TRD", "TOF", "STS2"]

"""What `check` says of the section `results`."""

from __future__ import annotations

from pathlib import Path

from countingroom.cli.checked_description import checked_description

TEXT = """
experiment: {name: bench}
runs:
  systems:
    STS: {kind: detector, agent: {kind: simulated}}
    TFC: {kind: global, agent: {kind: simulated}}
    FLES: {kind: global, agent: {kind: simulated}}
    DCS: {kind: global, agent: {kind: simulated}}
    QA: {kind: global, agent: {kind: simulated}}
  partitions: {mini: {detectors: [STS]}}
results:
  programs:
    scan:
      title: Scan
      command: [/bin/true]
      partitions:
        - mini
        - miny
"""


def test_a_partition_that_is_not_described_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(TEXT)
    found = checked_description(file)
    assert found.problems == []
    told = [one for one in found.warnings if one.path.startswith("results")]
    (one,) = told
    assert (one.place.line, one.message) == (18, "no partition is named miny; did you mean mini?")

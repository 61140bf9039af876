"""Checks the section `results` against the partitions of run control."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.core.yaml.located import Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.experiment import Loaded
from countingroom.results.description import ResultsSection
from countingroom.runs.description import RunsSection


def result_warnings(loaded: Loaded) -> Iterator[Problem]:
    """Partitions of programs that the description does not name: they may come in operation, and until then the
    program is refused."""
    known = loaded.experiment.section(RunsSection).partitions
    for name, program in loaded.experiment.section(ResultsSection).programs.items():
        for index, partition in enumerate(program.partitions):
            if partition not in known:
                message = f"no partition is named {partition}{did_you_mean(partition, known)}"
                yield loaded.problem(("results", "programs", name, "partitions", index), message)

"""Checks the configurations of a description against the JSON Schema of their system.

Without this the first start of run control would refuse them, after everything else has started.
"""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.core.errors import OutOfRange
from countingroom.core.yaml.located import Problem
from countingroom.experiment import Loaded
from countingroom.runs.description import RunsSection
from countingroom.storage.schemas import check_schema, misfits


def wrong_configurations(loaded: Loaded) -> Iterator[Problem]:
    """A schema that is none, and each parameter that its schema does not allow."""
    runs = loaded.experiment.section(RunsSection)
    for name, system in runs.systems.items():
        spot = ("runs", "systems", name, "parameters")
        schema = system.parameter_schema
        if schema is None or not loaded.is_whole(spot):
            continue
        try:
            check_schema(schema, system=name)
        except OutOfRange as error:
            yield loaded.problem(spot, f"{error.cause.message}; {error.cause.suggestion}")
            continue
        for tag, parameters in runs.configurations.get(name, {}).items():
            place = ("runs", "configurations", name, tag)
            for cause in misfits(parameters, schema, source=name):
                parameter = str(cause.evidence["parameter"])
                where = (*place, parameter) if parameter in parameters else place
                yield loaded.problem(where, cause.message)

"""The interlocks of the description as a device host needs them."""

from __future__ import annotations

from countingroom.alarms.description import AlarmsSection
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.experiment import Experiment


def described_interlocks(experiment: Experiment) -> tuple[InterlockSpec, ...]:
    """All interlocks of the description. ConfigurationError or ValueError where one cannot be."""
    section = experiment.section(AlarmsSection)
    if not section.interlocks:
        return ()
    from countingroom.alarms.interlocks.described import interlock_specs  # most experiments start sooner without

    return interlock_specs(section.interlocks)

"""The drawings of the section `synoptics`, as the console takes them."""

from __future__ import annotations

from pathlib import Path

from countingroom.console.synoptic_files import SynopticFile
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Experiment
from countingroom.synoptics.description import SynopticsSection


def synoptic_files(experiment: Experiment, directory: Path) -> list[SynopticFile]:
    """The files, with what the description binds. `directory`: that of the description."""
    section = experiment.section(SynopticsSection)
    devices = frozenset(experiment.section(DevicesSection).root)
    return [
        SynopticFile(
            name=name,
            title=one.title,
            path=directory / one.file,
            bindings={element: bound.binding(element) for element, bound in one.bind.items()},
            devices=devices,
            overview=one.overview,
            adapt=one.colours == "adapt",
        )
        for name, one in section.items()
    ]

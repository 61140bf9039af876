"""The drawings of the section `synoptics`, as the console takes them."""

from __future__ import annotations

from pathlib import Path

from countingroom.console.synoptic_files import SynopticFile
from countingroom.synoptics.description import SynopticsSection


def synoptic_files(section: SynopticsSection, directory: Path) -> list[SynopticFile]:
    """The files, with what the description binds. `directory`: that of the description."""
    return [
        SynopticFile(
            name=name,
            title=one.title,
            path=directory / one.file,
            bindings={element: bound.binding(element) for element, bound in one.bind.items()},
            overview=one.overview,
            adapt=one.colours == "adapt",
        )
        for name, one in section.items()
    ]

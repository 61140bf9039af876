"""Checks the section `synoptics`: that its drawings can be read, and that what is bound exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from countingroom.alarms.description import AlarmsSection
from countingroom.app.synoptics import synoptic_files
from countingroom.core.synoptics.bindings import BindingMistake, bind
from countingroom.core.synoptics.drawing import read_drawing
from countingroom.core.synoptics.elements import MOST_BYTES, Drawing
from countingroom.core.synoptics.known_names import KnownDevice, KnownNames, wrong_bindings
from countingroom.core.yaml.located import Mistaken, Place, Problem
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.runs.description import RunsSection
from countingroom.synoptics.description import SynopticsSection


def read_file(path: Path) -> Drawing:
    """The drawing in a file. Raises Mistaken, also where the file cannot be read."""
    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Mistaken([Problem(place=Place(str(path)), message=f"cannot be read: {error.strerror}")]) from None
    return read_drawing(data, str(path))


def described_names(loaded: Loaded, hosted: Mapping[str, Hosted]) -> KnownNames:
    """Everything of a description that an element may be bound to."""
    runs = loaded.experiment.section(RunsSection)
    return KnownNames(
        devices={
            name: KnownDevice(
                title=one.title,
                points={point.name: point for point in one.driver.points},
                channels=one.behaviour.channels,
            )
            for name, one in hosted.items()
        },
        areas=frozenset(loaded.experiment.section(AlarmsSection).all_areas()),
        partitions=frozenset(runs.partitions),
        systems=frozenset(runs.systems),
        synoptics=frozenset(loaded.experiment.section(SynopticsSection).root),
    )


def synoptic_problems(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """What cannot be shown: at the binding in the description, else at the element in the drawing."""
    section = loaded.experiment.section(SynopticsSection)
    if not section.root:
        return
    known = described_names(loaded, hosted)
    # The points of a device with mistakes are not known, nor are they its drawing's mistakes.
    unbuilt = loaded.experiment.section(DevicesSection).root.keys() - hosted.keys()
    directory = Path(loaded.located.values[()].file).parent
    for file in synoptic_files(loaded.experiment, directory):
        if not loaded.is_whole(("synoptics", file.name)):
            continue
        try:
            drawing = read_file(file.path)
        except Mistaken as error:
            told = "; ".join(f"{one.place}: {one.message}" for one in error.problems)
            yield loaded.problem(("synoptics", file.name, "file"), told)
            continue
        bindings, wrong = bind(drawing, file.bindings, known.devices)
        checked = (one for one in bindings if one.target.name.partition(".")[0] not in unbuilt)
        for one in (*wrong, *wrong_bindings(drawing, checked, known)):
            yield _problem(loaded, file.name, file.path, one)


def _problem(loaded: Loaded, name: str, path: Path, one: BindingMistake) -> Problem:
    if one.described:
        return loaded.problem(("synoptics", name, "bind", one.element), one.message)
    return Problem(place=Place(str(path), one.line), path=one.element, message=one.message)

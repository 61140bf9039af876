"""The section `results`: the calibration programs that people may start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.values import Scalar
from countingroom.core.yaml.section import Name, Reference, Seconds, Section

Problem = tuple[tuple[str | int, ...], str]
Suffix = Annotated[str, Field(min_length=1, max_length=200)]


class ResultProgram(Section):
    """A program that measures something, such as a calibration of Ph2_ACF. It runs without a shell."""

    title: str = ""
    command: Annotated[list[str], Field(min_length=1)]
    """The program and its arguments. `{output}` is replaced by the folder for what it finds, `{result}` by the number
    of the result, `{python}` by the Python of countingroom, and the `{NAME}` of a parameter by its value."""
    directory: str = ""
    """Working folder, relative to that of the description; empty: that folder."""
    environment: dict[str, Scalar] = {}
    """Added to the environment of countingroom. `COUNTINGROOM_OUTPUT` and `COUNTINGROOM_RESULT` are set too."""
    parameters: dict[Name, Scalar] = {}
    """Its parameters with the values that they have unless the start gives others. The program reads them as JSON from
    its standard input."""
    versions: dict[str, str] = {}
    """Recorded with each result. The program can add its own."""
    collect: list[Suffix] = ["**/*.json", "**/*.parquet", "**/*.arrow", "**/*.npy", "**/*.csv"]
    """Which files of the output folder are kept: JSON as documents, the others as arrays."""
    time_limit: Annotated[Seconds, Field(gt=0)] = 3600.0
    """It is stopped then, and its result has failed."""
    grace: Annotated[Seconds, Field(ge=0, le=600)] = 10.0
    """Time between SIGTERM and SIGKILL when it is stopped."""
    role: Literal["shifter", "expert", "administrator"] = "shifter"
    """The lowest role that may start it. Every shifter may stop it."""
    devices: list[Name] = []
    """Devices that must be connected when it starts."""
    partitions: list[Name] = []
    """Partitions that must not record when it starts."""

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        for name in sorted(self.parameters.keys() & {"output", "result", "python"}):
            yield ("parameters", name), f"{name} is a word of the command: give the parameter another name"


class ResultsSection(Section):
    """Calibration programs and the results that they find."""

    programs: dict[Name, ResultProgram] = {}
    """Name -> program."""

    @property
    def in_use(self) -> bool:
        """Whether there is a program to start. Results from elsewhere are taken in any case."""
        return bool(self.programs)

    def references(self) -> Iterable[Reference]:
        """The devices that programs need."""
        for name, program in self.programs.items():
            for index, device in enumerate(program.devices):
                path = ("programs", name, "devices", str(index))
                yield Reference(path=path, section="devices", kind="device", name=device)

    def problems(self) -> Iterator[Problem]:
        """Mistakes in its programs."""
        for name, program in self.programs.items():
            for path, message in program.problems():
                yield ("programs", name, *path), message

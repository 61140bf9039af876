"""Section `agent` of a system: the program, device or simulation that does the work of the system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.values import Scalar
from countingroom.core.yaml.section import Name, Seconds, Section

Argv = Annotated[list[str], Field(min_length=1)]
"""A program and its arguments. No shell reads it."""

Pause = Annotated[Seconds, Field(ge=0)]


class SimulatedAgent(Section):
    """Does nothing, for as long as it is told, and fails when it is told."""

    kind: Literal["simulated"] = "simulated"
    configure: Pause = 0.0
    """Of one step."""
    start: Pause = 0.0
    stop: Pause = 0.0
    fail: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a step fails."""
    events_hz: Annotated[float, Field(ge=0)] = 1000.0
    """What it counts while it records."""


class ScriptAgent(Section):
    """A program a step. Its exit status decides; abort ends it with all its children."""

    kind: Literal["script"]
    configure: list[Argv] = []
    """One for each `Configuring` state of the table, in order. `{tag}`, `{step}`, `{partition}` and `{NAME}` of a
    parameter stand for their values."""
    start: Argv | None = None
    """`{run}` stands for the run's number."""
    stop: Argv | None = None
    abort: Argv | None = None
    """After what was running has been ended."""
    directory: str = ""
    """Where they are run, relative to the description; empty: beside it."""


class SlowControlAgent(Section):
    """Follows a device: its states are the system's, its commands configure it."""

    kind: Literal["slow-control"]
    device: Name
    states: dict[str, str]
    """State of the device -> own state of the system: `HV_ON: Active`."""
    configure: str = ""
    """The device's command that configures; empty: nothing is done, its state is waited for."""
    abort: str = ""


class CalibrationAgent(Section):
    """A program that measures while the system records, such as Ph2_ACF; what it writes is its result."""

    kind: Literal["calibration"]
    command: Argv
    """`{run}`, `{tag}`, `{partition}`, `{results}` and `{NAME}` of a parameter stand for their values."""
    configure: list[Argv] = []
    directory: str = ""
    results: str = "results"
    """Folder for what it writes, a folder a run, relative to the data directory."""
    environment: dict[str, Scalar] = {}


class NoAgent(Section):
    """Its agent is started elsewhere and comes by the bus."""

    kind: Literal["none"]


AgentSection = Annotated[
    SimulatedAgent | ScriptAgent | SlowControlAgent | CalibrationAgent | NoAgent, Field(discriminator="kind")
]

"""The `agent` section of a system: selects the kind of agent and its settings.

The key `kind` decides which of the classes below applies.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.values import Scalar
from countingroom.core.yaml.section import Name, Seconds, Section

Argv = Annotated[list[str], Field(min_length=1)]
"""A program and its arguments. It is run without a shell."""

Pause = Annotated[Seconds, Field(ge=0)]


class SimulatedAgent(Section):
    """Simulates a system: waits for the given times and fails on request."""

    kind: Literal["simulated"] = "simulated"
    configure: Pause = 0.0
    """Duration of one step of configuring."""
    start: Pause = 0.0
    stop: Pause = 0.0
    reconfigure: Pause | None = None
    """Duration of a change of its parameters in place, while it is Active or Recording; missing: it cannot do that."""
    fail: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a step fails."""
    events_hz: Annotated[float, Field(ge=0)] = 1000.0
    """Simulated event rate while it records."""


class ScriptAgent(Section):
    """Runs one program for each step. Its exit status decides; an abort ends it with all its children."""

    kind: Literal["script"]
    configure: list[Argv] = []
    """One program for each `Configuring` state of the table, in order. `{tag}`, `{step}`, `{partition}` and the
    `{NAME}` of a parameter are replaced by their values."""
    start: Argv | None = None
    """`{run}` is replaced by the run number."""
    stop: Argv | None = None
    reconfigure: Argv | None = None
    """Changes its parameters while it is Active or Recording; missing: it cannot do that. A status other than 0 says
    that the earlier parameters still hold."""
    abort: Argv | None = None
    """Runs after the program under way has been ended."""
    directory: str = ""
    """Working directory, relative to the directory of the description; empty: that directory."""


class SlowControlAgent(Section):
    """Follows a device: the states of the device give the states of the system, commands to the device configure it."""

    kind: Literal["slow-control"]
    device: Name
    states: dict[str, str]
    """State of the device -> own state of the system: `HV_ON: Active`."""
    configure: str = ""
    """The command that configures the device; empty: the agent sends no command and waits for the state."""
    abort: str = ""


class CalibrationAgent(Section):
    """Runs a calibration program, such as Ph2_ACF, while the system records, and keeps its output."""

    kind: Literal["calibration"]
    command: Argv
    """`{run}`, `{tag}`, `{partition}`, `{results}` and the `{NAME}` of a parameter are replaced by their values."""
    configure: list[Argv] = []
    directory: str = ""
    results: str = "results"
    """Folder of the output, relative to the data directory. Each run has a subfolder."""
    environment: dict[str, Scalar] = {}


class NoAgent(Section):
    """No agent is started here: it runs elsewhere and connects to the bus."""

    kind: Literal["none"]
    reconfigure: bool = False
    """Its agent has a method `reconfigure`, which changes its parameters while it is Active or Recording."""


AgentSection = Annotated[
    SimulatedAgent | ScriptAgent | SlowControlAgent | CalibrationAgent | NoAgent, Field(discriminator="kind")
]

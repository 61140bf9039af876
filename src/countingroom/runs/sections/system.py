"""The section of a system: its kind, its state table and its agent.

The state table is an unchanged ECS CSV file, named directly or through a section of `subsystem.cfg`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.charts.check import Severity, check
from countingroom.core.charts.table import MapRow, StateMap, Table, read_map, read_table
from countingroom.core.subsystems import parse_subsystem_cfg
from countingroom.core.systems import COMMON_STATES, CONFIGURING, Action, SystemKind
from countingroom.core.yaml.located import Mistaken, Place, mapping, parse
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.sections.agent import AgentSection, NoAgent, ScriptAgent, SimulatedAgent, SlowControlAgent

Problem = tuple[tuple[str | int, ...], str]
Duration = Annotated[Seconds, Field(gt=0)]
Rows = Annotated[list[tuple[str, str, str]], Field(min_length=1)]


class TypeSection(Section):
    """Selects the state table of a system."""

    cfg: Path | None = None
    """A `subsystem.cfg` file. Its section `section` gives the table, the map and the times."""
    section: str = ""
    table: Path | Rows | None = None
    """A CSV or YAML file, or a list of rows [state, event, next]."""
    map: Path | dict[str, str] | None = None
    """Own state -> common state: a CSV file or the pairs. A state that is not listed is its own common state."""
    timeout: Duration | None = None
    """Time-out of one answer. Default: the value of the cfg, or 10 s."""
    ping: Duration | None = None
    """Interval of heartbeats. Default: the value of the cfg, or 1 s."""

    _table: Table = PrivateAttr()
    _timeout_s: float = PrivateAttr(10.0)
    _ping_s: float = PrivateAttr(1.0)

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> TypeSection:
        directory = Path((mapping(info.context) or {}).get("directory", ""))
        if (self.cfg is None) == (self.table is None):
            raise ValueError("give either cfg with section, or table")
        try:
            self._table = self._from_cfg(directory) if self.cfg else self._from_table(directory)
        except Mistaken as error:
            raise ValueError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read: {error}") from error
        self._timeout_s = self.timeout or self._timeout_s
        self._ping_s = self.ping or self._ping_s
        return self

    def _from_cfg(self, directory: Path) -> Table:
        path = directory / (self.cfg or "")
        kinds = {kind.name: kind for kind in parse_subsystem_cfg(path.read_text(encoding="utf-8"), file=str(path))}
        if self.section not in kinds:
            raise ValueError(f"{path} has no section {self.section!r}{did_you_mean(self.section, kinds)}")
        kind = kinds[self.section]
        self._timeout_s = kind.timeout_s
        self._ping_s = kind.ping_s
        return _read_table(path.parent / kind.state_file, _read_map(path.parent, kind.map_file))

    def _from_table(self, directory: Path) -> Table:
        states = _read_map(directory, self.map)
        if isinstance(self.table, list):
            rows = tuple(Row(*row) for row in self.table)
            first = rows[0].state
            common = states.common if states else {}
            return Table.of(Chart(name="table", rows=rows, initial=first, safe=(first,), common=common))
        return _read_table(directory / (self.table or ""), states)

    @property
    def chart(self) -> Chart:
        """The state table with its map."""
        return self._table.chart

    @property
    def timeout_s(self) -> float:
        """Time-out of one answer."""
        return self._timeout_s

    @property
    def ping_s(self) -> float:
        """Interval of heartbeats."""
        return self._ping_s

    def problems(self) -> Iterable[Problem]:
        """Errors of the table, and states that are mapped to no common state."""
        yield from (((), str(finding)) for finding in check(self._table) if finding.severity is Severity.ERROR)
        chart = self.chart
        odd = [state for state in chart.states if chart.to_common(state) not in COMMON_STATES]
        if odd:
            known = ", ".join(COMMON_STATES)
            yield ("map",), f"{', '.join(odd)} of {chart.name} must be mapped to one of {known}"


def _read_table(path: Path, states: StateMap | None) -> Table:
    return read_table(path.read_text(encoding="utf-8"), file=str(path), states=states)


def _read_map(directory: Path, given: Path | str | dict[str, str] | None) -> StateMap | None:
    if not given:
        return None
    if isinstance(given, dict):
        place = Place("map")
        rows = (MapRow(private=private, common=common, place=place) for private, common in given.items())
        return StateMap(file="map", rows=tuple(rows))
    path = directory / given
    return read_map(path.read_text(encoding="utf-8"), file=str(path))


@cache
def plain_chart() -> Chart:
    """The default state table, with one step of configuring. Read once: thousands of systems may have it."""
    text = files("countingroom.runs").joinpath("templates/system.csv").read_text(encoding="utf-8")
    return read_table(text, file="system.csv").chart


class SystemSection(Section):
    """A detector or a global system."""

    kind: SystemKind = SystemKind.DETECTOR
    """`detector`: in one partition or in none. `global`: serves all partitions, with a separate state for each."""
    title: str = ""
    """For display; empty: its name."""
    type: TypeSection | None = None
    """Its state table. Default: a plain one with one step of configuring."""
    area: str = ""
    """Its area in the section `alarms`."""
    groups: list[Name] = []
    """Groups that it belongs to. The `recorders` of a template can name them, as they can the sections of a
    `subsystem.cfg`."""
    agent: AgentSection = SimulatedAgent()
    """The agent that controls the system."""
    parameters: Path | dict[str, Any] | None = None
    """JSON Schema for the parameters of its configurations, or the JSON or YAML file of it. Default: any parameters are
    valid."""

    _schema: dict[str, Any] | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _read_schema(self, info: ValidationInfo) -> SystemSection:
        if not isinstance(self.parameters, Path):
            self._schema = self.parameters
            return self
        path = Path((mapping(info.context) or {}).get("directory", "")) / self.parameters
        try:
            located = parse(path.read_text(encoding="utf-8"), file=str(path))  # JSON is YAML too
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"parameters: {path} cannot be read: {error}") from error
        if located.problems:
            raise ValueError(f"parameters: {Mistaken(located.problems)}")
        self._schema = mapping(located.value)
        if self._schema is None:
            raise ValueError(f"parameters: {path} is no JSON Schema: expected a mapping")
        return self

    @property
    def parameter_schema(self) -> dict[str, Any] | None:
        """The JSON Schema for the parameters of its configurations; None without one."""
        return self._schema

    @property
    def chart(self) -> Chart:
        """Its state table."""
        return self.type.chart if self.type else plain_chart()

    def problems(self) -> Iterable[Problem]:
        """States of its agent that its table does not have."""
        if isinstance(self.agent, SlowControlAgent):
            known = self.chart.states
            for theirs, own in self.agent.states.items():
                if own not in known:
                    yield ("agent", "states", theirs), f"the system has no state {own}{did_you_mean(own, known)}"

    @property
    def has_start(self) -> bool:
        """Whether its table has a way to record."""
        return any(row.event == Action.START.value for row in self.chart.rows)

    @property
    def records(self) -> bool:
        """Whether a group of recorders takes it: it can record, and does not only follow a device."""
        return self.has_start and not isinstance(self.agent, SlowControlAgent)

    @property
    def reconfigures(self) -> bool:
        """Whether its agent can change its parameters in place, while it is Active or Recording."""
        match self.agent:
            case SimulatedAgent() | ScriptAgent():
                return self.agent.reconfigure is not None
            case NoAgent():
                return self.agent.reconfigure
            case _:
                return False

    @property
    def steps(self) -> tuple[str, ...]:
        """Its own states of configuring, in order."""
        return configuring_states(self.chart)

    @property
    def timeout_s(self) -> float:
        """Time-out of one answer of the agent."""
        return self.type.timeout_s if self.type else 10.0

    @property
    def ping_s(self) -> float:
        """Interval of heartbeats of the agent."""
        return self.type.ping_s if self.type else 1.0


def configuring_states(chart: Chart) -> tuple[str, ...]:
    """The own states with the common state Configuring, in order: first the next state of `configure`, then those that
    follow by `success`."""
    starts = [row.next for row in chart.rows if row.event == "configure" and chart.to_common(row.next) == CONFIGURING]
    found: list[str] = []
    state = starts[0] if starts else ""
    while state and state not in found and chart.to_common(state) == CONFIGURING:
        found.append(state)
        state = next((row.next for row in chart.rows if (row.state, row.event) == (state, "success")), "")
    return tuple(found)

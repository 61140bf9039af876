"""Section of a system in the description: its kind, its state table and its agent.

The table is the ECS CSV file as it stands, named directly or through a section of `subsystem.cfg`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.charts.check import Severity, check
from countingroom.core.charts.table import MapRow, StateMap, Table, read_map, read_table
from countingroom.core.subsystems import parse_subsystem_cfg
from countingroom.core.systems import COMMON_STATES, CONFIGURING, SystemKind
from countingroom.core.yaml.located import Mistaken, Place, mapping
from countingroom.core.yaml.section import Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.sections.agent import AgentSection, SimulatedAgent

Problem = tuple[tuple[str | int, ...], str]
Duration = Annotated[Seconds, Field(gt=0)]
Rows = Annotated[list[tuple[str, str, str]], Field(min_length=1)]


class TypeSection(Section):
    """Which state table a system follows."""

    cfg: Path | None = None
    """A `subsystem.cfg`; table, map and times are those of its section `section`."""
    section: str = ""
    table: Path | Rows | None = None
    """A CSV or YAML file, or the rows [state, event, next] themselves."""
    map: Path | dict[str, str] | None = None
    """Own state -> common state: a CSV file or the pairs themselves. States not named count as themselves."""
    timeout: Duration | None = None
    """For one answer; 10 s where neither this nor the cfg says it."""
    ping: Duration | None = None
    """Between two signs of life; 1 s where neither this nor the cfg says it."""

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
        """The table with its map."""
        return self._table.chart

    @property
    def timeout_s(self) -> float:
        """For one answer."""
        return self._timeout_s

    @property
    def ping_s(self) -> float:
        """Between two signs of life."""
        return self._ping_s

    def problems(self) -> Iterable[Problem]:
        """What is wrong with the table, and states that count as no common state."""
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


def plain_chart() -> Chart:
    """The table of a system whose type is not given."""
    text = files("countingroom.runs").joinpath("templates/system.csv").read_text(encoding="utf-8")
    return read_table(text, file="system.csv").chart


class SystemSection(Section):
    """A detector or a global system."""

    kind: SystemKind = SystemKind.DETECTOR
    """`detector`: in one partition or in none. `global`: serves every partition, each with a state of its own."""
    title: str = ""
    """For people; its name where empty."""
    type: TypeSection | None = None
    """Its state table; a plain one with one step of configuration where left out."""
    agent: AgentSection = SimulatedAgent()
    """What does the work."""
    parameters: Path | dict[str, Any] | None = None
    """JSON Schema of its configurations' parameters, or the file it is in; without one any parameters will do."""

    @property
    def chart(self) -> Chart:
        """Its state table."""
        return self.type.chart if self.type else plain_chart()

    @property
    def steps(self) -> tuple[str, ...]:
        """Its own states of configuring, in the order they are gone through."""
        return configuring_states(self.chart)

    @property
    def timeout_s(self) -> float:
        """For one answer of the agent."""
        return self.type.timeout_s if self.type else 10.0

    @property
    def ping_s(self) -> float:
        """Between two signs of life of the agent."""
        return self.type.ping_s if self.type else 1.0


def configuring_states(chart: Chart) -> tuple[str, ...]:
    """From `configure` on, `success` after `success`, as long as they count as Configuring."""
    starts = [row.next for row in chart.rows if row.event == "configure" and chart.to_common(row.next) == CONFIGURING]
    found: list[str] = []
    state = starts[0] if starts else ""
    while state and state not in found and chart.to_common(state) == CONFIGURING:
        found.append(state)
        state = next((row.next for row in chart.rows if (row.state, row.event) == (state, "success")), "")
    return tuple(found)

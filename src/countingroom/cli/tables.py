"""Reads state tables, state maps and subsystem files. A file that cannot be read becomes a problem, not an error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from countingroom.core.charts.check import Finding, check, check_map
from countingroom.core.charts.table import StateMap, Table, Unreadable, read_map, read_table
from countingroom.core.subsystems import parse_subsystem_cfg
from countingroom.core.yaml.located import Place, Problem


class Tables(Struct, kw_only=True):
    """The tables that were read, and the problems of those that were not."""

    tables: dict[str, Table] = field(default_factory=dict[str, Table])
    """File -> table. A table shared by several kinds of system is listed once."""
    maps: dict[str, StateMap] = field(default_factory=dict[str, StateMap])
    problems: list[Problem] = field(default_factory=list[Problem])
    lacking: set[str] = field(default_factory=set[str])
    """Maps for which a table could not be read: their unused entries may belong to it, so they are not reported."""

    def findings(self) -> tuple[Finding, ...]:
        """Errors and warnings of all tables, then of the maps."""
        found = [finding for table in self.tables.values() for finding in check(table)]
        for file, states in self.maps.items():
            charts = [table.chart for table in self.tables.values() if table.states == states]
            found += [
                finding
                for finding in check_map(states, charts)
                if file not in self.lacking or finding.code != "unused_map_row"
            ]
        return tuple(found)


def read_tables(files: Iterable[Path], states: Path | None = None) -> Tables:
    """Read state tables and the tables that subsystem files (`.cfg`) name. `states`: the map for tables without one."""
    found = Tables()
    shared = _map(found, states, Place(str(states))) if states else None
    for file in files:
        if file.suffix == ".cfg":
            _read_subsystems(found, file)
        else:
            _table(found, file, shared, Place(str(file)))
    return found


def _read_subsystems(found: Tables, file: Path) -> None:
    text = _text(found, file, Place(str(file)))
    if text is None:
        return
    try:
        kinds = parse_subsystem_cfg(text, file=str(file))
    except Unreadable as unreadable:
        found.problems += unreadable.problems
        return
    for kind in kinds:
        states = None
        if kind.map_file:
            place, path = kind.places["mapFile"], f"{kind.name}.mapFile"
            states = _map(found, file.parent / kind.map_file, place, path)
        place, path = kind.places["stateFile"], f"{kind.name}.stateFile"
        _table(found, file.parent / kind.state_file, states, place, path)


def _table(found: Tables, file: Path, states: StateMap | None, place: Place, path: str = "") -> None:
    if str(file) in found.tables:
        return
    text = _text(found, file, place, path)
    try:
        if text is not None:
            table = found.tables[str(file)] = read_table(text, file=str(file), states=states)
            if table.states is not None:
                found.maps.setdefault(table.states.file, table.states)
            return
    except Unreadable as unreadable:
        found.problems += unreadable.problems
    if states is not None:
        found.lacking.add(states.file)


def _map(found: Tables, file: Path, place: Place, path: str = "") -> StateMap | None:
    if str(file) in found.maps:
        return found.maps[str(file)]
    text = _text(found, file, place, path)
    try:
        if text is not None:
            return found.maps.setdefault(str(file), read_map(text, file=str(file)))
    except Unreadable as unreadable:
        found.problems += unreadable.problems
    return None


def _text(found: Tables, file: Path, place: Place, path: str = "") -> str | None:
    """The text of a file. If it cannot be read, a problem is added at the place that names the file."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        reason = "it is not a text in UTF-8"
    except OSError as error:
        reason = error.strerror or str(error)
    problem = Problem(place=place, path=path, message=f"cannot read {file}: {reason}")
    if problem not in found.problems:
        found.problems.append(problem)
    return None

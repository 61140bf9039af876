"""Reads state tables and state maps from CSV or YAML, with the line of each row.

CSV is the format of the ECS files: `state,event,next`; blank lines and spaces around words are ignored, lines that
begin with `#` are comments; the first state is the initial and safe one. YAML has `name`, `initial`, `safe`, `common`
and `rows`, a list of [state, event, next]. A map is CSV of `private,common`. A file with errors raises `Unreadable`
with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from msgspec import Struct
from pydantic import Field, ValidationError

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.yaml.located import Mistaken, Path, Place, Problem, parse
from countingroom.core.yaml.section import Section
from countingroom.core.yaml.validation_errors import mistakes


class Unreadable(Mistaken):
    """A state table, state map or subsystem file has errors."""


class MapRow(Struct, frozen=True, kw_only=True):
    """A private state and its common state."""

    private: str
    common: str
    place: Place


class StateMap(Struct, frozen=True, kw_only=True):
    """A state map with all rows of its file, duplicates included."""

    file: str
    rows: tuple[MapRow, ...]

    @property
    def common(self) -> dict[str, str]:
        """Private -> common state; for a duplicate the first row counts."""
        found: dict[str, str] = {}
        for row in self.rows:
            found.setdefault(row.private, row.common)
        return found


class Table(Struct, frozen=True, kw_only=True):
    """A chart with the places of its parts in the file."""

    chart: Chart
    file: str
    places: tuple[Place, ...]
    """For each row of the chart."""
    initial_place: Place
    safe_places: tuple[Place, ...] = ()
    """For each safe state of the chart; empty when none is declared and the initial state is the safe one."""
    states: StateMap | None = None
    """The map to common states; None: no map."""

    @classmethod
    def of(cls, chart: Chart) -> Table:
        """The table of a chart from code, without line numbers."""
        place = Place(chart.name)
        rows = tuple(MapRow(private=private, common=common, place=place) for private, common in chart.common.items())
        return cls(
            chart=chart,
            file=chart.name,
            places=(place,) * len(chart.rows),
            initial_place=place,
            safe_places=(place,) * len(chart.safe),
            states=StateMap(file=chart.name, rows=rows) if rows else None,
        )


def read_table(text: str, *, file: str, states: StateMap | None = None) -> Table:
    """Read a table: YAML when the file name ends in `.yaml` or `.yml`, otherwise CSV."""
    if file.endswith((".yaml", ".yml")):
        return _from_yaml(text, file, states)
    return _from_csv(text, file, states)


def read_map(text: str, *, file: str) -> StateMap:
    """Read a map with `private,common` in each line."""
    rows = tuple(
        MapRow(private=private, common=common, place=place)
        for place, (private, common) in _lines(text, file, ("private state", "common state"))
    )
    return StateMap(file=file, rows=rows)


def _from_csv(text: str, file: str, states: StateMap | None) -> Table:
    lines = list(_lines(text, file, ("state", "event", "next")))
    if not lines:
        raise Unreadable([Problem(place=Place(file), message="has no row; expected lines of state,event,next")])
    initial = lines[0][1][0]
    return Table(
        chart=Chart(
            name=_stem(file),
            rows=tuple(Row(*words) for _, words in lines),
            initial=initial,
            safe=(initial,),
            common=states.common if states else {},
        ),
        file=file,
        places=tuple(place for place, _ in lines),
        initial_place=lines[0][0],
        states=states,
    )


def _lines(text: str, file: str, columns: Sequence[str]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    found: list[tuple[Place, tuple[str, ...]]] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = tuple(word.strip() for word in line.split(","))
        if len(words) != len(columns) or not all(words):
            message = f"got {line.strip()!r}; expected {len(columns)} words: {','.join(columns)}"
            problems.append(Problem(place=Place(file, number), message=message))
        found.append((Place(file, number), words))
    if problems:
        raise Unreadable(problems)
    return iter(found)


Word = Annotated[str, Field(min_length=1)]


class _ChartSection(Section):
    """The YAML form."""

    name: str = ""
    initial: Word | None = None
    safe: list[Word] = []
    common: dict[Word, Word] = {}
    rows: Annotated[list[tuple[Word, Word, Word]], Field(min_length=1)]


def _from_yaml(text: str, file: str, states: StateMap | None) -> Table:
    located = parse(text, file=file)
    problems = list(located.problems)
    try:
        section = _ChartSection.model_validate({} if located.value is None else located.value)
    except ValidationError as error:
        raise Unreadable([*problems, *mistakes(error, _ChartSection, located)]) from error
    if problems:
        raise Unreadable(problems)

    def place(*path: Any) -> Place:
        return located.place(Path(path))

    own = tuple(
        MapRow(private=private, common=common, place=place("common", private))
        for private, common in section.common.items()
    )
    if states is None and own:
        states = StateMap(file=file, rows=own)
    initial = section.initial or section.rows[0][0]
    return Table(
        chart=Chart(
            name=section.name or _stem(file),
            rows=tuple(Row(*row) for row in section.rows),
            initial=initial,
            safe=tuple(section.safe) or (initial,),
            common=states.common if states else {},
        ),
        file=file,
        places=tuple(place("rows", index) for index in range(len(section.rows))),
        initial_place=place("initial") if section.initial else place("rows", 0),
        safe_places=tuple(place("safe", index) for index in range(len(section.safe))),
        states=states,
    )


def _stem(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]

"""The command `rules replay`: what alarms, rules and interlocks would have done on what was recorded.

It writes nothing but its own files.

Exit status: 0 done, 1 what was recorded cannot be read, 2 the description is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from countingroom.cli.client import DEFAULT_URL, Url
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import ConfigurationError, NotFound, RequestError

if TYPE_CHECKING:
    from countingroom.alarms.description import AlarmsSection
    from countingroom.alarms.replay.report import Report
    from countingroom.alarms.sections.interlocks import InterlockSection
    from countingroom.alarms.sections.rules import RuleSection
    from countingroom.cli.replay_sources import Source
    from countingroom.history.messages import Page

_T = TypeVar("_T")
_MOST_ROWS = 20
"""Rows that are shown; the JSON has all."""


def replay(
    since: Annotated[str, typer.Option("--from", help="Since when: -1h, yesterday, 2026-11-22T06:00:00Z.")] = "-1d",
    to: Annotated[str, typer.Option("--to", help="Until when.")] = "now",
    alarm: Annotated[
        list[str] | None,
        typer.Option(
            "--alarm", metavar="PATTERN", help="Only these alarms: an identity, or a pattern such as 'point.caen.*'."
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME|PATTERN", help="Only these rules; alarms only where --alarm is given."),
    ] = None,
    interlock: Annotated[
        list[str] | None,
        typer.Option("--interlock", metavar="NAME|PATTERN", help="Only these interlocks; alarms as with --rule."),
    ] = None,
    description: Annotated[
        Path | None,
        typer.Option(
            "--description",
            metavar="FILE",
            help="The description whose alarms are replayed; that of the experiment that runs here.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Read the files of this data folder, of an experiment that does not run.",
            show_default=False,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", "-p", metavar="FILE", help="Draw it: FILE.svg or FILE.html.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write each row of the replayed history.", show_default=False),
    ] = None,
    people: Annotated[
        bool, typer.Option("--people/--no-people", help="Repeat what people did, such as shelving.")
    ] = True,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Tell what alarms, rules and interlocks would have done on recorded history, and how it differs from the record.

    Without --alarm, --rule and --interlock it replays all. With an edited description it tells what a changed limit
    would have done. Nothing is announced, done or stored.
    """
    begin_ns, end_ns = _range(since, to)
    if picture and picture.suffix not in (".svg", ".html"):
        raise RequestError(
            f"{picture.name} has no format known", code="wrong_format", suggestion="end its name with .svg or .html"
        )
    file = description or _running_description(data)
    with closing(_source(file, data, url)) as source:
        chosen = ChosenToReplay(alarm, rule, interlock)
        report = _report(file, source, begin_ns, end_ns, chosen, people=people)
        if picture:
            _draw(picture, report, source)
    if output:
        _write_rows(output, report)
    if as_json:
        print_json(report.facts())
    else:
        _print(report)


class ChosenToReplay:
    """The alarms, rules and interlocks that are replayed."""

    def __init__(
        self, alarms: Sequence[str] | None, rules: Sequence[str] | None, interlocks: Sequence[str] | None
    ) -> None:
        """Patterns; with none at all everything is asked for."""
        self._every = not (alarms or rules or interlocks)
        self.alarms = tuple(alarms or ())
        self._rules = tuple(rules or ())
        self._interlocks = tuple(interlocks or ())

    @property
    def has_alarms(self) -> bool:
        """Whether alarms are asked for."""
        return self._every or bool(self.alarms)

    def rules(self, section: AlarmsSection) -> dict[str, RuleSection]:
        """The rules that are asked for. NotFound where a pattern fits none."""
        return self._fit("rule", self._rules, section.rules)

    def interlocks(self, section: AlarmsSection) -> dict[str, InterlockSection]:
        """The interlocks that are asked for. NotFound where a pattern fits none."""
        return self._fit("interlock", self._interlocks, section.interlocks)

    def _fit(self, word: str, patterns: Sequence[str], described: Mapping[str, _T]) -> dict[str, _T]:
        from fnmatch import fnmatchcase

        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in described):
                names = ", ".join(described) or "none"
                raise NotFound(
                    f"the description has no {word} {pattern!r}",
                    source=f"--{word}",
                    suggestion=f"it has: {names}",
                )
        return {
            name: one
            for name, one in described.items()
            if self._every or any(fnmatchcase(name, pattern) for pattern in patterns)
        }


def _report(file: Path, source: Source, begin_ns: int, end_ns: int, chosen: ChosenToReplay, *, people: bool) -> Report:
    from countingroom.alarms.definitions import Definitions
    from countingroom.alarms.description import AlarmsSection
    from countingroom.alarms.replay.alarm_replay import AlarmReplay
    from countingroom.alarms.replay.interlock_replay import InterlockReplay, input_keys
    from countingroom.alarms.replay.recorded import inputs
    from countingroom.alarms.replay.report import Report
    from countingroom.alarms.replay.rule_replay import RuleReplay, condition_keys
    from countingroom.alarms.replay.run import first_messages, needed_points, points_of, replay, settling_s
    from countingroom.cli.check_devices import build_devices
    from countingroom.cli.described_alarms import catalogue_of
    from countingroom.devices.description import DevicesSection
    from countingroom.experiment import load_with_problems
    from countingroom.history.messages import BACK_NS, messages

    loaded = load_with_problems(file)
    hosted, _ = build_devices(loaded)
    section = loaded.experiment.section(AlarmsSection)
    definitions = Definitions(section, loaded.experiment.own_areas)
    catalogues = [catalogue_of(one) for one in hosted.values()]
    defined = [one for catalogue in catalogues for one in definitions.of_device(catalogue)]
    defined += definitions.of_customs()
    rules, interlocks = chosen.rules(section), chosen.interlocks(section)
    start_ns = begin_ns - round(settling_s(section, defined, rules.values(), interlocks.values()) * 1e9)
    known = set(source.points())
    needed = needed_points(section, catalogues, chosen.alarms) if chosen.has_alarms else []
    inputs_of = points_of(input_keys(interlocks.values()))
    needed += (*points_of(condition_keys(rules.values())), *inputs_of)
    # A device whose messages no longer have an input still sends others of its points.
    guarded = {name.partition(".")[0] for name in inputs_of}
    needed += [name for name in known if name.partition(".")[0] in guarded]
    names = [name for name in dict.fromkeys(needed) if name in known]
    rows = source.alarms(start_ns, end_ns)
    inactive = {one.name: tuple(one.behaviour.inactive) for one in hosted.values()}
    beside = inputs(catalogues, inactive, source.events(start_ns, end_ns), rows, start_ns, people=people)
    of_rules, of_interlocks = RuleReplay(rules, start_ns), InterlockReplay(interlocks, start_ns)
    about = source.about(list(dict.fromkeys((*rules, *interlocks))), start_ns, end_ns)
    beside += of_rules.inputs(about or (), source.triggers(of_rules.triggers, start_ns, end_ns), people=people)
    beside += of_interlocks.inputs(about or (), people=people)
    beside.sort(key=lambda one: one.time_ns)
    subject = AlarmReplay(
        definitions,
        catalogues,
        start_ns,
        devices=frozenset(name for name, _ in loaded.experiment.section(DevicesSection).items()),
        others=[*([of_interlocks] if interlocks else []), *([of_rules] if rules else [])],
    )
    of_interlocks.find = subject.find
    for message in first_messages(source.last(names, start_ns - 1) if names else {}, start_ns):
        subject.read(message)
    if names:
        with _progress(start_ns, end_ns) as shown:
            pages = shown(source.pages(names, start_ns - BACK_NS, end_ns + BACK_NS))
            replay(subject, beside, messages(pages, start_ns, end_ns), end_ns)
    else:
        replay(subject, beside, (), end_ns)
    points = {f"{one.device}.{point.name}": point for one in catalogues for point in one.points}
    return Report(
        begin_ns=begin_ns,
        end_ns=end_ns,
        readings=subject.readings,
        rows=list(subject.rows),
        recorded=rows,
        definitions={one.id: one for one in defined},
        points=points,
        patterns=chosen.alarms,
        has_states=source.has_states,
        problems=subject.problems,
        parts=[
            *([of_interlocks.part(about, begin_ns, end_ns)] if interlocks else []),
            *([of_rules.part(about, begin_ns, end_ns)] if rules else []),
        ],
        has_alarms=chosen.has_alarms,
    )


@contextmanager
def _progress(begin_ns: int, end_ns: int) -> Generator[Callable[[Iterator[Page]], Iterator[Page]]]:
    """A bar on a terminal, by the time up to which pages have been read."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replaying", total=end_ns - begin_ns)
        count = 0

        def shown(pages: Iterator[Page]) -> Iterator[Page]:
            nonlocal count
            for rows, complete_ns in pages:
                count += len(rows)
                done = max(0, min(complete_ns, end_ns) - begin_ns)
                bar.update(task, completed=done, description=f"{count:,} readings")
                yield rows, complete_ns

        yield shown


def _source(file: Path, data: Path | None, url: str) -> Source:
    from countingroom.cli.replay_sources import ApiSource, FileSource
    from countingroom.experiment import load

    if data is None:
        return ApiSource(url)
    return FileSource(data.resolve(), load(file).storage)


def _running_description(data: Path | None) -> Path:
    from countingroom.cli.running import running_description

    found = "" if data else running_description()
    if not found:
        raise ConfigurationError(
            "no description is given, and no experiment runs on this machine",
            source="--description",
            suggestion="give the file: --description experiment.yaml",
        )
    return Path(found)


def _range(since: str, to: str) -> tuple[int, int]:
    import time

    from countingroom.core.times import parse_time

    now_ns = time.time_ns()
    begin_ns, end_ns = parse_time(since, now_ns=now_ns), min(parse_time(to, now_ns=now_ns), now_ns)
    if begin_ns >= end_ns:
        raise RequestError("the range ends before it begins", code="out_of_range", suggestion="give --from before --to")
    return begin_ns, end_ns


def _draw(file: Path, report: Report, source: Source) -> None:
    from countingroom.alarms.replay.page import page
    from countingroom.alarms.replay.picture import CURVE_POINTS, MOST_LANES, picture

    curves = {
        address: series
        for address in report.curves(MOST_LANES)
        if (series := source.series(address, report.begin_ns, report.end_ns, CURVE_POINTS))
    }
    drawn = picture(report.title, report.lanes(curves), report.begin_ns, report.end_ns)
    _write(file, page(report, drawn) if file.suffix == ".html" else drawn)


def _write_rows(file: Path, report: Report) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(report.cells())
    _write(file, text.getvalue())


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}", source="cli") from error


def _print(report: Report) -> None:
    if report.has_alarms:
        print_table(report.HEAD, report.table(), title=report.title, numbers=report.NUMBERS)
        _print_differences("alarm", report.difference_rows(_MOST_ROWS), len(report.differences()))
    for part in report.parts:
        typer.echo("")
        title = f"{part.word}s" if report.has_alarms else report.title
        print_table(part.head, part.table(), title=title, numbers=part.numbers)
        if part.acted:
            columns = ("time", part.word, "what", "does, or why", "values")
            print_table(columns, part.rows(_MOST_ROWS), title=f"what {part.word}s would have done")
            _print_left(len(part.acted))
        _print_differences(part.word, part.difference_rows(_MOST_ROWS), len(part.differences))
    for line in report.notes():
        typer.echo(line)


def _print_differences(word: str, rows: Iterator[tuple[object, ...]], count: int) -> None:
    if count:
        print_table(("time", word, "what", "only in"), rows, title="differs from what was recorded")
        _print_left(count)


def _print_left(count: int) -> None:
    if count > _MOST_ROWS:
        typer.echo(f"and {count - _MOST_ROWS} more; --json has all\n")

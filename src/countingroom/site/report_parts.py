"""The parts of a report as they are shown: title, charts, table. The page and the file both show these. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from countingroom.site import zones
from countingroom.site.drawing import SERIES, ChartDrawing
from countingroom.site.report import ReportedRate, RunsReport
from countingroom.site.report_drawings import Bar, PointSeries, RingShare, bars, points, ring

_GOOD, _BAD, _STUCK, _OTHER = "f-good", "f-crashed", "f-stuck", "f-none"
_CLIENT_LEGEND = (("crashed", _BAD), ("stuck", _STUCK), ("good", _GOOD), ("running", _OTHER))
RATE_CHARTS = 12
_KEYS = len(SERIES) - 1


class ReportColumn(Struct, frozen=True):
    """A column of a table."""

    title: str
    is_number: bool = True


class ReportPart(Struct, frozen=True, kw_only=True):
    """A part of a report."""

    title: str
    about: str
    drawings: tuple[ChartDrawing, ...]
    columns: tuple[ReportColumn, ...]
    rows: tuple[tuple[str, ...], ...]


def report_parts(report: RunsReport) -> tuple[ReportPart, ...]:
    """All parts; those without a row are left out."""
    made = (_runs(report), _clients(report), _bad(report), _keys(report), _releases(report), _rates(report))
    return tuple(one for one in (*made, _exits(report)) if one.rows)


def time_range(report: RunsReport) -> str:
    """When the clients of the report were heard, in UTC."""
    if report.from_s is None:
        return "no client was heard"
    utc = zones.zone(zones.UTC_NAME)
    return f"{zones.full(report.from_s, utc)} to {zones.full(report.to_s, utc)}"


def withheld_line(report: RunsReport) -> str:
    """What of all that came to the site was not published."""
    return (
        f"Only approved fields and log lines are published; computers have aliases. So far"
        f" {zones.grouped(report.lines)} log lines came, {zones.grouped(report.lines_withheld)} of them and"
        f" {zones.grouped(report.records_withheld)} records were withheld."
    )


def _runs(report: RunsReport) -> ReportPart:
    runs = report.runs
    shares = [
        RingShare("no client crashed or is stuck", runs.good, _GOOD),
        RingShare("a client crashed or is stuck", runs.bad, _BAD),
        RingShare("no section", runs.no_section, _OTHER),
        RingShare("no client published", runs.no_client, "k0"),
    ]
    return ReportPart(
        title="Runs",
        about="A client is stuck if it has not ended and was silent for 15 minutes.",
        drawings=_some(ring("Runs by how they were", shares)),
        columns=(ReportColumn("Runs with", is_number=False), ReportColumn("Runs"), ReportColumn("Share")),
        rows=tuple((one.name, zones.grouped(one.value), _share(one.value, runs.total)) for one in shares if one.value),
    )


def _clients(report: RunsReport) -> ReportPart:
    of = [Bar(one.name, (one.crashed, one.stuck, one.good, one.running)) for one in report.clients]
    return ReportPart(
        title="Clients",
        about="Runs of each client, by how it was in them; the worst first. Bad: the share of them in which it crashed"
        " or was stuck.",
        drawings=_some(bars("Runs of each client: crashed, stuck, good, running", of, _CLIENT_LEGEND)),
        columns=(
            ReportColumn("Client", is_number=False),
            *(ReportColumn(name.capitalize()) for name, _ in _CLIENT_LEGEND),
            ReportColumn("Bad"),
        ),
        rows=tuple(
            (one.name, *map(zones.grouped, (one.crashed, one.stuck, one.good, one.running)), _share(one.bad, one.total))
            for one in report.clients
        ),
    )


def _bad(report: RunsReport) -> ReportPart:
    bad = [one for one in report.clients if one.bad]
    total = sum(one.bad for one in bad)
    return ReportPart(
        title="Bad runs by client",
        about="Which clients crashed or were stuck: their part of all such cases.",
        drawings=_some(
            ring("Runs in which a client crashed or was stuck, by client", [RingShare(o.name, o.bad) for o in bad])
        ),
        columns=(ReportColumn("Client", is_number=False), ReportColumn("Bad runs"), ReportColumn("Share")),
        rows=tuple((one.name, zones.grouped(one.bad), _share(one.bad, total)) for one in bad),
    )


def _keys(report: RunsReport) -> ReportPart:
    total = sum(one.runs for one in report.keys)
    return ReportPart(
        title="Run keys",
        about="Runs with each key.",
        drawings=_some(ring("Runs by key", [RingShare(one.key, one.runs) for one in report.keys])),
        columns=(ReportColumn("Key", is_number=False), ReportColumn("Runs"), ReportColumn("Share")),
        rows=tuple((one.key, zones.grouped(one.runs), _share(one.runs, total)) for one in report.keys),
    )


def _releases(report: RunsReport) -> ReportPart:
    keys = [one.key for one in report.keys]
    first, rest = keys[:_KEYS], keys[_KEYS:]
    legend = [(key, SERIES[1 + place]) for place, key in enumerate(first)] + ([("others", "k0")] if rest else [])
    of: list[Bar] = []
    for one in report.releases:
        values = [one.keys.get(key, 0) for key in first]
        of.append(Bar(one.release, (*values, *([sum(one.keys.get(key, 0) for key in rest)] if rest else ()))))
    return ReportPart(
        title="Releases",
        about="Runs with each release, by key.",
        drawings=_some(bars("Runs of each release, by key", of, legend)),
        columns=(ReportColumn("Release", is_number=False), ReportColumn("Keys", is_number=False), ReportColumn("Runs")),
        rows=tuple(
            (one.release, ", ".join(f"{key} {value}" for key, value in one.keys.items()), zones.grouped(one.runs))
            for one in report.releases
        ),
    )


def _rates(report: RunsReport) -> ReportPart:
    return ReportPart(
        title="Event rates",
        about="Events per second of clients that ended without an error in a run with sections. Charts of the clients"
        f" with most runs, at most {RATE_CHARTS}; the last one has all clients over their last section.",
        drawings=tuple(_rate_drawings(report)),
        columns=(
            ReportColumn("Client", is_number=False),
            ReportColumn("Key", is_number=False),
            ReportColumn("Runs"),
            ReportColumn("Mean Hz"),
            ReportColumn("Deviation"),
        ),
        rows=tuple(
            (one.client, one.key, zones.grouped(one.runs), f"{one.mean:.4g}", f"{one.deviation:.3g}")
            for one in report.rates
        ),
    )


def _rate_drawings(report: RunsReport) -> Iterator[ChartDrawing]:
    of: dict[str, list[ReportedRate]] = {}
    for one in report.rates:
        of.setdefault(one.client, []).append(one)
    chosen = sorted(of, key=lambda name: (-sum(one.runs for one in of[name]), name))[:RATE_CHARTS]
    for name in sorted(chosen):
        series = [PointSeries(one.key, one.points) for one in of[name]]
        if drawing := points(f"Event rate of {name} by run, in Hz", f"{name}: Hz by run", series):
            yield drawing
    by_section = [PointSeries(one.key, one.points) for one in report.rates_by_section]
    if drawing := points("Event rate by last section, in Hz", "All clients: Hz by section", by_section, narrow=False):
        yield drawing


def _exits(report: RunsReport) -> ReportPart:
    return ReportPart(
        title="Exit codes",
        about="How clients ended: 0 is without an error.",
        drawings=(),
        columns=(ReportColumn("Exit code"), ReportColumn("Clients"), ReportColumn("Runs")),
        rows=tuple((str(one.code), zones.grouped(one.clients), zones.grouped(one.runs)) for one in report.exits),
    )


def _some(drawing: ChartDrawing | None) -> tuple[ChartDrawing, ...]:
    return () if drawing is None else (drawing,)


def _share(value: int, total: int) -> str:
    return f"{value / total:.1%}" if total else zones.NOTHING

"""Makes the report over a range of runs of the public store, and writes it as files."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec import Struct

from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.mirror.store.reader import PublicReader
from countingroom.site.asset_files import AssetFiles
from countingroom.site.rendering import Renderer, SiteSettings
from countingroom.site.report import RunsReport
from countingroom.site.report_page import report_html
from countingroom.site.report_reading import chosen_range, read_report
from countingroom.site.whole_file import write_whole


class ReportPlan(Struct, frozen=True, kw_only=True):
    """What is reported, and where it is written."""

    store: str
    """URL of the public store."""
    title: str
    set: str = "production"
    first: int | None = None
    last: int | None = None
    count: int = 100
    """Without `first` so many of the last runs."""
    pdf: Path | None = None
    """The file, or a folder in which it gets its name."""
    html: Path | None = None


class ReportMade(Struct, frozen=True, kw_only=True):
    """What was made."""

    report: RunsReport
    files: tuple[Path, ...]


def make_report(plan: ReportPlan) -> ReportMade:
    """Read and write it. RequestError for a wrong range; ConfigurationError where there is no store, or a file cannot
    be written; LinkError where the database does not answer."""
    report = asyncio.run(_read(plan))
    written: list[Path] = []
    if plan.pdf:
        from countingroom.site.report_pdf import report_pdf  # its library takes a second to be imported

        written.append(_write(_named(plan.pdf, report, "pdf"), report_pdf(report, plan.title)))
    if plan.html:
        page = report_html(report, Renderer(SiteSettings(title=plan.title), AssetFiles().base))
        written.append(_write(_named(plan.html, report, "html"), page.encode()))
    return ReportMade(report=report, files=tuple(written))


async def _read(plan: ReportPlan) -> RunsReport:
    reader = PublicReader(plan.store)
    try:
        await reader.open()
        first, last = await chosen_range(reader, plan.set, plan.first, plan.last, plan.count)
        return await read_report(reader, plan.set, first, last, SystemClock().now_ns() / 1e9)
    finally:
        await reader.close()


def _named(path: Path, report: RunsReport, ending: str) -> Path:
    return path / f"report-{report.set}-{report.first}-{report.last}.{ending}" if path.is_dir() else path


def _write(path: Path, body: bytes) -> Path:
    try:
        write_whole(path, body)
    except OSError as error:
        raise ConfigurationError(
            f"the report cannot be written: {error.strerror}", source=str(path), suggestion="choose another place"
        ) from error
    return path

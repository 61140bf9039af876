"""The report on the site: as a page, as a PDF, as JSON; and as a file of HTML that stands by itself."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from countingroom.core.errors import RequestError
from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.drawing import svg
from countingroom.site.public_records import MOST_RUNS, PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.report import ReportCount, RunsReport
from countingroom.site.report_parts import report_parts, time_range, withheld_line
from countingroom.site.report_reading import chosen_range, withheld_counts
from countingroom.site.route_table import PageRequest

PDF = "application/pdf"
_MAX_AGE_S = 60


class ReportPages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer
        self._one = asyncio.Lock()
        """Pages of 1,000 runs are computed one at a time: others are answered in between."""

    async def page(self, question: PageRequest) -> SiteAnswer:
        """The page."""
        report = await self._report(question)
        chosen = {name: question[name] for name in ("from", "to")}
        known = await self._records.reader.run_range(question["db"])
        text = self._renderer.page("report.html", question, **_content(report), chosen=chosen, known=known)
        return SiteAnswer(body=text.encode(), max_age_s=_MAX_AGE_S)

    async def pdf(self, question: PageRequest) -> SiteAnswer:
        """The file."""
        report = await self._report(question)
        async with self._one:
            body = await asyncio.to_thread(_pdf, report, self._renderer.settings.title)
        name = f"report-{report.set}-{report.first}-{report.last}.pdf"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return SiteAnswer(body=body, media_type=PDF, max_age_s=_MAX_AGE_S, headers=headers)

    async def data(self, question: PageRequest) -> SiteAnswer:
        """All that is counted."""
        return as_json(await self._report(question), max_age_s=_MAX_AGE_S)

    async def _report(self, question: PageRequest) -> RunsReport:
        reader, set_name = self._records.reader, question["db"]
        first, last = await chosen_range(reader, set_name, question["from"], question["to"])
        numbers = await reader.runs(set_name, first=first, last=last, limit=MOST_RUNS + 1)
        if len(numbers) > MOST_RUNS:
            raise RequestError(
                f"there are more than {MOST_RUNS} runs from {first} to {last}",
                source="site",
                code="too_many_runs",
                suggestion="choose fewer, or let those who run this site use `countingroom mirror report`",
            )
        async with self._one:
            count = ReportCount(set_name, first, last, question.now_s)
            for run in await self._records.span(set_name, first, last):
                count.add(run)
            return count.report(len(numbers), await withheld_counts(reader))


def report_html(report: RunsReport, renderer: Renderer) -> str:
    """A page that stands by itself: without a script, its style in it, no other file needed."""
    style = (files("countingroom.site") / "static" / "site.css").read_text()
    return renderer.page("report_file.html", None, **_content(report), style=style)


def _pdf(report: RunsReport, title: str) -> bytes:
    from countingroom.site.report_pdf import report_pdf  # its library takes a second to be imported

    return report_pdf(report, title)


def _content(report: RunsReport) -> dict[str, object]:
    parts = [(one, [svg(drawing) for drawing in one.drawings]) for one in report_parts(report)]
    return {"report": report, "parts": parts, "range": time_range(report), "withheld": withheld_line(report)}

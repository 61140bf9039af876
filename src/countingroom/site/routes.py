"""All addresses of the site."""

from __future__ import annotations

from countingroom.site import answer_schemas
from countingroom.site.addresses import NUMBER, SET, SHOWN
from countingroom.site.answers import JSON, SVG, SiteAnswer, as_json
from countingroom.site.api_description import openapi
from countingroom.site.devices_page import DevicesPages
from countingroom.site.feeds import RSS, Feeds
from countingroom.site.log_view import PARTS
from countingroom.site.notes_page import NotesPages
from countingroom.site.now_page import NowPages
from countingroom.site.original_api import PARAMETERS, OriginalApi
from countingroom.site.parameters import AddressParameter
from countingroom.site.public_api import PublicApi
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.report_page import PDF, ReportPages
from countingroom.site.route_table import PageRequest, SiteRoute, SiteRoutes
from countingroom.site.run_page import PublicRunPages
from countingroom.site.timeline_page import TimelinePages
from countingroom.site.uptime_page import UptimePages
from countingroom.site.withheld_view import withheld

_LONG_S = 3600.0
_ID = AddressParameter("id", "text", "Alias of a document.")
_BEFORE = AddressParameter("before", "integer", "Only runs with a smaller number.")
_SEARCH = AddressParameter("q", "text", "Lines that hold this text.", default="")
_PART = AddressParameter("part", "choice", "Which part of the log.", default="end", choices=PARTS)
_BEFORE_NOTE = AddressParameter("before", "integer", "Only notes with a smaller number.")
_LIMIT = AddressParameter("limit", "integer", "At most so many.", default=50, least=1, most=500)
_DEVICE = AddressParameter("device", "text", "Name of a device.", required=True)
_POINT = AddressParameter("point", "text", "Name of one of its points.", required=True)
_HOURS = AddressParameter("hours", "integer", "Of so many of the last hours.", default=24, least=1, most=24 * 366)
_BAD = AddressParameter("bad", "flag", "Only clients that are not as they should be.", default=False)
_LOG = AddressParameter("log", "text", "Whose log is shown: the alias of its document.", default="")
_CLIENT = AddressParameter("client", "text", "Name of a client.", default="")
_FROM = AddressParameter("from", "integer", "First run.")
_TO = AddressParameter("to", "integer", "Last run.")
_CRASHED = AddressParameter("bad", "flag", "Only clients whose exit code is not 0.", default=False)
_SECTIONS = AddressParameter("ls", "flag", "Only clients that have a section.", default=False)
_SPAN = (_FROM, _TO, _CRASHED, _SECTIONS)


def site_routes(records: PublicRecords, renderer: Renderer, now_pages: NowPages, version: str) -> SiteRoutes:
    """The table."""
    settings = renderer.settings
    runs = PublicRunPages(records, renderer)
    timeline = TimelinePages(records, renderer)
    report = ReportPages(records, renderer)
    uptime = UptimePages(records, renderer)
    notes = NotesPages(records, renderer)
    devices = DevicesPages(records, renderer)
    feeds = Feeds(records, renderer)
    api, original = PublicApi(records, settings.title), OriginalApi(records)

    async def about(question: PageRequest) -> SiteAnswer:
        counts = withheld(await records.reader.sources(), await records.reader.withheld())
        return SiteAnswer(body=renderer.page("about.html", question, counts=counts).encode(), max_age_s=60)

    async def go_to(question: PageRequest) -> SiteAnswer:
        tail = "".join(f"&{name}={question[name]}" for name in ("db",) if question[name] != "production")
        target = f"{settings.prefix}/run/{question['run']}{'?' + tail[1:] if tail else ''}"
        return SiteAnswer(body=b"", status=303, headers={"Location": target}, max_age_s=0)

    async def described(question: PageRequest) -> SiteAnswer:
        return as_json(openapi(table, title=settings.title, version=version, url=settings.url), max_age_s=3600)

    async def interface(question: PageRequest) -> SiteAnswer:
        if question["what"] is not None:
            return await original.answer(question)
        shown = [one for one in table if one.path.startswith("/api/")]
        return SiteAnswer(
            body=renderer.page("api.html", None, routes=shown, original=PARAMETERS).encode(), max_age_s=3600
        )

    table = (
        SiteRoute(path="/", answer=now_pages.now, title="Now", parameters=SHOWN),
        SiteRoute(path="/wall", answer=now_pages.wall, title="Wall display", parameters=SHOWN),
        SiteRoute(path="/runs", answer=now_pages.runs, title="Runs", parameters=(*SHOWN, _BEFORE)),
        SiteRoute(
            path="/run/{number}",
            answer=runs.run,
            title="A run",
            slots=(NUMBER,),
            parameters=(*SHOWN, _BAD, _LOG, _CLIENT, _SEARCH, _PART),
        ),
        SiteRoute(
            path="/log/{id}",
            answer=runs.log,
            title="The log of a client",
            slots=(_ID,),
            parameters=(*SHOWN, _SEARCH, _PART),
        ),
        SiteRoute(path="/timeline", answer=timeline.timeline, title="Timeline", parameters=(*SHOWN, *_SPAN)),
        SiteRoute(
            path="/crashes",
            answer=timeline.crashes,
            title="Crashes of clients",
            parameters=(
                *SHOWN,
                _CLIENT,
                AddressParameter("runs", "integer", "In so many of the last runs.", default=200, least=1, most=1000),
            ),
        ),
        SiteRoute(path="/report", answer=report.page, title="Report of runs", parameters=(*SHOWN, _FROM, _TO)),
        SiteRoute(
            path="/report.pdf",
            answer=report.pdf,
            title="Report of runs as a PDF",
            parameters=(SET, _FROM, _TO),
            media_type=PDF,
            keep_s=60.0,
        ),
        SiteRoute(
            path="/devices", answer=devices.page, title="Devices and the values of their points", parameters=SHOWN
        ),
        SiteRoute(path="/computers", answer=now_pages.computers, title="Computers", parameters=SHOWN),
        SiteRoute(
            path="/compare",
            answer=runs.compare,
            title="Two runs beside each other",
            parameters=(
                *SHOWN,
                AddressParameter("number", "integer", "First run.", required=True),
                AddressParameter("with", "integer", "Second run."),
            ),
        ),
        SiteRoute(path="/rss", answer=feeds.rss, title="News as RSS", parameters=(SET,), media_type=RSS, keep_s=30.0),
        SiteRoute(path="/badges", answer=feeds.badges, title="Badges", parameters=SHOWN),
        SiteRoute(
            path="/badge/{name}",
            answer=feeds.badge,
            title="A badge",
            slots=(AddressParameter("name", "text", "Name with .svg."),),
            parameters=(SET,),
            media_type=SVG,
        ),
        SiteRoute(
            path="/goto",
            answer=go_to,
            title="To a run",
            parameters=(*SHOWN, AddressParameter("run", "integer", "Number of the run.", required=True)),
        ),
        SiteRoute(
            path="/notes", answer=notes.page, title="Incidents and maintenance", parameters=(*SHOWN, _BEFORE_NOTE)
        ),
        SiteRoute(path="/uptime", answer=uptime.page, title="Uptime of the mirror", parameters=SHOWN, keep_s=30.0),
        SiteRoute(path="/about", answer=about, title="What is shown, and why", parameters=SHOWN),
        SiteRoute(
            path="/api",
            answer=interface,
            title="The answers of the original mirror, by `what`; without it a page that describes the API",
            parameters=PARAMETERS,
            others=True,
            media_type=JSON,
            schema=answer_schemas.ORIGINAL,
            keep_s=2.0,
        ),
        SiteRoute(
            path="/api/v1/openapi.json",
            answer=described,
            title="This description",
            media_type=JSON,
            schema=answer_schemas.DESCRIPTION,
            keep_s=_LONG_S,
        ),
        SiteRoute(
            path="/api/v1/now",
            answer=api.now,
            title="Partitions, alarms, nodes and the rest of the experiment, as they are",
            media_type=JSON,
            schema=answer_schemas.NOW,
            example={"title": "Example", "version": 812, "status": {"word": "Up to date"}, "partition": []},
        ),
        SiteRoute(
            path="/api/v1/notes",
            answer=notes.data,
            title="Incidents, maintenance and other notes, the newest first",
            parameters=(_BEFORE_NOTE, _LIMIT),
            media_type=JSON,
            schema=answer_schemas.NOTES,
        ),
        SiteRoute(
            path="/api/v1/uptime",
            answer=uptime.data,
            title="Which part of each of the last 90 days each kind of source was fresh",
            media_type=JSON,
            keep_s=30.0,
            example={
                "kinds": [{"kind": "host", "name": "runs", "share": 0.9993, "away_s": 5443.0, "days": []}],
                "notes": [],
            },
        ),
        SiteRoute(
            path="/api/v1/sources",
            answer=api.sources,
            title="How fresh the site is",
            media_type=JSON,
            schema=answer_schemas.SOURCES,
        ),
        SiteRoute(
            path="/api/v1/runs",
            answer=api.runs,
            title="Runs with their counts, the newest first",
            parameters=(SET, _BEFORE, _LIMIT),
            media_type=JSON,
            schema=answer_schemas.RUNS,
        ),
        SiteRoute(
            path="/api/v1/timeline",
            answer=api.timeline,
            title="Clients of a range of runs; of at most 1000 runs, the last 100 without `from`",
            parameters=(SET, *_SPAN),
            media_type=JSON,
            schema=answer_schemas.TIMELINE,
        ),
        SiteRoute(
            path="/api/v1/report",
            answer=report.data,
            title="Counts of at most 1000 runs: clients, keys, releases, rates; the last 100 without `from`",
            parameters=(SET, _FROM, _TO),
            media_type=JSON,
        ),
        SiteRoute(
            path="/api/v1/runs/{number}",
            answer=api.run,
            title="One run with its clients",
            slots=(NUMBER,),
            parameters=(SET,),
            media_type=JSON,
            schema=answer_schemas.RUN,
        ),
        SiteRoute(
            path="/api/v1/runs/{number}/streams",
            answer=api.streams,
            title="Delivery delay and accepted events of the streams of a run",
            slots=(NUMBER,),
            parameters=(SET,),
            media_type=JSON,
            schema=answer_schemas.STREAMS,
        ),
        SiteRoute(
            path="/api/v1/logs/{id}",
            answer=api.log,
            title="The log of a client: only approved lines",
            slots=(_ID,),
            parameters=(SET, _SEARCH),
            media_type=JSON,
            schema=answer_schemas.LOG,
        ),
        SiteRoute(
            path="/api/v1/devices",
            answer=devices.data,
            title="Devices with the newest value of each published point",
            media_type=JSON,
            schema=answer_schemas.DEVICES,
        ),
        SiteRoute(
            path="/api/v1/history",
            answer=devices.history,
            title="Values of one point that left, the oldest first; at most the newest 5,000",
            parameters=(_DEVICE, _POINT, _HOURS),
            media_type=JSON,
            schema=answer_schemas.HISTORY,
        ),
        SiteRoute(
            path="/api/v1/computers",
            answer=api.computers,
            title="Computers by alias, and whether each is up",
            parameters=(SET,),
            media_type=JSON,
            schema=answer_schemas.COMPUTERS,
        ),
    )
    return SiteRoutes(table)

"""News for other programs: an RSS feed, and badges that other pages show as pictures."""

from __future__ import annotations

from email.utils import format_datetime

from markupsafe import escape

from countingroom.core.errors import NotFound
from countingroom.site import now_view, zones
from countingroom.site.answers import SVG, SiteAnswer
from countingroom.site.clients import ClientPhase
from countingroom.site.notes_view import NOTE, notes
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest

RSS = "application/rss+xml; charset=utf-8"
_ITEMS = 40
_RUNS = 30
_COLOURS = {"": "#4a525a", "g1": "#b3141b", "g2": "#8f4900", "g3": "#5f5400", "stale": "#6a3d9a"}
BADGES = ("mirror", "run", "alarms", "crashed", "incidents")


class Feeds:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer
        self._base = renderer.settings.url.rstrip("/") or ""

    async def rss(self, question: PageRequest) -> SiteAnswer:
        """Runs, crashes, alarms and notes, the newest first."""
        title = self._renderer.settings.title
        items = sorted(await self._items(question), key=lambda one: -one[0])[:_ITEMS]
        utc = zones.zone(zones.UTC_NAME)
        parts = [
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>',
            f"<title>{escape(title)}</title><link>{escape(self._base or '/')}/</link>",
            f"<description>Public status of {escape(title)}</description>",
        ]
        for at_s, text, path, id in items:
            at = zones.moment(at_s, utc)
            date = f"<pubDate>{format_datetime(at)}</pubDate>" if at else ""
            link = f"<link>{escape(self._base + path)}</link>"
            parts.append(
                f'<item><title>{escape(text)}</title>{link}<guid isPermaLink="false">{escape(id)}</guid>{date}</item>'
            )
        parts.append("</channel></rss>")
        return SiteAnswer(body="".join(parts).encode(), media_type=RSS, max_age_s=60)

    async def _items(self, question: PageRequest) -> list[tuple[float, str, str, str]]:
        reader, set_name = self._records.reader, question["db"]
        numbers = await self._records.runs(set_name, limit=_RUNS)
        found: list[tuple[float, str, str, str]] = []
        for run in await self._records.span(set_name, numbers[-1], numbers[0]) if numbers else []:
            path = f"/run/{run.number}"
            begun_s = min((one.at_s for one in run.clients), default=0.0)
            found.append((begun_s, f"Run {run.number}: {len(run.clients)} clients", path, f"run-{run.number}"))
            for one in run.clients:
                if one.exit_code:
                    text = f"{one.name} crashed in run {run.number}, exit {one.exit_code}"
                    found.append((one.at_s, text, path, f"crash-{one.id}"))
        for alarm in now_view.alarms(await reader.now("alarm")):
            text = f"Alarm: {alarm.what}"
            found.append((alarm.since_s or 0.0, text, "/", f"alarm-{alarm.where}-{alarm.since_s or 0:.0f}"))
        for note in notes(await reader.now(NOTE), question.now_s):
            path, id = f"/notes#note-{note.number}", f"note-{note.number}"
            told = [(note.made_s or note.from_s or 0.0, f"{note.what}: {note.title}", id)]
            told += [
                (one.at_s or 0.0, f"{note.title}: {one.text}", f"{id}-{at}") for at, one in enumerate(note.updates)
            ]
            if note.ended_s:
                told.append((note.ended_s, f"{note.title}: ended", f"{id}-ended"))
            found += [(at_s, text, path, of) for at_s, text, of in told]
        return found

    async def badge(self, question: PageRequest) -> SiteAnswer:
        """A badge by its name: `mirror.svg`."""
        name = str(question["name"]).removesuffix(".svg")
        if name not in BADGES or not str(question["name"]).endswith(".svg"):
            raise NotFound(f"there is no such badge; known: {', '.join(BADGES)}", source="site")
        text, level = await self._badge(name, question)
        return SiteAnswer(body=badge_svg(name, text, level).encode(), media_type=SVG, max_age_s=10)

    async def _badge(self, name: str, question: PageRequest) -> tuple[str, str]:
        reader, set_name, now_s = self._records.reader, question["db"], question.now_s
        if name == "mirror":
            fresh = now_view.freshness(await reader.sources(), self._records.version.at, now_s)
            return fresh.word.lower(), "" if fresh.level == "full" else fresh.level
        if name == "incidents":
            every = notes(await reader.now(NOTE), now_s)
            number = sum(1 for one in every if one.sort == "incident" and one.phase == "open")
            return (f"{number} open", "g2") if number else ("none", "")
        if name == "alarms":
            if unknown := now_view.alarms_unknown(await reader.sources(), now_s):
                return unknown, "stale"
            alarms = now_view.alarms(await reader.now("alarm"))
            return (f"{len(alarms)} active", f"g{min(3, alarms[0].level)}") if alarms else ("none", "")
        numbers = await self._records.runs(set_name, limit=1)
        run = await self._records.run(set_name, numbers[0]) if numbers else None
        if run is None:
            return "none", "stale"
        counts = run.counts(now_s)
        if name == "run":
            return f"{run.number} {'running' if run.is_going_on(now_s) else 'ended'}", ""
        return str(counts[ClientPhase.CRASHED]), "g1" if counts[ClientPhase.CRASHED] else ""

    async def badges(self, question: PageRequest) -> SiteAnswer:
        """The page that shows them, and how to show one elsewhere."""
        base = self._base or self._renderer.settings.prefix
        text = self._renderer.page("badges.html", question, badges=BADGES, base=base)
        return SiteAnswer(body=text.encode(), max_age_s=60)


def badge_svg(name: str, text: str, level: str) -> str:
    """A picture of 20 px height; the shape of the level stands before the text, as colour alone does not tell."""
    left, mark = 12 + 6.6 * len(name), 12 if level else 0
    right = 12 + 6.6 * len(text) + mark
    shape = {
        "g1": f'<rect x="{left + 6}" y="6" width="8" height="8" fill="#fff"/>',
        "g2": f'<path d="M{left + 10} 6l4.5 8h-9z" fill="#fff"/>',
        "g3": f'<path d="M{left + 10} 5l5 5-5 5-5-5z" fill="#fff"/>',
        "stale": f'<circle cx="{left + 10}" cy="10" r="4" fill="none" stroke="#fff" stroke-dasharray="2 1.5"/>',
    }.get(level, "")
    label = escape(f"{name}: {text}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.0f}" height="20" role="img"'
        f' aria-label="{label}"><title>{label}</title><rect width="{left:.0f}" height="20" fill="#22262a"/>'
        f'<rect x="{left:.0f}" width="{right:.0f}" height="20" fill="{_COLOURS.get(level, "#4a525a")}"/>{shape}'
        f'<g fill="#fff" font-family="system-ui,sans-serif" font-size="11"><text x="6" y="14">{escape(name)}</text>'
        f'<text x="{left + 6 + mark:.0f}" y="14">{escape(text)}</text></g></svg>'
    )

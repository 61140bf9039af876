"""Renders the pages. What is a template is text of this package; what comes from the store is always escaped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec import Struct

from countingroom.site import zones
from countingroom.site.live import PageCells
from countingroom.site.route_table import PageRequest

_CELL = re.compile("\ue000(\\d+)\ue001")
_BY_SCRIPT = re.compile(r'<time [^>]*data-fresh[^>]*>[^<]*</time>|<svg class="plot small".*?</svg>', re.DOTALL)
"""What the live news or the next page renew in place: no reason to read the page again at once."""
_NOTHING = escape(zones.NOTHING)
_CLASSES = {"running": "full", "finished": "empty", "stuck": "g2", "crashed": "g1"}


class SiteSettings(Struct, frozen=True, kw_only=True):
    """What the site is called and where it is."""

    title: str = "Experiment"
    url: str = ""
    """Its public address, for feeds and badges: `https://status.example.org`; empty: addresses are relative."""
    copied: str = ""
    """When this copy of the site was made; empty: it is no copy."""
    prefix: str = ""
    """Path before all addresses, where a proxy serves it below one: `/dqm`."""


class PageTimes:
    """Writes the times of one page."""

    def __init__(self, place: tzinfo, now_s: float) -> None:
        self._place = place
        self._now_s = now_s

    def short(self, at_s: float | None) -> Markup:
        """With the whole time for programs, and for a pointer."""
        shown = zones.short(at_s, self._place, self._now_s)
        if not (iso := zones.iso(at_s)):
            return _NOTHING
        full = zones.full(at_s, self._place)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, full, shown)

    def plain(self, at_s: float | None) -> str:
        """Without more, where there are many."""
        return zones.short(at_s, self._place, self._now_s)

    def ago(self, at_s: float | None) -> Markup:
        """The time, which the script of the page turns into `4 s ago`."""
        if not (iso := zones.iso(at_s)):
            return _NOTHING
        full, shown = zones.full(at_s, self._place), zones.short(at_s, self._place, self._now_s)
        return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(iso, full, shown)

    def fresh(self, kind: str, at_s: float | None) -> Markup:
        """When a kind of source was heard, which the live news renew."""
        if not (iso := zones.iso(at_s)):
            return _NOTHING
        shown = zones.short(at_s, self._place, self._now_s)
        return Markup('<time datetime="{}" data-fresh="{}" data-ago>{}</time>').format(iso, kind, shown)


class _Cells:
    """Collects the texts of a page that may change while it is open."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def __call__(self, key: str, text: object) -> Markup:
        self.texts.append((key, str(text)))
        return Markup(f"\ue000{len(self.texts) - 1}\ue001")  # noqa: S704 (a number between two signs of our own)

    def shown(self, page: str) -> str:
        """The page with the texts in their places."""

        def put(match: re.Match[str]) -> str:
            key, text = self.texts[int(match[1])] if int(match[1]) < len(self.texts) else ("", "")
            return f'<span data-cell="{escape(key)}">{escape(text)}</span>'

        return _CELL.sub(put, page)


class Renderer:
    """Makes pages of templates."""

    def __init__(self, settings: SiteSettings, assets: str) -> None:
        self.settings = settings
        loader = PackageLoader("countingroom.site", "templates")
        self._environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        shared: dict[str, Any] = self._environment.globals  # pyright: ignore[reportAssignmentType]
        shared |= {
            "site": settings,
            "assets": settings.prefix + assets,
            "zones": zones.OFFERED,
            "marks": _CLASSES,
        }
        self._environment.filters |= {"grouped": zones.grouped, "span": zones.span, "compact": zones.compact}

    def page(self, name: str, question: PageRequest | None, **content: Any) -> str:
        """A whole page."""
        return self._render(name, question, content)[0]

    def cells(self, name: str, question: PageRequest, **content: Any) -> PageCells:
        """The texts of a page that may change, and a digest of the rest."""
        _, texts, rest = self._render(name, question, content)
        shape = _BY_SCRIPT.sub("", rest)
        return PageCells(dict(texts), hashlib.sha256(shape.encode()).hexdigest()[:16])

    def _render(
        self, name: str, question: PageRequest | None, content: Mapping[str, Any]
    ) -> tuple[str, list[tuple[str, str]], str]:
        cells = _Cells()
        zone_name = (question.get("tz") if question else None) or zones.UTC_NAME
        now_s = question.now_s if question else 0.0
        place = zones.zone(zone_name)
        address = _Addresses(self.settings.prefix, question)
        rest = self._environment.get_template(name).render(
            cell=cells,
            times=PageTimes(place, now_s),
            link=address.link,
            here=address.here,
            kept=address.kept,
            zone=zone_name,
            path=question.path if question else "",
            **content,
        )
        return cells.shown(rest), cells.texts, rest


class _Addresses:
    """Links of a page: what the viewer chose stays in them."""

    def __init__(self, prefix: str, question: PageRequest | None) -> None:
        self._prefix = prefix
        self._question = question
        self.kept: dict[str, str] = {}
        """Parameters that every link keeps."""
        for name, usual in (("tz", zones.UTC_NAME), ("db", "production")):
            value = question.get(name) if question else None
            if value and value != usual:
                self.kept[name] = str(value)

    def link(self, path: str, **parameters: Any) -> str:
        """An address of this site."""
        given = {name: str(value) for name, value in parameters.items() if value not in (None, "", False)}
        query = urlencode({**self.kept, **given})
        return f"{self._prefix}{path}?{query}" if query else f"{self._prefix}{path}"

    def here(self, **changes: Any) -> str:
        """This page, with other parameters."""
        if self._question is None:
            return self._prefix + "/"
        values = {name: "1" if value is True else value for name, value in {**self._question.values, **changes}.items()}
        chosen = {name: str(value) for name, value in values.items() if value not in (None, "", False)}
        for name, usual in (("tz", zones.UTC_NAME), ("db", "production")):
            if chosen.get(name) == usual:
                del chosen[name]
        query = urlencode(chosen)
        return f"{self._prefix}{self._question.path}" + (f"?{query}" if query else "")

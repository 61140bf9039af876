"""The row of the mirror in the table of departments (`departments.py`)."""

from __future__ import annotations

from typing import Final

from countingroom.core.department import Department, DescriptionSection, NavigationLink, ProcessRole, live
from countingroom.core.role_grants import MIRROR

_API = "countingroom.console.api"
_PAGES = "countingroom.console.pages"

MIRROR_ROW: Final = Department(
    name="mirror",
    title="the mirror",
    section=DescriptionSection(
        key="mirror",
        model="countingroom.mirror.description:MirrorSection",
        about="What of the experiment leaves the laboratory, and in which form.",
    ),
    roles=(
        ProcessRole(
            name="mirror",
            start="countingroom.app.mirror:mirror",
            commands=("mirror",),
            owner="the mirror",
            bus=MIRROR,
            modules=("countingroom.mirror.store.store",),
        ),
    ),
    state=(
        live("mirror", "mirror.states:FeedState"),
        live("mirror_templates", "mirror.template_queries:TemplatesState"),
        live("mirror_notes", "mirror.note_queries:NotesState"),
        live("upstreams", "mirror.control:UpstreamControlState"),
    ),
    api=tuple(f"{_API}.{name}" for name in ("mirror", "mirror_control", "mirror_notes", "mirror_templates")),
    pages=(f"{_PAGES}.control_room_pages", f"{_PAGES}.mirror_pages"),
    links=(
        NavigationLink(title="Control room", address="/control", pages=("control",), needs=("has_control",)),
        NavigationLink(title="Public notes", address="/public-notes", pages=("public-notes",), needs=("has_notes",)),
        NavigationLink(title="Log lines", address="/log-lines", pages=("log-lines",), needs=("has_log_lines",)),
    ),
)

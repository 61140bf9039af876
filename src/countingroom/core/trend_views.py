"""A saved view of the page of trends: points, axes and range under a name, for every user of the experiment.

The query is that of the address `/trends?…`. It is checked, because a page makes a link of it.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from msgspec import Struct

from countingroom.core.errors import OutOfRange
from countingroom.core.plain_text import hidden_character

LONGEST_NAME = 60
LONGEST_QUERY = 4000
MOST_POINTS = 32
_KEY = re.compile(r"(point|log)[2-4]?|span|from|to")
_SEPARATORS = re.compile(r"[/\\\t\r\n]")


class TrendView(Struct, frozen=True, kw_only=True):
    """A view as it is stored."""

    name: str
    query: str
    """`point=caen.0.hv_vMon&log=1&span=3600`: without the question mark."""
    owner: str
    """The user who created it. This user and administrators may overwrite and delete it."""
    created_ns: int
    changed_by: str
    changed_ns: int
    revision: int
    """1 for a new view, one more with each change."""


def checked_name(text: str) -> str:
    """The name without spaces around it. OutOfRange where it is empty, too long, or cannot be shown or linked to."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or _SEPARATORS.search(name) or hidden_character(name):
        raise OutOfRange(
            "this cannot be the name of a view",
            source="views",
            suggestion=f"use a text of at most {LONGEST_NAME} characters without / and \\",
        )
    return name


def checked_query(text: str) -> str:
    """The query itself. OutOfRange where it is not one of the page of trends."""
    query = text.removeprefix("?")
    pairs = parse_qsl(query, keep_blank_values=True) if len(query) <= LONGEST_QUERY else []
    points = sum(key.startswith("point") for key, _ in pairs)
    if not pairs or points > MOST_POINTS or not all(_KEY.fullmatch(key) for key, _ in pairs):
        raise OutOfRange(
            "this is not a query of the page of trends",
            source="views",
            suggestion="give point, log, span, from and to as in the address of the page",
        )
    return query

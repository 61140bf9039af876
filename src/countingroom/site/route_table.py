"""Routes as values: an address with its parameters and what answers it, and how a path finds its route. Pure."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from countingroom.core.errors import NotFound, RequestError
from countingroom.site.answers import HTML, SiteAnswer
from countingroom.site.parameters import AddressParameter, read_path, read_query

_SLOT = re.compile(r"\{(\w+)\}")


class PageRequest(Struct, frozen=True, kw_only=True):
    """A request after its check."""

    path: str
    values: Mapping[str, Any]
    """Of the query."""
    slots: Mapping[str, Any] = {}
    """Of the path."""
    now_s: float

    def __getitem__(self, name: str) -> Any:
        return self.slots[name] if name in self.slots else self.values[name]

    def get(self, name: str) -> Any:
        """The value of a parameter that not each route has."""
        return self.values.get(name)


Responder = Callable[[PageRequest], Awaitable[SiteAnswer]]


class SiteRoute(Struct, frozen=True, kw_only=True):
    """An address."""

    path: str
    """`/run/{number}`."""
    answer: Responder
    title: str
    slots: tuple[AddressParameter, ...] = ()
    """Of the path."""
    parameters: tuple[AddressParameter, ...] = ()
    media_type: str = HTML
    keep_s: float = 5.0
    """So long an answer is used again although no news came: its words about time may change."""
    others: bool = False
    """Unknown parameters are left out, as the original did."""
    schema: Mapping[str, Any] = {}
    """JSON schema of an answer in the API."""
    example: Any = None
    """Of an answer, for the description of the API."""


class SiteRoutes:
    """All addresses."""

    def __init__(self, routes: Sequence[SiteRoute]) -> None:
        self.routes = tuple(routes)
        self._fixed = {one.path: one for one in routes if "{" not in one.path}
        self._open = [(_expression(one.path), one) for one in routes if "{" in one.path]

    def find(self, path: str) -> tuple[SiteRoute, Mapping[str, str]]:
        """The route of a path, and the texts of its slots; NotFound."""
        if found := self._fixed.get(path):
            return found, {}
        for expression, route in self._open:
            if match := expression.fullmatch(path):
                return route, match.groupdict()
        raise NotFound(f"there is no page {path[:80]}", source="site", suggestion="go to /")

    def question(
        self, route: SiteRoute, slots: Mapping[str, str], path: str, query: bytes, now_s: float
    ) -> PageRequest:
        """The checked request; RequestError for a wrong parameter, NotFound for a wrong part of the path."""
        try:
            given = read_path(slots, route.slots)
        except RequestError as error:
            raise NotFound(f"there is no page {path[:80]}", source="site", suggestion="go to /") from error
        values = read_query(query, route.parameters, others=route.others)
        return PageRequest(path=path, values=values, slots=given, now_s=now_s)


def plain_path(raw: bytes) -> str:
    """The path of a request as text; NotFound where it is none."""
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotFound("there is no such page", source="site", suggestion="go to /") from error


def _expression(path: str) -> re.Pattern[str]:
    parts = _SLOT.split(path)
    text = "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(text)

"""The description of the API (OpenAPI), made of the table of routes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from countingroom.site.answers import HTML
from countingroom.site.parameters import AddressParameter
from countingroom.site.route_table import SiteRoute

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("code", "message", "suggestion")},
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}


def openapi(routes: Iterable[SiteRoute], *, title: str, version: str, url: str) -> dict[str, Any]:
    """The document. `url`: public address of the site; empty: relative."""
    described = {one.path: {"get": _operation(one)} for one in routes if one.path.startswith("/api")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Public status of {title}",
            "version": version,
            "description": "Read only. Names of computers and people are aliases. Every answer has an ETag: ask with "
            "If-None-Match, at most once a second.",
        },
        "servers": [{"url": url or "/"}],
        "paths": described,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _operation(route: SiteRoute) -> dict[str, Any]:
    wrong = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    content: dict[str, Any] = {"schema": route.schema}
    if route.example is not None:
        content["example"] = route.example
    media_type = route.media_type.partition(";")[0]
    answers: dict[str, dict[str, Any]] = {
        "200": {"description": "As described.", "content": {media_type: content}},
        "304": {"description": "Not changed since the answer with this ETag."},
        "400": {"description": "A parameter is wrong.", "content": wrong},
        "404": {"description": "There is no such thing.", "content": wrong},
        "503": {"description": "The records cannot be read at the moment.", "content": wrong},
    }
    if route.path == "/api":
        answers["200"]["content"][HTML.partition(";")[0]] = {"schema": {"type": "string"}}
    given = [_parameter(one, "path") for one in route.slots] + [_parameter(one, "query") for one in route.parameters]
    name = re.sub(r"\W+", "_", route.path).strip("_")
    return {"operationId": name, "summary": route.title, "parameters": given, "responses": answers}


def _parameter(one: AddressParameter, place: str) -> dict[str, Any]:
    needed = place == "path" or one.required
    return {"name": one.name, "in": place, "required": needed, "description": one.about, "schema": one.schema()}

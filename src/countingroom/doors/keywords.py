"""The keywords of a door's replies as a JSON schema, as CLU has its data model. Pure."""

from __future__ import annotations

import json
from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_ERROR = {
    "oneOf": [
        _TEXTS,
        _TEXT,
        {
            "type": "object",
            "properties": {
                "module": _TEXT,
                "type": _TEXT,
                "message": _TEXT,
                "filename": {"oneOf": [_TEXT, {"type": "null"}]},
                "lineno": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
                "traceback": {"oneOf": [_TEXTS, _TEXT]},
            },
        },
    ]
}


def _row(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": list(items), "minItems": len(items), "maxItems": len(items)}


_YES_NO = {"type": "boolean"}
_OF_CLU: dict[str, Any] = {
    "text": _TEXT,
    "schema": _TEXT,
    "version": _TEXT,
    "help": {"oneOf": [_TEXTS, _TEXT]},
    "error": _ERROR,
    "exception": _ERROR,
    "exception_info": _ERROR,
    "yourUserID": {"type": "integer"},
    "UserInfo": {"type": "array", "items": [{"type": "integer"}, _TEXT]},
    "num_users": {"type": "integer"},
    # In the legacy protocol it is the JSON of the object, as a text.
    "command_model": {"oneOf": [{"type": "array"}, {"type": "object"}, _TEXT]},
}
_OF_THE_FLEET: dict[str, Any] = {
    "enabledNodes": _TEXTS,
    "node": _row(_TEXT, _TEXT, _TEXT, _YES_NO, _YES_NO),
    "container": _row(_TEXT, _TEXT),
    "volume": _row(_TEXT, _TEXT, _YES_NO, _TEXT),
    "filename": {"type": "array"},
    "filename_bundle": _TEXTS,
}
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": _OF_CLU | _OF_THE_FLEET,
    "additionalProperties": True,
}
"""Further keywords are those of the cameras, which `talk` passes on."""


def keyword_lines(keyword: str) -> list[str] | None:
    """The lines that explain a keyword; None if there is no such keyword."""
    found = SCHEMA["properties"].get(keyword)
    if found is None:
        return None
    lines = json.dumps(found, indent=2).splitlines()[1:]
    width = max(map(len, lines))
    return [f"{keyword} = {{".ljust(width), *(line.replace('"', "").ljust(width) for line in lines)]

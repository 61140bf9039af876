"""What the answers of the JSON API look like, as JSON schemas of its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from countingroom.mirror.store.values import RecordKind
from countingroom.site.clients import ClientPhase

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}
_MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_MOMENT: Schema = {"type": "string", "description": "ISO 8601, UTC; empty where it is not known."}
_PHASE: Schema = {"enum": [one.value for one in ClientPhase]}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _table(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _record(fields: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these fields and no others."""
    every = {**fields, **(optional or {})}
    return {"type": "object", "properties": every, "required": list(fields), "additionalProperties": False}


_COUNTS = _record({one.value: _WHOLE for one in ClientPhase})
_RUN_FIELDS: Mapping[str, Schema] = {
    "number": _WHOLE,
    "set": _TEXT,
    "going_on": _FLAG,
    "last_heard": _MOMENT,
    "section": _MAYBE_WHOLE,
    "events": _MAYBE_WHOLE,
    "release": _TEXT,
    "key": _TEXT,
    "counts": _COUNTS,
}
_CLIENT = _record(
    {
        "id": _TEXT,
        "run": _WHOLE,
        "name": _TEXT,
        "host": _TEXT,
        "exit_code": _MAYBE_WHOLE,
        "is_ended": _FLAG,
        "events": _MAYBE_WHOLE,
        "rate": _MAYBE_NUMBER,
        "section": _MAYBE_WHOLE,
        "memory_mb": _MAYBE_NUMBER,
        "inner": _TEXT,
        "release": _TEXT,
        "key": _TEXT,
        "phase": _PHASE,
        "last_heard": _MOMENT,
    }
)
_STATE = _record({"key": _TEXT, "at": _MOMENT, "body": {"type": "object"}})

DESCRIPTION: Schema = {"type": "object", "required": ["openapi", "info", "paths"]}
NOW = _record(
    {
        "title": _TEXT,
        "version": _WHOLE,
        "status": _record({"word": _TEXT, "last_heard": _MOMENT, "last_news": _MOMENT}),
    },
    optional={kind: _list(_STATE) for kind in get_args(RecordKind)},
)
SOURCES = _record(
    {
        "status": _TEXT,
        "sources": _list(
            _record(
                {
                    "name": _TEXT,
                    "last_heard": _MOMENT,
                    "stale": _FLAG,
                    "sources": _WHOLE,
                    "connected": _WHOLE,
                    "trouble": _TEXT,
                }
            )
        ),
        "lines": _WHOLE,
        "lines_withheld": _WHOLE,
        "records_withheld": _WHOLE,
        "withheld": _list(_record({"name": _TEXT, **dict.fromkeys(("records", "lines", "lines_withheld"), _WHOLE)})),
    }
)
_NOTE_TIMES = dict.fromkeys(("from", "to", "ended", "made", "changed"), _MOMENT)
_NOTE = _record(
    {
        "number": _WHOLE,
        "sort": _TEXT,
        "phase": {"enum": ["open", "ended", "planned", "under way", "overdue"]},
        "title": _TEXT,
        "text": _TEXT,
        "parts": _list(_TEXT),
        **_NOTE_TIMES,
        "author": _TEXT,
        "updates": _list(_record({"time": _MOMENT, "text": _TEXT, "author": _TEXT})),
    }
)
NOTES = _record({"notes": _list(_NOTE), "next_before": _MAYBE_WHOLE})
RUNS = _record({"set": _TEXT, "runs": _list(_record(_RUN_FIELDS)), "next_before": _MAYBE_WHOLE})
TIMELINE = _record(
    {
        "set": _TEXT,
        "from": _WHOLE,
        "to": _WHOLE,
        "columns": _list(_TEXT),
        "rows": _list({**_list({"type": ["string", "number", "null"]}), "description": "One value for each column."}),
    }
)
RUN = _record(
    {**_RUN_FIELDS, "previous": _MAYBE_WHOLE, "next": _MAYBE_WHOLE, "clients": _list(_CLIENT)},
)
STREAMS = _record(
    {
        "run": _WHOLE,
        "begun": _MOMENT,
        "streams": _table(
            _record({"sections": _list(_WHOLE), "delay_s": _list(_MAYBE_NUMBER), "accepted": _list(_MAYBE_NUMBER)})
        ),
    }
)
LOG = _record({"id": _TEXT, "lines": _list(_TEXT)})
_VALUE: Schema = {"type": ["number", "boolean", "string", "null"]}
DEVICES = _list(
    _record(
        {
            "device": _TEXT,
            "state": _TEXT,
            "since": _MOMENT,
            "trouble": _TEXT,
            "points": _list(
                _record({"point": _TEXT, "value": _VALUE, "unit": _TEXT, "quality": _TEXT, "at": _MOMENT}),
            ),
        }
    )
)
HISTORY = _record(
    {
        "device": _TEXT,
        "point": _TEXT,
        "unit": _TEXT,
        "values": _list(_record({"at": _MOMENT, "value": _VALUE, "quality": _TEXT})),
    }
)
COMPUTERS = _list(_record({"host": _TEXT, "up": _FLAG, "message": _TEXT, "since": _MOMENT}))
ORIGINAL: Schema = {"type": ["array", "object"]}

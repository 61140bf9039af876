"""The policy `default`: fields of each kind of record that tell the state of an experiment and no name of a person,
computer, path or address. Texts that people write, such as titles and messages, are not in it, but for notes that are
written for the public. Pure.

The rules are written as in the description: `countingroom mirror policy` shows them so, to be copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from countingroom.core.mirror.upstream_policy import UPSTREAM_POLICY

_NAME: Final = {"pattern": r"[A-Za-z0-9_\-]{1,60}"}
_PATH: Final = {"pattern": r"[A-Za-z0-9_\-.]{1,120}"}
_STATE: Final = {"pattern": r"[A-Za-z][A-Za-z0-9_ ]{0,40}"}
_CODE: Final = {"pattern": r"[a-z][a-z0-9_]{0,40}"}
_UNIT: Final = {"pattern": r"[A-Za-z0-9/*^%\-]{0,12}"}
_VERSION: Final = {"pattern": r"v?\d{1,4}(\.\d{1,4}){0,3}"}
_COUNT: Final = {"integer": [0, 1_000_000]}
_RUN: Final = {"integer": [1, 2_000_000_000]}
_NODE: Final = {"pseudonym": "host"}

DEFAULT: Final = "default"
"""The word for these rules in the description."""

DEFAULT_POLICY: Final[Mapping[str, Mapping[str, Any]]] = {
    "partition": {
        "partition": _NAME,
        "state": _STATE,
        "since": "time",
        "goal": _STATE,
        "tag": _NAME,
        "run": _RUN,
        "locked": "boolean",
        "trouble": _CODE,
        "members": {
            "items": {
                "fields": {
                    "system": _NAME,
                    "kind": {"one_of": ["detector", "global"]},
                    "state": _STATE,
                    "tag": _NAME,
                    "included": "boolean",
                    "critical": "boolean",
                }
            }
        },
    },
    "run": {
        "run": _RUN,
        "partition": _NAME,
        "state": {"one_of": ["running", "ended"]},
        "started": "time",
        "ended": "time",
        "seconds": {"number": [0, 1e8]},
        "end": {"one_of": ["stopped", "limit", "lost", "aborted", "never started", "owner died"]},
    },
    "device": {
        "device": _NAME,
        "state": _STATE,
        "common": _STATE,
        "link": {"one_of": ["connecting", "connected", "disconnected"]},
        "since": "time",
        "simulated": "boolean",
        "trouble": _CODE,
    },
    "point": {
        "device": _NAME,
        "point": _PATH,
        "value": {"number": [-1e15, 1e15]},
        "is_on": "boolean",
        "unit": _UNIT,
        "quality": {"one_of": ["good", "uncertain", "stale", "bad"]},
        "at": "time",
    },
    "alarm": {
        "alarm": _PATH,
        "node": _NODE,
        "state": {
            "one_of": [
                "unacknowledged",
                "acknowledged",
                "returned",
                "latched_unacknowledged",
                "latched",
                "shelved",
                "suppressed",
                "out_of_service",
            ]
        },
        "priority": {"integer": [1, 4]},
        "device": _NAME,
        "point": _PATH,
        "partition": _NAME,
        "system": _NAME,
        "occurrence": _COUNT,
        "first_out": "boolean",
        "since": "time",
        "announced": "time",
        "returned": "time",
        "acknowledged": "time",
    },
    "node": {
        "node": _NODE,
        "reachable": "boolean",
        "set_aside": "boolean",
        "instances": _COUNT,
        "healthy": _COUNT,
        "since": "time",
        "trouble": _CODE,
    },
    "service": {
        "service": _NAME,
        "version": _VERSION,
        "wanted": "boolean",
        "phase": {"one_of": ["rolling", "rolling_back", "done", "rolled_back", "failed", "held"]},
        "healthy": _COUNT,
        "instances": _COUNT,
        "disabled": "boolean",
        "since": "time",
        "trouble": _CODE,
    },
    "role": {
        "role": _NAME,
        "instance": _NAME,
        "state": {"one_of": ["ready", "not ready"]},
        "since": "time",
    },
    "event": {
        "number": {"integer": [1, 9_000_000_000_000_000]},
        "time": "time",
        "kind": {"one_of": ["command", "refused", "done", "failed", "state", "link", "process", "note"]},
        "department": _NAME,
        "source": _NAME,
        "node": _NODE,
        "severity": {"integer": [0, 4]},
        "action": _CODE,
        "before": _STATE,
        "after": _STATE,
        "run": _RUN,
    },
    "note": {
        "note": {"integer": [1, 1_000_000]},
        "sort": {"one_of": ["incident", "maintenance", "note"]},
        "state": {"one_of": ["open", "ended"]},
        "title": {"text": 120},
        "text": {"text": 2000},
        "parts": {"items": _PATH},
        "from": "time",
        "to": "time",
        "ended": "time",
        "made": "time",
        "changed": "time",
        "updates": {"items": {"fields": {"time": "time", "text": {"text": 2000}}}},
    },
    **UPSTREAM_POLICY,
}
"""Kind of record -> field -> rule."""

FEED_KINDS = frozenset(DEFAULT_POLICY) - frozenset(UPSTREAM_POLICY)
"""The kinds of records that the feed makes of what is published on the bus."""

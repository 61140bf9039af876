"""The default rules of what comes from upstreams: clients, figures of streams, computers of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = {"pattern": r"[A-Za-z0-9_\-]{1,60}"}
_RUN: Final = {"integer": [0, 2_000_000_000]}
_HOST: Final = {"pseudonym": "host"}
_MOST: Final = 20_000
"""Lumi sections of a run."""


def _series(kind: Mapping[str, Any] | str) -> dict[str, Any]:
    return {"items": kind, "most": _MOST}


UPSTREAM_POLICY: Final[Mapping[str, Mapping[str, Any]]] = {
    "run_client": {
        "run": _RUN,
        "client": _NAME,
        "host": _HOST,
        "time": "time",
        "state": _NAME,
        "ended": "boolean",
        "exit_code": {"integer": [-255, 255]},
        "events": {"integer": [0, 1_000_000_000_000]},
        "rate": {"number": [0, 1e7]},
        "processed_run": _RUN,
        "lumi": {"integer": [0, 100_000]},
        "release": {"pattern": r"CMSSW(_\d{1,3}){2,4}(_pre\d{1,3}|_patch\d{1,3})?"},
        "run_key": {"pattern": r"[a-z_]{1,40}"},
        "memory_bytes": {"integer": [0, 1 << 45]},
        "log_start": "log",
        "log_end": "log",
    },
    "graph": {
        "run": _RUN,
        "host": _HOST,
        "time": "time",
        "begun": "time",
        "streams": {
            "key": {"pattern": r"[A-Za-z]{1,60}"},
            "table": {
                "fields": {
                    "lumis": _series({"integer": [0, 100_000]}),
                    "mtimes": _series("time"),
                    "ctimes": _series("time"),
                    "fsize": _series({"integer": [0, 1 << 50]}),
                    "evt_accepted": _series({"integer": [0, 1_000_000_000_000]}),
                    "evt_processed": _series({"integer": [0, 1_000_000_000_000]}),
                }
            },
        },
    },
    "host_status": {"host": _HOST, "up": "boolean", "message": "log"},
}
"""Kind of record -> field -> rule."""

"""The variables that a program of the fleet gets from the environment of countingroom."""

from __future__ import annotations

import os

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
"""All others may hold secrets of it."""


def kept_environment() -> dict[str, str]:
    """Those of them that are set."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}

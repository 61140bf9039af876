"""Raises the limit of open files of this process, which its children inherit, to what the system allows."""

from __future__ import annotations

import resource

_MOST = 1_048_576
"""A limit without a bound is refused by some systems."""


def raise_file_limit() -> int:
    """Set the soft limit of open files to the hard one. Returns the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # the kernel allows less than it says; the old limit stays
        return soft
    return wanted

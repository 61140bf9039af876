"""Permissions of new files: those of the experiment are for its own account alone, those of users' programs as ever."""

from __future__ import annotations

import os

VARIABLE = "COUNTINGROOM_UMASK"
"""Environment variable with the umask of the user, octal, for the programs that the processes of `up` run."""
_PRIVATE = 0o077
UNCHANGED = -1


def keep_files_private() -> None:
    """Make every file that this process and its children create readable by its owner alone."""
    former = os.umask(_PRIVATE)
    os.environ.setdefault(VARIABLE, f"{former:o}")


def umask_of_users() -> int:
    """The umask for a program that a user has written: its files, such as the data that it takes, keep their
    permissions. UNCHANGED where `keep_files_private` was not called."""
    try:
        return int(os.environ[VARIABLE], 8) & 0o777
    except (KeyError, ValueError):
        return UNCHANGED

"""All that a redactor goes by, as one value for a redactor in another process. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.mirror.fields import RecordRule
from countingroom.core.mirror.templates import Approval


class RedactorRules(Struct, frozen=True, kw_only=True):
    """The keys of the aliases are among them: they go through a pipe alone."""

    key: bytes
    lasting: bytes
    """Of aliases that do not change with time."""
    names: tuple[tuple[str, str], ...]
    """Of the last check: kind and name."""
    patterns: bool
    records: Mapping[str, RecordRule]
    approvals: tuple[Approval, ...]
    wants_undecided: bool
    """Whether lines of which nothing was decided are collected."""

    def __repr__(self) -> str:
        return "RedactorRules(...)"  # a message with the keys must not be in a log

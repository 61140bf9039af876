"""Queries to the alarm department over the bus, `query.alarms.<what>`, and their answers.

The published state (`AlarmState`) has the present state of an alarm. Its meaning, guidance and history are queried.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.alarms.definition import NO_GUIDANCE, Guidance
from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.alarms.states import LOWEST_PRIORITY

MOST_IDS = 1000
"""Alarms that one question may name."""


class AlarmLink(Struct, frozen=True, kw_only=True):
    """A page that helps: a procedure, a drawing."""

    title: str
    address: str


class AlarmDetails(Struct, frozen=True, kw_only=True):
    """The definition of an alarm, for people."""

    id: str
    area: str = ""
    title: str
    priority: int = LOWEST_PRIORITY
    """The highest that it can have."""
    condition: str = ""
    """In words: `above 35.0 degC for 10 s`."""
    latching: bool = False
    longest_shelf_s: float = 0.0
    """The longest time for which it may be shelved; 0: it may not be."""
    guidance: Guidance = NO_GUIDANCE
    """Of the alarm itself, else of the nearest area above it."""
    contact: str = ""
    links: tuple[AlarmLink, ...] = ()


class DefinitionQuery(Struct, frozen=True, kw_only=True):
    """`query.alarms.definition`: the definitions of these alarms."""

    ids: tuple[str, ...]


class DefinitionAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The definitions of those that exist, in the order of the question."""

    definitions: tuple[AlarmDetails, ...] = ()


class EngineFigures(Struct, frozen=True, kw_only=True, tag=True):
    """`query.alarms.metrics`: what the active engine did since it took over."""

    evaluations: int = 0
    """Readings of points that were evaluated."""
    announced: tuple[int, ...] = (0, 0, 0, 0)
    """Announcements by priority, 1 to 4."""
    announced_10min: int = 0
    """Announcements in the last 10 minutes."""
    in_flood: bool = False
    """A flood goes on: 10 announcements in 10 minutes, and not yet below 5."""
    batches: int = 0
    """Batches of changes that were saved and published."""
    delay_s: float = 0.0
    """Sum over the batches: from the finding to the publication, saving included."""
    longest_s: float = 0.0
    """The longest delay of a batch."""
    unsaved: int = 0
    """Rows of the history that wait for the database."""


class AlarmHistoryEntry(Struct, frozen=True, kw_only=True):
    """An entry of the history of an alarm."""

    time_ns: int
    kind: str
    """`announced`, `raised`, `acknowledged`, `returned`, `reset`, `shelved`, `unshelved`, `commented`, `message` …"""
    text: str
    """In words: `acknowledged by anna: I fill it`."""
    occurrence: int = 0
    priority: int = 0
    """0: none, as of a comment."""
    base: str = ""
    """The base state after it; empty: unchanged."""
    by: str = ""


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """`query.alarms.history`: the last entries of an alarm."""

    id: str
    limit: int = 50
    before_ns: int | None = None
    """Only entries before this time; None: the newest."""


class EntriesQuery(Struct, frozen=True, kw_only=True):
    """`query.alarms.entries`: the history of all alarms, as it is stored, a page at a time."""

    from_ns: int
    to_ns: int
    """Entries before this time."""
    before: int | None = None
    """Only entries stored before this number: `next_before` of the last page. None: the newest."""
    limit: int = 1000


class EntriesAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """Those stored last first."""

    entries: tuple[AlarmEntry, ...] = ()
    next_before: int | None = None
    """For the next page; None: this is the last one."""


class HistoryAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """Newest first."""

    records: tuple[AlarmHistoryEntry, ...] = ()
    occurrences_30d: int = 0
    """How often its condition became true in the last 30 days."""

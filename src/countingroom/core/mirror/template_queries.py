"""The question for the templates that wait for a decision, its answer, and what is published of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.mirror.approvals import TemplateDecision
from countingroom.core.mirror.templates import SlotRule

TEMPLATES_KEY = "mirror_templates.queue"
"""Key in `state`."""
QUERY = "templates"
MOST_SHOWN = 500


class TemplatesState(Struct, frozen=True, kw_only=True):
    """How many templates wait, at the key `mirror_templates.queue` of the bucket `state`: numbers only."""

    waiting: int = 0
    """Templates without a decision."""
    lines: int = 0
    """Of them: lines that were withheld. A log that comes again changed is counted again."""
    to_confirm: int = 0
    """Approvals that wait for a second person."""
    approved: int = 0
    refused: int = 0
    expired: int = 0
    two_persons: bool = False
    cause: str = ""
    """Why decisions cannot be kept now; empty: they can."""


class TemplatesQuery(Struct, frozen=True, kw_only=True):
    """`query.mirror.templates`: which templates wait, and what was decided of others?"""

    most: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 100


class QueuedSlot(Struct, frozen=True, kw_only=True):
    """A slot of a template that waits."""

    kind: str
    is_risky: bool
    """It may name a person, a computer or a place."""
    proposed: SlotRule
    distinct: int
    """So many texts were seen in it, at most 200."""
    values: tuple[str, ...] = ()
    """Some of them: raw, for the inside only."""


class QueuedTemplate(Struct, frozen=True, kw_only=True):
    """A template that waits for a decision."""

    id: str
    template: str
    mark: str
    """Of what is proposed: `approve` takes it."""
    lines: int
    logs: int
    """In how many logs it was seen, at most 20."""
    first_ns: int
    last_ns: int
    example: tuple[tuple[str, str], ...]
    """A line of it as pieces, each with the kind of its slot, or empty for a word. Raw, for the inside only."""
    slots: tuple[QueuedSlot, ...]
    shown_as: str
    """The example as it would leave, as proposed."""
    why_not: str = ""
    """What speaks against it."""
    is_forbidden: bool = False
    """It cannot be approved."""


class DecidedTemplate(Struct, frozen=True, kw_only=True):
    """A decision and what it means now."""

    id: str
    decision: TemplateDecision
    stands: str
    """`approved`, `refused`, `to_confirm`, `expired`."""


class TemplatesAnswer(Struct, frozen=True, kw_only=True, tag="mirror_templates"):
    """The answer: those with most lines first, and the decisions, the newest first."""

    state: TemplatesState
    waiting: tuple[QueuedTemplate, ...] = ()
    decided: tuple[DecidedTemplate, ...] = ()
    others: int = 0
    """Lines of templates that are not in the queue, because it is full."""

"""Messages about applying the description: the query of the plan, the stored state, the choices of a user. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.apply_description.compare import ApplyPlan, Choices, Side
from countingroom.core.errors import OutOfRange


class ApplyQuery(Struct, frozen=True, kw_only=True):
    """Requests the plan, on `query.runs.apply`."""

    take: str = ""
    """As `choices` reads it."""
    prune: bool = False


class ApplyAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The plan, and when run control read the description."""

    plan: ApplyPlan
    read_ns: int
    """A later edit of the description counts from the next start of `up` on."""


class DescriptionState(Struct, frozen=True, kw_only=True):
    """How the description differs from the database, under the key `description` of the bucket `state`."""

    counts: dict[str, int] = {}
    """Action -> number of things; empty: they do not differ."""
    read_ns: int
    """When run control read the description."""


def choices(take: str, *, prune: bool) -> Choices:
    """The decisions of the user. `take` is `description` or `database` for all conflicts, or `ITEM=description` and
    `ITEM=database` for one, separated by commas. OutOfRange for anything else, and for decisions that contradict."""
    found: dict[str, Side] = {}
    for part in filter(None, (each.strip() for each in take.split(","))):
        item, _, side = part.rpartition("=")
        if side not in tuple(Side):
            raise OutOfRange(
                f"take is description or database, or ITEM=description or ITEM=database; got {part!r}",
                code="wrong_argument",
                source="description",
                suggestion="name the item as the plan does: tag.beam=database",
            )
        item = item.strip()
        if found.setdefault(item, Side(side)) != side:
            raise OutOfRange(
                f"take decides {item or 'all conflicts'} for both sides",
                code="wrong_argument",
                source="description",
                suggestion="decide it once",
            )
    return Choices(take=found, prune=prune)


def summary(counts: dict[str, int]) -> str:
    """The counts in words: `2 to add, 1 conflict`. Empty where there are none."""
    words = {"leave": "to leave", "conflict": "in conflict"}
    return ", ".join(f"{count} {words.get(action, f'to {action}')}" for action, count in counts.items())

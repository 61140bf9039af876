"""Checks a move of detectors and computes what it changes, before any partition is held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.placement import UNMAPPED


class Move(Struct, frozen=True, kw_only=True):
    """A checked move."""

    moves: Mapping[str, str]
    """Detector -> its new partition; empty: unmapped."""
    before: Mapping[str, str]
    """Detector -> its expected present partition."""
    partitions: tuple[str, ...]
    """The changed partitions, sorted by name. All moves hold them in this order, so that two moves cannot deadlock."""


def plan_move(
    detectors: Iterable[str],
    to: str,
    *,
    where: Mapping[str, str],
    partitions: Collection[str],
    missing: Callable[[str], Cause | None] = lambda _: None,
    force: bool = False,
) -> Move:
    """The move of these detectors; NotFound, or Conflict with a cause for each detector that cannot be moved.

    `missing` gives the reason when the agent of a detector is not connected; with `force` it is moved all the same.
    """
    detectors = tuple(detectors)
    if to != UNMAPPED and to not in partitions:
        known = ", ".join(sorted(partitions)) or "none"
        raise NotFound(f"there is no partition {to}", source="mapping", suggestion=f"existing partitions: {known}")
    causes = [cause for name in detectors if (cause := _why_not(name, where, missing, force))]
    if causes:
        names = ", ".join(cause.source.removeprefix("mapping.") for cause in causes)
        raise Conflict(
            f"move of {names} refused",
            code="cannot_move",
            source="mapping",
            causes=causes,
            suggestion="move the others, or use force for detectors whose agent is missing",
        )
    moves = {name: to for name in detectors if where[name] != to}
    before = {name: where[name] for name in moves}
    touched = {*before.values(), *moves.values()} - {UNMAPPED}
    return Move(moves=moves, before=before, partitions=tuple(sorted(touched)))


def _why_not(name: str, where: Mapping[str, str], missing: Callable[[str], Cause | None], force: bool) -> Cause | None:
    if name not in where:
        return Cause(
            code="not_found",
            message=f"there is no detector {name}",
            source=f"mapping.{name}",
            suggestion="check the list of detectors",
        )
    cause = None if force else missing(name)
    if cause is None:
        return None
    return Cause(
        code="not_connected",
        message=f"{name} is not connected",
        source=f"mapping.{name}",
        suggestion="start its agent, or move it with force",
        causes=(cause,),
    )

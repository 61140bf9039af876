"""Law: a move is decided from values before anything is touched; every refusal names its detector and the way out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.placement import UNMAPPED


class Move(Struct, frozen=True, kw_only=True):
    """What is to be moved."""

    moves: Mapping[str, str]
    """Detector -> where it goes."""
    before: Mapping[str, str]
    """Detector -> where it is expected to be now."""
    partitions: tuple[str, ...]
    """Those that change, in order of name: two moves never wait for each other."""


def plan_move(
    detectors: Iterable[str],
    to: str,
    *,
    where: Mapping[str, str],
    partitions: Collection[str],
    missing: Callable[[str], Cause | None] = lambda _: None,
    force: bool = False,
) -> Move:
    """The move of these detectors; NotFound, or Conflict with a cause for each that cannot be moved.

    `missing` says why the agent of a detector is not there; with `force` it is moved anyway.
    """
    detectors = tuple(detectors)
    if to != UNMAPPED and to not in partitions:
        known = ", ".join(sorted(partitions)) or "none"
        raise NotFound(f"there is no partition {to}", source="mapping", suggestion=f"there are {known}")
    causes = [cause for name in detectors if (cause := _why_not(name, where, missing, force))]
    if causes:
        who = ", ".join(cause.source.removeprefix("mapping.") for cause in causes)
        raise Conflict(
            f"{who} cannot be moved",
            code="cannot_move",
            source="mapping",
            causes=causes,
            suggestion="move the others, or move anyway with force where an agent is missing",
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
            suggestion="look at the list of detectors",
        )
    cause = None if force else missing(name)
    if cause is None:
        return None
    return Cause(
        code="not_connected",
        message=f"{name} is not connected",
        source=f"mapping.{name}",
        suggestion="start its agent, or move it anyway with force",
        causes=(cause,),
    )

"""Which roles of the experiment are ready, from their heartbeats, with the reason of each that is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.messages import Presence


class RoleReadiness(Struct, frozen=True, kw_only=True):
    """One role."""

    role: str
    ready: bool
    reasons: tuple[str, ...] = ()
    """Why it is not ready, one sentence each."""
    warnings: tuple[str, ...] = ()
    """What may become a reason, one sentence each."""


def console_readiness(troubles: Sequence[str]) -> RoleReadiness:
    """The console itself, which answers the question."""
    return RoleReadiness(role="console", ready=not troubles, reasons=tuple(troubles))


def readiness(roles: Iterable[str], present: Sequence[Presence]) -> list[RoleReadiness]:
    """Each of these roles: ready when a process with it is present and no such process reports a trouble.

    Where each process of a role has its own name, that stands for the role: `agents-STS`.
    """
    found: list[RoleReadiness] = []
    for role in roles:
        processes = [one for one in present if role in (one.role, f"{one.role}-{one.instance}")]
        reasons = tuple(trouble for one in processes for trouble in one.troubles)
        if not processes:
            reasons = (f"no heartbeat of the role {role} is received",)
        warnings = tuple(warning for one in processes for warning in one.warnings)
        found.append(RoleReadiness(role=role, ready=not reasons, reasons=reasons, warnings=warnings))
    return found


def not_ready(roles: Iterable[RoleReadiness]) -> Cause | None:
    """The cause with one cause for each role that is not ready; None when all are ready."""
    bad = [one for one in roles if not one.ready]
    if not bad:
        return None
    return Cause(
        code="not_ready",
        message=f"not ready: {', '.join(one.role for one in bad)}",
        source="console",
        suggestion="wait some seconds after a start, then look at the log of each role named here",
        causes=tuple(
            Cause(
                code="role_not_ready",
                message="; ".join(one.reasons),
                source=one.role,
                suggestion=f"see the log of the role {one.role}",
            )
            for one in bad
        ),
    )

"""The access policy: roles, permissions, and whether a user may act on a target. `decide` returns None or a Cause.

It checks in this order: the user's role on the target is high enough for the permission, and no other user holds the
control lease of the target. Commands towards a safe state (`MAKE_SAFE`) need the role only; a lease never blocks them.

A target is `device.caen`, `partition.mCBM` or `_experiment`. A role applies to a pattern of targets (`device.caen*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

from countingroom.core.errors import Cause

EVERYWHERE = "*"
"""The target of a role that holds for every object."""
_WILD = frozenset("*?[")


class Role(IntEnum):
    """The role of a user. A higher role includes the lower ones."""

    VIEWER = 0
    """May read everything."""
    SHIFTER = 1
    """May operate: commands, setpoints within limits, acknowledging, taking free control."""
    EXPERT = 2
    """May also do what can harm: dangerous commands, simulated faults, configurations, taking control from another."""
    ADMINISTRATOR = 3
    """May also change users and the description."""


class Permission(StrEnum):
    """What a request needs: each command, API route and page maps to one permission.

    `NEEDS` gives the lowest role for each; `UNDER_LEASE` lists those that a control lease restricts to its holder.
    """

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    OPERATE = "operate"
    """An ordinary command or setpoint."""
    MAKE_SAFE = "make_safe"
    """Off, stop, abort: towards a safe state."""
    TAKE_CONTROL = "take_control"
    """Acquire the free control lease of a target."""
    TAKE_OVER = "take_over"
    """Acquire the control lease although another user holds it."""
    ENDANGER = "endanger"
    """A command, or a setpoint, that is marked dangerous."""
    SIMULATE = "simulate"
    """Make a simulator fail."""
    CONFIGURE = "configure"
    """Write configurations."""
    ADMINISTER = "administer"


class Principal(Struct, frozen=True, kw_only=True):
    """The user, program or rule that makes a request."""

    name: str
    role: Role
    """On every target."""
    roles: dict[str, Role] = {}
    """Pattern of targets (`partition.*`, `device.caen?`) -> role on these targets."""

    scope: dict[str, Role] | None = None
    """Pattern of targets -> the highest role that a token may use there; None: no limit."""

    def on(self, target: str) -> Role:
        """The highest role that applies to this target."""
        role = max(self.role, role_on(self.roles, target))
        return role if self.scope is None else min(role, role_on(self.scope, target))


def covers(grantor: Principal, pattern: str, role: Role) -> bool:
    """Whether the grantor has at least this role on every target that the pattern fits, and so may grant it."""
    if grantor.scope is not None:
        return role is Role.VIEWER
    held = {EVERYWHERE: grantor.role} | grantor.roles
    return role is Role.VIEWER or any(own >= role and _includes(wider, pattern) for wider, own in held.items())


def _includes(wider: str, pattern: str) -> bool:
    """Whether every target of the pattern fits the wider one; False also where that is not easily seen."""
    if wider == pattern:
        return True
    if wider.endswith("*") and not _WILD & set(wider[:-1]):
        return pattern.startswith(wider[:-1])
    return not _WILD & set(pattern) and fnmatchcase(pattern, wider)


def role_on(roles: Mapping[str, Role], target: str) -> Role:
    """The highest role with a pattern that matches the target; VIEWER when none matches."""
    fitting = (role for pattern, role in roles.items() if fnmatchcase(target, pattern))
    return max(fitting, default=Role.VIEWER)


LOCAL = Principal(name="local", role=Role.ADMINISTRATOR)
"""The principal of every request while login is off; the console then listens on the loopback address only."""


class Control(Struct, frozen=True, kw_only=True):
    """The control lease of a target."""

    holder: str = ""
    """Name of the principal in control; empty: free."""
    token: int = 0
    """Fencing token, greater than that of every earlier holder."""
    until_ns: int = 0
    """Time at which it expires unless it is renewed."""

    def held(self, now_ns: int) -> bool:
        """Whether the lease is held at this time."""
        return bool(self.holder) and now_ns < self.until_ns


NEEDS = {
    Permission.VIEW: Role.VIEWER,
    Permission.ACKNOWLEDGE: Role.SHIFTER,
    Permission.OPERATE: Role.SHIFTER,
    Permission.MAKE_SAFE: Role.SHIFTER,
    Permission.TAKE_CONTROL: Role.SHIFTER,
    Permission.TAKE_OVER: Role.EXPERT,
    Permission.ENDANGER: Role.EXPERT,
    Permission.SIMULATE: Role.EXPERT,
    Permission.CONFIGURE: Role.EXPERT,
    Permission.ADMINISTER: Role.ADMINISTRATOR,
}
"""Permission -> the lowest role that has it."""

UNDER_LEASE = frozenset({Permission.OPERATE, Permission.ENDANGER, Permission.TAKE_CONTROL})
"""Permissions that are refused while another user is in control of the target."""


def decide(
    principal: Principal,
    action: Permission,
    target: str,
    *,
    control: Control | None = None,
    token: int | None = None,
    now_ns: int,
) -> Cause | None:
    """None when the action is allowed, otherwise the Cause (`denied`, `in_control`, `lease_lost`).

    `control` is the control lease of the target, None for a target without one. `token` is the fencing token in the
    request; when it differs from that of the present lease, the request is outdated, also for the same holder.
    """
    needed, role = NEEDS[action], principal.on(target)
    if role < needed:
        return Cause(
            code="denied",
            message=f"{principal.name} is {_word(role)} on {target}; {action.value} needs {_word(needed)}",
            source="policy",
            evidence={"principal": principal.name, "role": _word(role), "needs": _word(needed)},
            suggestion=f"ask a user with the role {_word(needed)}, or ask an administrator for the role",
        )
    if control is None or action not in UNDER_LEASE:
        return None
    if control.held(now_ns) and control.holder != principal.name:
        return Cause(
            code="in_control",
            message=f"{control.holder} is in control of {target}",
            source="policy",
            evidence={"holder": control.holder, "until_ns": control.until_ns},
            suggestion=f"ask {control.holder} to give up control, or wait until it is free",
        )
    if token is not None and not (control.held(now_ns) and token == control.token):
        return Cause(
            code="lease_lost",
            message=f"the control of {target} under which this was sent has ended",
            source="policy",
            evidence={"token": token, "present": control.token},
            suggestion="take control again, check the present state, and repeat",
        )
    return None


def _word(role: Role) -> str:
    return role.name.lower()

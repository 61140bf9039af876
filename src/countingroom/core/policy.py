"""Law: whether somebody may do something is decided here alone, from values alone; the answer is None or a Cause.

Two questions, in this order: is the role on the target high enough for the action, and is nobody else in control of it.
What makes an experiment safer is never stopped by a lease: anyone who may operate at all may do it.

A target is `device.caen`, `partition.mCBM` or `_experiment`; a role holds for a pattern of targets (`device.caen*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

from countingroom.core.errors import Cause


class Role(IntEnum):
    """What a person is trusted with; a higher one includes the lower."""

    VIEWER = 0
    """Looks."""
    SHIFTER = 1
    """Operates: commands, setpoints within limits, acknowledging, taking control."""
    EXPERT = 2
    """Also what can harm: dangerous commands, faults of simulators, configurations, taking control from somebody."""
    ADMINISTRATOR = 3
    """Also users and the description."""


class Permission(StrEnum):
    """What can be asked for."""

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    OPERATE = "operate"
    """A command or setpoint of the ordinary kind."""
    MAKE_SAFE = "make_safe"
    """Off, stop, abort: towards a safe state."""
    TAKE_CONTROL = "take_control"
    """Become the holder of a target's lease."""
    TAKE_OVER = "take_over"
    """Become the holder although somebody is."""
    ENDANGER = "endanger"
    """A command marked dangerous."""
    SIMULATE = "simulate"
    """Make a simulator fail."""
    CONFIGURE = "configure"
    """Write configurations."""
    ADMINISTER = "administer"


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    role: Role
    """Everywhere."""
    roles: dict[str, Role] = {}
    """Pattern of targets (`partition.*`, `device.caen?`) -> what more somebody is trusted with there."""

    def on(self, target: str) -> Role:
        """The highest role that holds for this target."""
        return max(self.role, role_on(self.roles, target))


def role_on(roles: Mapping[str, Role], target: str) -> Role:
    """The highest of those whose pattern fits; VIEWER where none does."""
    fitting = (role for pattern, role in roles.items() if fnmatchcase(target, pattern))
    return max(fitting, default=Role.VIEWER)


LOCAL = Principal(name="local", role=Role.ADMINISTRATOR)
"""Whoever sits at this machine, as long as there is no login and everything listens on loopback alone."""


class Control(Struct, frozen=True, kw_only=True):
    """The lease of a target as it is."""

    holder: str = ""
    """Name of the principal in control; empty: nobody."""
    token: int = 0
    """Fencing token, greater than that of every earlier holder."""
    until_ns: int = 0
    """Held until then, unless renewed."""

    def held(self, now_ns: int) -> bool:
        """Whether somebody is in control now."""
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
"""The lowest role that may."""

UNDER_LEASE = frozenset({Permission.OPERATE, Permission.ENDANGER, Permission.TAKE_CONTROL})
"""Refused while somebody else is in control of the target."""


def decide(
    principal: Principal,
    action: Permission,
    target: str,
    *,
    control: Control | None = None,
    token: int | None = None,
    now_ns: int,
) -> Cause | None:
    """None when it is allowed.

    `control` is the target's lease, None where a target has no lease. `token` is the fencing token the request
    carries; one that is not the present lease's is out of date, whoever holds it.
    """
    needed, role = NEEDS[action], principal.on(target)
    if role < needed:
        return Cause(
            code="denied",
            message=f"{principal.name} is {_word(role)}; {action.value} on {target} needs {_word(needed)}",
            source="policy",
            evidence={"principal": principal.name, "role": _word(role), "needs": _word(needed)},
            suggestion=f"ask somebody who is {_word(needed)}, or an administrator for the role",
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
            message=f"the control of {target} that this was asked under is over",
            source="policy",
            evidence={"token": token, "present": control.token},
            suggestion="take control again, look at the present state, and repeat",
        )
    return None


def _word(role: Role) -> str:
    return role.name.lower()

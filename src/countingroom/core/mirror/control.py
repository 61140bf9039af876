"""What the role `mirror` and the console tell each other of the control of upstreams. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Scalar

CONTROL_KEY = "upstreams.all"
"""Key in `state` of the upstreams that can be controlled."""
DEPARTMENT = "mirror"
"""Word of the subjects of commands and queries."""
PLAN_QUERY = "plan"
ANSWER_QUERY = "answer"
PLAN_S = 120.0
"""A plan is void after this time."""
KEPT = 20
"""Answers of each upstream that are kept, in the memory of the role."""


class SentAction(Struct, frozen=True, kw_only=True):
    """An action that was sent, and how it ended."""

    id: str
    """Of its command."""
    action: str
    arguments: dict[str, str]
    by: str
    time_ns: int
    took_s: float = 0.0
    is_over: bool = False
    status: int = 0
    """Of the answer; 0: none came."""
    bytes: int = 0
    """Of the text that is kept."""
    is_cut: bool = False
    cause: Cause | None = None


class UpstreamControl(Struct, frozen=True, kw_only=True):
    """An upstream, and what may be asked of it."""

    name: str
    set: str
    url: str
    actions: tuple[str, ...]
    """That the description permits."""
    hosts: tuple[str, ...]
    """Computers that an action may name."""
    per_minute: int
    timeout_s: float
    last: tuple[SentAction, ...] = ()
    """Newest first."""


class UpstreamControlState(Struct, frozen=True, kw_only=True):
    """All upstreams that can be controlled, at the key `upstreams.all` of the bucket `state`."""

    upstreams: tuple[UpstreamControl, ...] = ()


class ActionPlanQuery(Struct, frozen=True, kw_only=True):
    """What would be sent for an action?"""

    upstream: str
    action: str
    arguments: dict[str, Scalar | None] = {}
    by: str
    """The user who asks, and alone may use the plan."""


class ActionPlan(Struct, frozen=True, kw_only=True, tag=True):
    """What would be sent, exactly. Nothing is sent by the question."""

    mark: str
    """Given with the command; it counts once."""
    upstream: str
    action: str
    arguments: dict[str, str]
    method: str
    address: str
    secret: str
    """How the secret goes with it, without its value; empty: none does."""
    is_change: bool
    until_ns: int
    left: int
    """Actions that the rate allows now."""


class AnswerQuery(Struct, frozen=True, kw_only=True):
    """What was the answer to a command?"""

    upstream: str
    id: str


class ActionAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer of an upstream as text; it is kept in memory alone."""

    sent: SentAction
    text: str

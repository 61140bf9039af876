"""The exception tree and `Cause`, the error object of API, CLI, console, run book and log.

The four branches show where the fault is and whether to retry. `ConfigurationError`: the description is wrong and must
be edited. `RequestError`: the request was refused and had no effect. `LinkError`: the other side was not reached; a
retry makes sense. `DeviceError`: the other side was reached and reports a failure. Every exception has a `cause`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

MOST_DEPTH = 16
"""A chain of causes is cut there: a message with a thousand of them would exceed the recursion limit of its reader."""

Evidence = dict[str, float | int | str | bool | None]


class Cause(Struct, frozen=True, kw_only=True):
    """Why something was refused or failed: the same object in API, CLI, console, run book and log."""

    code: str
    """A stable code for programs, lower case with underscores: `not_allowed`, `out_of_range`, `link_lost`."""
    message: str
    """One sentence for operators: what is wrong, with names and values."""
    source: str = ""
    """Where the error was found: `devices.caen.0`, `history`, `experiment.yaml:12`."""
    since_ns: int | None = None
    """Start of the condition, ns since the epoch; None when it has no duration."""
    evidence: Evidence = {}
    """The values that led to it."""
    suggestion: str = ""
    """What the operator can do next, as an instruction."""
    causes: tuple[Cause, ...] = ()
    """The errors behind this one."""

    def __post_init__(self) -> None:
        if _depth(self.causes) >= MOST_DEPTH:
            structs.force_setattr(self, "causes", ())

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: str = "") -> Iterable[str]:
        """This cause and its `causes` as indented lines of text, for terminals and logs."""
        place = f"{self.source}: " if self.source else ""
        yield f"{indent}{place}{self.message} [{self.code}]"
        if self.suggestion:
            yield f"{indent}  → {self.suggestion}"
        for cause in self.causes:
            yield from cause.lines(indent + "  ")


def _depth(causes: tuple[Cause, ...]) -> int:
    return 1 + max(_depth(cause.causes) for cause in causes) if causes else 0


class CountingRoomError(Exception):
    """Root of all exceptions of this package. `code` and `suggestion` of the class are defaults for its instances."""

    code = "error"
    suggestion = "report it, with the time, to the experts of the experiment"

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        suggestion: str = "",
        since_ns: int | None = None,
        evidence: Evidence | None = None,
        causes: Iterable[Cause] = (),
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.cause = Cause(
            code=code or self.code,
            message=message,
            source=source,
            since_ns=since_ns,
            evidence=evidence or {},
            suggestion=suggestion or self.suggestion,
            causes=tuple(causes),
        )


class ConfigurationError(CountingRoomError):
    """The description is wrong and must be edited. A retry without an edit fails again."""

    code = "configuration"
    suggestion = "correct the description, then try again"


class RequestError(CountingRoomError):
    """The request is refused and had no effect."""

    code = "refused"
    suggestion = "check the present state and request what it allows"


class Refused(RequestError):
    """The request is refused for a cause that is known already: of a table, a policy, or another process."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.message)
        self.cause = cause


class NotAllowed(RequestError):
    """The present state does not allow this event or command.

    `allowed` lists the events that the state allows, in the order of the table.
    """

    code = "not_allowed"

    def __init__(self, state: str, event: str, allowed: Iterable[str], *, source: str = "") -> None:
        self.state = state
        self.event = event
        self.allowed = tuple(allowed)
        can = ", ".join(self.allowed) or "none"
        super().__init__(
            f"{event} is not allowed in {state}; allowed: {can}",
            source=source,
            evidence={"state": state, "event": event, "allowed": can},
            suggestion=f"use one of: {can}" if self.allowed else f"wait until the state {state} has ended",
        )


class Denied(RequestError):
    """The user lacks the role for this, or another user is in control."""

    code = "denied"
    suggestion = "ask a user with the needed role, or ask an administrator for the role"


class OutOfRange(RequestError):
    """A value is outside its limits or of the wrong type. It was not sent."""

    code = "out_of_range"
    suggestion = "give a value within the limits"


class NotFound(RequestError):
    """The named object does not exist."""

    code = "not_found"
    suggestion = "check the name against the list"


class Conflict(RequestError):
    """The request is outdated: the state it was based on has changed, or it came too late or twice."""

    code = "conflict"
    suggestion = "check the present state and decide again"


class LinkError(CountingRoomError):
    """The other side was not reached, or did not answer in time. A retry makes sense."""

    code = "link_lost"
    suggestion = "check that the other side runs and can be reached, then try again"


class DeviceError(CountingRoomError):
    """The other side was reached, and reports a failure or sent an invalid answer."""

    code = "device"
    suggestion = "check the device itself, then try again"

"""Law: an error says whose fault it is, where, and whether to try again; every one carries a Cause.

The tree has four branches. `ConfigurationError`: the description is wrong, a person must edit it. `RequestError`: the
request is refused, nothing was done. `LinkError`: the other side was not reached, trying again makes sense.
`DeviceError`: the other side was reached and says no.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

Evidence = dict[str, float | int | str | bool | None]


class Cause(Struct, frozen=True, kw_only=True):
    """Why something was refused or failed: the same object in API, CLI, console, run book and log."""

    code: str
    """A stable word for programs, lower case with underscores: `not_allowed`, `out_of_range`, `link_lost`."""
    message: str
    """One sentence for people: what is wrong, with names and values."""
    source: str = ""
    """Who says so: `devices.caen.0`, `history`, `experiment.yaml:12`."""
    since_ns: int | None = None
    """Since when it is so, in ns since the epoch; None when it has no duration."""
    evidence: Evidence = {}
    suggestion: str = ""
    """What to do next, as an instruction to a person."""
    causes: tuple[Cause, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: str = "") -> Iterable[str]:
        """The cause and those under it as indented text lines, for terminals and logs."""
        place = f"{self.source}: " if self.source else ""
        yield f"{indent}{place}{self.message} [{self.code}]"
        if self.suggestion:
            yield f"{indent}  → {self.suggestion}"
        for cause in self.causes:
            yield from cause.lines(indent + "  ")


class CountingRoomError(Exception):
    """Root of everything this package raises on purpose. What a class suggests holds where nothing better is said."""

    code = "error"
    suggestion = "tell those who run this experiment, with the time"

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
    """The description is wrong: edit it. Trying again changes nothing."""

    code = "configuration"
    suggestion = "correct the description, then try again"


class RequestError(CountingRoomError):
    """The request is refused and nothing was done."""

    code = "refused"
    suggestion = "look at the present state and ask for something it allows"


class Refused(RequestError):
    """The request is refused for a cause that is known already: of a table, a policy, or another process."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.message)
        self.cause = cause


class NotAllowed(RequestError):
    """The present state does not allow this event or command.

    `allowed` are the events the state does allow, in table order.
    """

    code = "not_allowed"

    def __init__(self, state: str, event: str, allowed: Iterable[str], *, source: str = "") -> None:
        self.state = state
        self.event = event
        self.allowed = tuple(allowed)
        can = ", ".join(self.allowed) or "nothing"
        super().__init__(
            f"{event} is not allowed in {state}; allowed: {can}",
            source=source,
            evidence={"state": state, "event": event, "allowed": can},
            suggestion=f"first do one of: {can}" if self.allowed else f"wait until it has left {state}",
        )


class Denied(RequestError):
    """This person may not do this, or somebody else is in control."""

    code = "denied"
    suggestion = "ask somebody who may, or an administrator for the role"


class OutOfRange(RequestError):
    """A value outside its limits, or of the wrong type; nothing was sent."""

    code = "out_of_range"
    suggestion = "give a value that is allowed"


class NotFound(RequestError):
    """There is no such thing."""

    code = "not_found"
    suggestion = "look at the list of what there is"


class Conflict(RequestError):
    """What the request was based on is no longer true, or it came too late or twice."""

    code = "conflict"
    suggestion = "look at the present state and decide again"


class LinkError(CountingRoomError):
    """The other side was not reached, or did not answer in time. Try again."""

    code = "link_lost"
    suggestion = "see whether the other side runs and is reached, then try again"


class DeviceError(CountingRoomError):
    """The other side was reached and reports a failure or answered nonsense."""

    code = "device"
    suggestion = "look at the device itself, then try again"

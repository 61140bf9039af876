"""The users that ask for control of a partition, until the holder changes. Every page shows them to the holder.
Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.messages import Event, EventKind
from countingroom.core.policy import Control

_VALID_NS = 600_000_000_000
"""A request that is not answered is forgotten after this."""


class ControlRequest(Struct, frozen=True, kw_only=True):
    """A user asks the holder for control."""

    by: str
    since_ns: int


class ControlRequests:
    """The requests that are not answered."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, int]] = {}
        self._tokens: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Take in an event; one that is no request has no effect."""
        if event.action == "request_control" and event.kind is EventKind.DONE and event.principal:
            self._asked.setdefault(event.source, {})[event.principal] = event.time_ns

    def of(self, partition: str, control: Control | None, now_ns: int) -> list[ControlRequest]:
        """The requests for this partition, the oldest first; none while control is free."""
        token = control.token if control else 0
        if self._tokens.setdefault(partition, token) != token:
            self._tokens[partition] = token
            self._asked.pop(partition, None)
        if control is None or not control.held(now_ns):
            return []
        asked = self._asked.get(partition, {})
        for by in [by for by, since_ns in asked.items() if by == control.holder or now_ns - since_ns > _VALID_NS]:
            del asked[by]
        return [
            ControlRequest(by=by, since_ns=since_ns) for by, since_ns in sorted(asked.items(), key=lambda one: one[1])
        ]

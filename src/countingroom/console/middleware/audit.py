"""Makes an audit entry of a request and its answer, in the same way for every route. Secrets are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import Scope

from countingroom.console.audit_writer import AuditWriter
from countingroom.console.auth.requester import ANONYMOUS, Requester
from countingroom.console.middleware.request_body import SECRET
from countingroom.console.route_permissions import RouteTable
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.plain_text import escaped
from countingroom.core.values import Scalar

_LONGEST = 200
_LONGEST_CAUSE = 1000
_MOST = 50
_OPEN_NAMES = {
    "/api/v1/login": ("name",),
    "/api/v1/link": (),
    "/api/v1/me/password": (),
    "/api/v1/look_at_link": (),
    "/api/v1/acknowledge_by_link": (),
}
"""The only values that are recorded of requests with passwords or links: another value may be a secret under a wrong
name."""
_OF_THE_ORDER = frozenset({"channel", "seen_state", "issued_ns", "age_s", "deadline_s", "wait_s", "id"})
"""The fields of a command's body other than its arguments. An argument with such a name must not be taken for it."""
_COUNTED_FROM, _COUNTED_TO = -(1 << 63), 1 << 63


_PREVIEWS = frozenset({"/api/v1/mirror/notes/{command}/preview"})
"""Routes that change nothing and are asked with each pause in writing; the command itself is recorded."""


class RequestAudit:
    """Makes the audit entries of requests."""

    def __init__(self, audit_writer: AuditWriter, clock: Clock, routes: RouteTable) -> None:
        self._audit_writer = audit_writer
        self._clock = clock
        self._routes = routes

    def refused(self, scope: Scope, cause: Cause) -> None:
        """A middleware refused a request. A page without a session gets no entry: it leads to the login."""
        is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not (is_read and cause.code == "no_login"):
            self._audit_writer.add(self._entry(scope, scope["path"], "", {}, Outcome.REFUSED, cause))

    def denied(self, scope: Scope, answered: bytes) -> None:
        """A page was denied."""
        what, target = _subject(scope, self._routes)
        self._audit_writer.add(self._entry(scope, what, target, {}, Outcome.REFUSED, _cause(answered)))

    async def answered(self, scope: Scope, content: Mapping[str, Any], status: int, answered: bytes) -> None:
        """An action has its answer, which is sent after this. `content`: the body of the request; `answered`: that of a
        refusal."""
        if status < 400 and _is_preview(scope, self._routes):
            return
        outcome = Outcome.ACCEPTED if status < 400 else Outcome.REFUSED if status < 500 else Outcome.FAILED
        what, target = _subject(scope, self._routes)
        tried = content.get("name") if scope["path"] == "/api/v1/login" and status >= 400 else None
        if isinstance(tried, str):
            target = f"name.{tried}"
        open_names = _OPEN_NAMES.get(scope["path"])
        if open_names is not None:
            content = {name: value for name, value in content.items() if name in open_names and isinstance(value, str)}
        content = {**content, **scope.get("audited", {})}  # what the handler says that it was about
        await self._audit_writer.write(self._entry(scope, what, target, _arguments(content), outcome, _cause(answered)))

    def _entry(
        self, scope: Scope, what: str, target: str, arguments: Mapping[str, Scalar], outcome: str, cause: Cause | None
    ) -> AuditEntry:
        found: Requester = scope.get("requester", ANONYMOUS)
        return AuditEntry(
            time_ns=self._clock.now_ns(),
            who=found.name,
            what=escaped(what, most=_LONGEST),
            target=escaped(target, most=_LONGEST),
            arguments=dict(arguments),
            origin=escaped(address(scope), most=_LONGEST),
            outcome=outcome,
            cause=cause and msgspec.structs.replace(cause, message=escaped(cause.message, most=_LONGEST_CAUSE)),
        )


def address(scope: Scope) -> str:
    """The address of the client."""
    client = HTTPConnection(scope).client
    return client.host if client else ""


def _is_preview(scope: Scope, routes: RouteTable) -> bool:
    found = routes.find(scope["method"], scope["path"])
    return found is not None and found.template in _PREVIEWS


def _subject(scope: Scope, routes: RouteTable) -> tuple[str, str]:
    """(what, target) of a request, by its route: `hv_on` of `device.caen`."""
    found = routes.find(scope["method"], scope["path"])
    if found is None:
        return scope["path"], ""
    *places, last = [part for part in found.template.split("/") if part not in ("", "api", "v1")] or ["page"]
    what = found.parameters[last[1:-1]] if last.startswith("{") else last
    named = [part[1:-1] for part in places if part.startswith("{")]
    return what, ".".join(f"{name}.{found.parameters[name]}" for name in named)


def _arguments(content: Mapping[str, Any]) -> dict[str, Scalar]:
    """The scalar values of the body and of its inner objects, without secrets. An inner value with the name of an outer
    one is told apart: `arguments.channel`."""
    flat = {name: value for name, value in content.items() if not isinstance(value, dict)}
    # Each alarm as an argument of its own would push the reason out of the entry; one without a number is no scalar.
    if isinstance(alarms := content.get("alarms"), dict):
        seen = cast(dict[str, Any], alarms).items()
        content = {name: value for name, value in content.items() if name != "alarms"}
        flat["alarms"] = ", ".join(name if number is None else f"{name} {number}" for name, number in seen)
        flat["number_of_alarms"] = len(seen)
    for outer, value in content.items():
        for name, inner in cast(dict[str, Any], value).items() if isinstance(value, dict) else ():
            if name not in SECRET:
                flat[f"{outer}.{name}" if name in _OF_THE_ORDER or name in content else name] = inner
    return {
        name[:_LONGEST]: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in list(flat.items())[:_MOST]
        if name not in SECRET and _can_be_kept(value)
    }


def _can_be_kept(value: object) -> bool:
    if isinstance(value, int):
        return _COUNTED_FROM <= value < _COUNTED_TO
    return isinstance(value, str | float)


def _cause(body: bytes) -> Cause | None:
    try:
        return msgspec.json.decode(body, type=_Refusal).cause if body else None
    except msgspec.DecodeError:
        return None


class _Refusal(msgspec.Struct):
    cause: Cause | None = None

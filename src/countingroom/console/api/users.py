"""The API of accounts and of the audit, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from countingroom.console.api.devices import Console
from countingroom.console.api.login import Body
from countingroom.console.api.logout import release_all, release_control
from countingroom.console.auth.accounts import role_of
from countingroom.console.auth.requester import requester
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core.accounts import EVERYWHERE
from countingroom.core.errors import Conflict
from countingroom.core.times import parse_time
from countingroom.storage.audit import AuditFilter

router = APIRouter(tags=["users"])

Word = Annotated[str, Field(max_length=100)]


class NewUser(Body):
    """A new account."""

    name: Word
    full_name: Word = ""
    roles: dict[Word, Word] = {}
    """Target -> role; `{"*": "shifter"}`."""


class Grant(Body):
    """A role for a target."""

    target: Word = EVERYWHERE
    """`*`, `_experiment`, `device.caen*`, `partition.mCBM`."""
    role: Word | None
    """viewer, shifter, expert, administrator; null removes it."""


class Disable(Body):
    """Whether the account is disabled."""

    disabled: bool


@router.get("/users", summary="Every account", responses={403: REFUSED})
async def list_users(console: Console) -> Response:
    """With roles, whether a password is set, and the number of sessions."""
    accounts, _ = console.login()
    return as_json({"users": await accounts.list_accounts()})


@router.post("/users", summary="Create an account", responses={200: example({"name": "anna", "link": "/link#…"})})
async def add_user(console: Console, request: Request, body: NewUser) -> Response:
    """The link sets the password, once, within a day. Hand it over in person."""
    accounts, _ = console.login()
    roles = {target: role_of(role) for target, role in body.roles.items()}
    secret = await accounts.add(body.name, requester(request).principal, full_name=body.full_name, roles=roles)
    return as_json({"name": body.name, "link": f"/link#{secret}"})


@router.post("/users/{name}/grant", summary="Give or remove a role", responses={404: REFUSED, 409: REFUSED})
async def grant(console: Console, request: Request, name: str, body: Grant) -> Response:
    """Takes effect at once: open pages of that user load again. Refused where it is more than the requester has."""
    accounts, _ = console.login()
    role = role_of(body.role) if body.role is not None else None
    await accounts.grant(name, body.target, role, requester(request).principal)
    return as_json({"name": name})


@router.post("/users/{name}/link", summary="A link for a new password", responses={404: REFUSED})
async def link(console: Console, request: Request, name: str) -> Response:
    """Earlier links become invalid."""
    accounts, _ = console.login()
    return as_json({"name": name, "link": f"/link#{await accounts.link(name, requester(request).principal)}"})


@router.post("/users/{name}/disable", summary="Disable or enable an account", responses={409: REFUSED})
async def disable(console: Console, request: Request, name: str, body: Disable) -> Response:
    """Ends every session and token of the user at once, and releases control."""
    accounts, _ = console.login()
    by = requester(request).principal
    await accounts.check_change(name, by)
    if body.disabled:
        await release_all(console, name)
    await accounts.disable(name, body.disabled, by)
    return as_json({"name": name})


@router.post("/users/{name}/log_out", summary="End every session and token of a user", responses={404: REFUSED})
async def log_out(console: Console, request: Request, name: str) -> Response:
    """Takes effect at once, and releases control."""
    accounts, _ = console.login()
    ended = await accounts.log_out(name, requester(request).principal)
    await release_control(console, name)
    return as_json({"name": name, "ended": ended})


@router.get("/audit", summary="The audit: requests with user and outcome, newest first", responses={403: REFUSED})
async def audit(
    console: Console,
    who: Word = "",
    what: Word = "",
    target: Word = "",
    outcome: Word = "",
    start: Annotated[str, Query(alias="from", description="ISO 8601, -1h, yesterday, or since 1970")] = "",
    to: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=1, description="Only those with a smaller sequence")] = None,
) -> Response:
    """Give `before` the `next_before` of the last answer to read on; null at the beginning of the record."""
    if console.database is None:
        raise Conflict("this console keeps no audit", code="no_database", source="audit", suggestion="see storage")
    now_ns = console.clock.now_ns()
    entries = await console.database.audit.find(
        AuditFilter(
            who=who,
            what=what,
            target=target,
            outcome=outcome,
            from_ns=parse_time(start, now_ns=now_ns) if start else None,
            to_ns=parse_time(to, now_ns=now_ns) if to else None,
            before=before,
            limit=limit,
        )
    )
    further = entries[-1].sequence if len(entries) == limit else None
    return as_json({"entries": entries, "next_before": further})

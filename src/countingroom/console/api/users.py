"""Law: accounts are the administrators' business; passwords are nobody's but their owner's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from countingroom.console.api.devices import Here
from countingroom.console.api.login import Body
from countingroom.console.api.logout import give_up, part
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
    """An account to be made."""

    name: Word
    full_name: Word = ""
    roles: dict[Word, Word] = {}
    """Target -> role; `{"*": "shifter"}`."""


class Grant(Body):
    """A role to be given or taken."""

    target: Word = EVERYWHERE
    """`*`, `_experiment`, `device.caen*`, `partition.mCBM`."""
    role: Word | None
    """viewer, shifter, expert, administrator; null takes it away."""


class Disable(Body):
    """Whether somebody may log in."""

    disabled: bool


@router.get("/users", summary="Every account", responses={403: REFUSED})
async def list_users(here: Here) -> Response:
    """With roles, whether a password is set, and how many logins hold."""
    accounts, _ = here.login()
    return as_json({"users": await accounts.everybody()})


@router.post("/users", summary="Make an account", responses={200: example({"name": "anna", "link": "/link#…"})})
async def add_user(here: Here, request: Request, body: NewUser) -> Response:
    """The link lets its bearer set the password, once, within a day: hand it over in person."""
    accounts, _ = here.login()
    roles = {target: role_of(role) for target, role in body.roles.items()}
    secret = await accounts.add(body.name, requester(request).name, full_name=body.full_name, roles=roles)
    return as_json({"name": body.name, "link": f"/link#{secret}"})


@router.post("/users/{name}/grant", summary="Give or take a role", responses={404: REFUSED, 409: REFUSED})
async def grant(here: Here, name: str, body: Grant) -> Response:
    """Holds at once: pages open under that name load again."""
    accounts, _ = here.login()
    await accounts.grant(name, body.target, role_of(body.role) if body.role is not None else None)
    return as_json({"name": name})


@router.post("/users/{name}/link", summary="A link for a new password", responses={404: REFUSED})
async def link(here: Here, request: Request, name: str) -> Response:
    """Earlier links are void."""
    accounts, _ = here.login()
    return as_json({"name": name, "link": f"/link#{await accounts.link(name, requester(request).name)}"})


@router.post("/users/{name}/disable", summary="Let somebody in no more, or again", responses={409: REFUSED})
async def disable(here: Here, request: Request, name: str, body: Disable) -> Response:
    """Ends every login and token of theirs at once, and what control they have."""
    accounts, _ = here.login()
    if body.disabled:
        await give_up(here, name)
    await accounts.disable(name, body.disabled, requester(request).name)
    return as_json({"name": name})


@router.post("/users/{name}/log_out", summary="End every login and token of somebody", responses={404: REFUSED})
async def log_out(here: Here, request: Request, name: str) -> Response:
    """At once, and what control they have."""
    accounts, _ = here.login()
    ended = await accounts.log_out(name, requester(request).name)
    await part(here, name)
    return as_json({"name": name, "ended": ended})


@router.get("/audit", summary="Who asked for what, and what came of it, newest first", responses={403: REFUSED})
async def audit(
    here: Here,
    who: Word = "",
    what: Word = "",
    target: Word = "",
    outcome: Word = "",
    start: Annotated[str, Query(alias="from", description="ISO 8601, ns or relative: -1h")] = "",
    to: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=1, description="Only those with a smaller sequence")] = None,
) -> Response:
    """Give `before` the `next_before` of the last answer to read on; null at the beginning of the record."""
    if here.database is None:
        raise Conflict("this console keeps no record", code="no_database", source="audit", suggestion="see storage")
    now_ns = here.clock.now_ns()
    entries = await here.database.audit.find(
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

"""Law: logging in gives a strict cookie and nothing else; what proves a login is never in an address or an answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.devices import Here
from countingroom.console.api.logout import part
from countingroom.console.auth.accounts import in_words, word
from countingroom.console.auth.requester import STRANGER, Requester, requester
from countingroom.console.auth.sessions import cookie
from countingroom.console.middleware.audit import address
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core.accounts import User

router = APIRouter(tags=["login"])

Text = Annotated[str, Field(max_length=1000)]


class Body(BaseModel):
    """Strict, like every body."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class LoginBody(Body):
    """Who, and the proof."""

    name: Text
    password: Text


class FromLink(Body):
    """A one-time link's secret, and the password to be set."""

    token: Text
    password: Text


class NewPassword(Body):
    """The password one has, and the one to be set."""

    present: Text
    password: Text


@router.post("/login", summary="Log in", responses={200: example({"name": "anna"}), 401: REFUSED, 409: REFUSED})
async def log_in(here: Here, request: Request, body: LoginBody) -> Response:
    """Sets the cookie. Programs need no login: they show a token made by `countingroom user token`."""
    accounts, _ = here.login()
    user = await accounts.identity.prove({"name": body.name, "password": body.password}, origin=address(request.scope))
    return await _entered(here, request, user)


@router.post("/link", summary="Set a password by a one-time link, and log in", responses={401: REFUSED, 409: REFUSED})
async def use_link(here: Here, request: Request, body: FromLink) -> Response:
    """A link is valid once, for a day."""
    accounts, _ = here.login()
    user = await accounts.use_link(body.token, body.password, origin=address(request.scope))
    return await _entered(here, request, user)


@router.post("/logout", summary="Log out", responses={200: example({"name": ""}), 409: REFUSED})
async def log_out(here: Here, request: Request) -> Response:
    """Ends this login at once, with every page open under it; after the last one, control is given up, too."""
    accounts, _ = here.login()
    present = requester(request)
    if present.session is not None:
        await accounts.leave(present.session.id, present.name)
        await part(here, present.name)
    return _told(request, STRANGER, 0.0)


@router.get(
    "/me",
    summary="Who I am here",
    responses={200: example({"name": "anna", "role": "viewer", "roles": {"device.caen*": "shifter"}, "login": True})},
)
async def me(here: Here, request: Request) -> Response:
    """`role` holds everywhere, `roles` for patterns of targets. `login`: whether there is one at all."""
    who = requester(request).principal
    roles = in_words(who.roles)
    return as_json({"name": who.name, "role": word(who.role), "roles": roles, "login": here.sessions.has_login})


@router.post("/me/password", summary="Set my password", responses={200: example({"name": "anna"}), 409: REFUSED})
async def set_password(here: Here, request: Request, body: NewPassword) -> Response:
    """Ends every other login of mine."""
    accounts, _ = here.login()
    mine = requester(request)
    await accounts.change_password(
        mine.name,
        body.present,
        body.password,
        origin=address(request.scope),
        session=mine.session.id if mine.session else "",
    )
    return as_json({"name": mine.name})


async def _entered(here: Here, request: Request, user: User) -> Response:
    _, sessions = here.login()
    entered = await sessions.enter(user, origin=address(request.scope), agent=request.headers.get("user-agent", ""))
    request.scope["visitor"] = entered  # so that the record says who it was
    return _told(request, entered, sessions.life.whole_s)


def _told(request: Request, who: Requester, whole_s: float) -> Response:
    answer = as_json({"name": who.name})
    answer.headers["Set-Cookie"] = cookie(
        who, request.headers["host"], secure=request.url.scheme == "https", whole_s=whole_s
    )
    return answer

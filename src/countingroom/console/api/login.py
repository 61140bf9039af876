"""The API of login and logout. A login sets a cookie; no secret is ever in an address or a body of an answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.devices import Console
from countingroom.console.api.logout import release_control
from countingroom.console.auth.accounts import in_words, word
from countingroom.console.auth.known_device import set_cookie, shown_token
from countingroom.console.auth.requester import ANONYMOUS, Requester, requester
from countingroom.console.auth.sessions import cookie
from countingroom.console.middleware.audit import address
from countingroom.console.responses import REFUSED, as_json, example, refusals
from countingroom.core.accounts import User

router = APIRouter(tags=["login"])

Text = Annotated[str, Field(max_length=1000)]


class Body(BaseModel):
    """A body without unknown keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class LoginBody(Body):
    """User name and password."""

    name: Text
    password: Text


class FromLink(Body):
    """The secret of a one-time link, and the new password."""

    token: Text
    password: Text


class NewPassword(Body):
    """The present password and the new one."""

    present: Text
    password: Text


@router.post("/login", summary="Log in", responses={200: example({"name": "anna"}), **refusals(401, 409, 429, 503)})
async def log_in(console: Console, request: Request, body: LoginBody) -> Response:
    """Sets the cookie. Programs need no login: they send a token made by `countingroom user token`."""
    accounts, _ = console.login()
    known = await accounts.identity.known_device(body.name, shown_token(request.headers, body.name))
    proof = {"name": body.name, "password": body.password}
    user = await accounts.identity.prove(proof, origin=address(request.scope), known=known)
    return await _start_session(console, request, user)


@router.post("/link", summary="Set a password by a one-time link, and log in", responses=refusals(401, 409, 429, 503))
async def use_link(console: Console, request: Request, body: FromLink) -> Response:
    """A link is valid once, for a day."""
    accounts, _ = console.login()
    user = await accounts.use_link(body.token, body.password, origin=address(request.scope))
    return await _start_session(console, request, user)


@router.post("/logout", summary="Log out", responses={200: example({"name": ""}), 409: REFUSED})
async def log_out(console: Console, request: Request) -> Response:
    """Ends this session and its open pages at once; after the last session of a user, control is released, too."""
    accounts, _ = console.login()
    present = requester(request)
    if present.session is not None:
        await accounts.leave(present.session.id, present.name)
        if present.operates:
            await release_control(console, present.name)
    return _answer(request, ANONYMOUS, 0.0)


@router.get(
    "/me",
    summary="The user of this request",
    responses={200: example({"name": "anna", "role": "viewer", "roles": {"device.caen*": "shifter"}, "login": True})},
)
async def me(console: Console, request: Request) -> Response:
    """`role` holds everywhere, `roles` for patterns of targets. `login`: whether there is a login. `scope`: where
    a token is limited, the highest roles that it may use; elsewhere it reads."""
    who = requester(request).principal
    shown = {
        "name": who.name,
        "role": word(who.role),
        "roles": in_words(who.roles),
        "login": console.sessions.has_login,
    }
    return as_json(shown if who.scope is None else shown | {"scope": in_words(who.scope)})


@router.post(
    "/me/password",
    summary="Set the own password",
    responses={200: example({"name": "anna"}), **refusals(409, 429, 503)},
)
async def set_password(console: Console, request: Request, body: NewPassword) -> Response:
    """Ends every other session of this user."""
    accounts, _ = console.login()
    mine = requester(request)
    await accounts.change_password(
        mine.name,
        body.present,
        body.password,
        origin=address(request.scope),
        session=mine.session.id if mine.session else "",
    )
    return as_json({"name": mine.name})


async def _start_session(console: Console, request: Request, user: User) -> Response:
    accounts, sessions = console.login()
    before = requester(request)
    entered = await sessions.enter(user, origin=address(request.scope), agent=request.headers.get("user-agent", ""))
    request.scope["requester"] = entered  # so that the audit entry has the name
    if before.is_page and before.session is not None:
        await accounts.leave(before.session.id, user.name)
        if before.name != user.name:
            await release_control(console, before.name)
    answer = _answer(request, entered, sessions.life.whole_s)
    token = await accounts.identity.device_token(user.name)
    secure = request.url.scheme == "https"
    answer.headers.append("Set-Cookie", set_cookie(user.name, token, request.headers["host"], secure=secure))
    return answer


def _answer(request: Request, who: Requester, whole_s: float) -> Response:
    answer = as_json({"name": who.name})
    answer.headers["Set-Cookie"] = cookie(
        who, request.headers["host"], secure=request.url.scheme == "https", whole_s=whole_s
    )
    return answer

"""Law: whoever comes shows a secret that the server knows, and is asked again each time; who is known no more is out.

A login is a random secret in a strict cookie; the server keeps its digest, when it was used, and when it ends. Ending
it works at once: everything open under it looks again. While the database does not answer, who was known before stays
known: a broken disk must not keep a shifter from switching off.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from msgspec import Struct
from starlette.datastructures import Headers

from countingroom.console.auth.requester import LOCAL_VISITOR, Requester
from countingroom.core.accounts import Session, User, why_over
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, Denied, LinkError
from countingroom.storage.database import Database

COOKIE = "countingroom"
"""And the port: browsers show the cookies of one port to every other of the same host."""
LOOK_AGAIN_S = 1.0
"""What another process ended is noticed after this long; what this one ended, at once."""
_REMEMBERED = 1000


class SessionService(Protocol):
    """Recognises who comes."""

    has_login: bool

    async def recognise(self, headers: Headers) -> Requester:
        """Who it is; Denied."""
        ...

    async def until_over(self, requester: Requester) -> str:
        """Wait until the visitor's right to look on is over or another; why."""
        ...


class NoLogin:
    """No login: whoever is on this machine."""

    has_login = False

    async def recognise(self, headers: Headers) -> Requester:
        """Always the local one."""
        del headers
        return LOCAL_VISITOR

    async def until_over(self, requester: Requester) -> str:
        """Never."""
        await asyncio.Future[None]()
        return ""


class SessionLifetime(Struct, frozen=True, kw_only=True):
    """How long a login holds."""

    idle_s: float
    """Unused. An open page that only looks on is no use."""
    whole_s: float
    """In any case."""


class Sessions:
    """Logins kept in the database."""

    has_login = True

    def __init__(self, database: Database, clock: Clock, life: SessionLifetime) -> None:
        self._database = database
        self._clock = clock
        self.life = life
        self._remembered: OrderedDict[str, tuple[Session, User]] = OrderedDict()
        self._waiting: set[asyncio.Event] = set()

    async def recognise(self, headers: Headers) -> Requester:
        """By the token of a program or by the cookie of a browser."""
        secret, by_token = shown(headers)
        if not secret:
            raise Denied("nobody is logged in", code="no_login", source="login", suggestion="log in")
        session, user = await self._holds(secret, by_token=by_token)
        await self._seen(secret, session)
        return _visitor(session, user, secret)

    async def enter(self, user: User, *, origin: str, agent: str) -> Requester:
        """A new login of somebody whose identity is proven."""
        secret, session = await self._database.sessions.create(
            user.name, lifetime_s=self.life.whole_s, origin=origin, agent=agent[:200]
        )
        return _visitor(session, user, secret)

    async def is_in(self, user: str) -> bool:
        """Whether a browser is logged in under this name, and is used."""
        now_ns, idle_ns = self._clock.now_ns(), self.life.idle_s * 1e9
        found = await self._database.sessions.list(user)
        return any(not one.is_token and now_ns - one.last_seen_ns < idle_ns for one in found)

    def look_again(self) -> None:
        """Somebody's login or roles may be others now."""
        self._remembered.clear()
        for waiting in self._waiting:
            waiting.set()

    async def until_over(self, requester: Requester) -> str:
        """Returns when the login is over or its user's roles are others."""
        again = asyncio.Event()
        self._waiting.add(again)
        by_token = requester.session is not None and requester.session.is_token
        try:
            while True:
                try:
                    session, user = await self._holds(requester.secret, by_token=by_token)
                except Denied as over:
                    return over.cause.message
                except CountingRoomError:
                    pass  # the database is away: who is known stays known
                else:
                    if _visitor(session, user, requester.secret).principal != requester.principal:
                        return "your roles are others now"
                again.clear()
                try:
                    async with within(self._clock, LOOK_AGAIN_S):
                        await again.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting.discard(again)

    async def _holds(self, secret: str, *, by_token: bool) -> tuple[Session, User]:
        try:
            found = await self._database.sessions.find(secret)
        except LinkError:
            found = self._remembered.get(secret)
            if found is None:
                raise
        if found is None or found[0].is_token != by_token:
            raise Denied(
                "what was shown proves no login", code="forged_login", source="login", suggestion="log in again"
            )
        over = why_over(found[1], found[0], now_ns=self._clock.now_ns(), idle_s=self.life.idle_s)
        if over is not None:
            self._remembered.pop(secret, None)
            raise over_error(over)
        self._remembered[secret] = found
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _seen(self, secret: str, session: Session) -> None:
        try:
            await self._database.sessions.seen(secret, session)
        except LinkError:
            return  # asked again with the next request


def shown(headers: Headers) -> tuple[str, bool]:
    """(the secret a request shows, whether as a program's token); empty where it shows none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(), True
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return "", False
    host = headers.get("host", "")
    found = cookies.get(_name(host, secure=True)) or cookies.get(_name(host, secure=False))
    return (found.value if found else ""), False


def cookie(requester: Requester, host: str, *, secure: bool, whole_s: float) -> str:
    """The Set-Cookie of a login at this Host; of a visitor without secret, one that removes it."""
    name = _name(host, secure=secure)
    age = round(whole_s) if requester.secret else 0
    return f"{name}={requester.secret}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"


def _name(host: str, *, secure: bool) -> str:
    port = host.rpartition(":")[2]
    return f"{'__Host-' if secure else ''}{COOKIE}{f'_{port}' if port.isdigit() else ''}"


def over_error(cause: Cause) -> Denied:
    """The cause as an error."""
    return Denied(cause.message, code=cause.code, source=cause.source, suggestion=cause.suggestion)


def _visitor(session: Session, user: User, secret: str) -> Requester:
    csrf_token = hmac.new(secret.encode(), b"page", "sha256").hexdigest()
    return Requester(principal=user.principal, session=session, csrf_token=csrf_token, secret=secret)

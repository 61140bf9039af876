"""Sessions: find the user of a request by the cookie of a browser or the token of a program.

A session is a random secret in a cookie with SameSite=Strict; the database keeps its digest, the time of its last use
and its end. The end of a session takes effect at once: every open websocket checks again. While the database is away,
valid sessions stay valid, because a broken disk must not stop a shifter from switching off. The same holds after a
restart of the console, from the file of `kept_sessions.py`.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections import OrderedDict
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from starlette.datastructures import Headers

from countingroom.console.auth.kept_sessions import KeptSessions
from countingroom.console.auth.requester import LOCAL_REQUESTER, Requester
from countingroom.core.accounts import Session, User, principal_of, why_over
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, Denied, LinkError
from countingroom.core.policy import Principal
from countingroom.storage.database import Database
from countingroom.storage.secret import digest

COOKIE = "countingroom"
"""The port is added: browsers send the cookies of one port to every other port of the same host."""
LOOK_AGAIN_S = 1.0
"""A session ended by another process is noticed after this long; one ended by this process at once."""
KEPT_S = 30 * 86_400.0
"""How long an ended session is kept, so that its browser can show why it ended."""
CLEAN_UP_S = 86_400.0
LOOK_S = 5.0
"""The longest time for a look-up of rights, for work that continues after its request."""
SEEN_S = 1.0
"""The longest time that a request waits for the write of its session's last use."""
_REMEMBERED = 1000


class SessionService(Protocol):
    """Finds the requester of a request."""

    has_login: bool

    async def recognise(self, headers: Headers, *, secure: bool = False) -> Requester:
        """The requester. Denied without a valid session. `secure`: whether the request came by TLS."""
        ...

    async def until_over(self, requester: Requester) -> str:
        """Wait until the session is over or its roles have changed; returns the reason."""
        ...

    async def rights(self, requester: Requester) -> Principal:
        """The present rights of the requester, for work that continues after the request. Denied if there are none. A
        session that was only idle for too long still counts."""
        ...


class NoLogin:
    """For a console without login: every request is of the local user."""

    has_login = False

    async def recognise(self, headers: Headers, *, secure: bool = False) -> Requester:
        """Always the local user."""
        del headers, secure
        return LOCAL_REQUESTER

    async def until_over(self, requester: Requester) -> str:
        """Never."""
        await asyncio.Future[None]()
        return ""

    async def rights(self, requester: Requester) -> Principal:
        """Always those of the local user."""
        return requester.principal


class SessionLifetime(Struct, frozen=True, kw_only=True):
    """How long a session lasts."""

    idle_s: float
    """While it is not used. An open page that only shows values does not count as use."""
    whole_s: float
    """In any case."""


class Sessions:
    """Sessions kept in the database."""

    has_login = True

    def __init__(self, database: Database, clock: Clock, life: SessionLifetime, file: Path | None = None) -> None:
        """`file`: where the valid sessions are kept for a start without the database; None: nowhere."""
        self._kept = KeptSessions(file, clock, life.idle_s)
        self._seeing: dict[str, asyncio.Task[None]] = {}
        """Sessions whose last use is being written."""
        self._database = database
        self._clock = clock
        self.life = life
        self._remembered: OrderedDict[str, tuple[Session, User]] = OrderedDict()
        self._waiting: set[asyncio.Event] = set()

    async def recognise(self, headers: Headers, *, secure: bool = False) -> Requester:
        """By the token of a program or by the cookie of a browser."""
        secret, by_token = shown(headers, secure=secure)
        if not secret:
            raise Denied("the request has no session", code="no_login", source="login", suggestion="log in")
        session, user = await self._holds(secret, by_token=by_token)
        await self._seen(secret, session)
        return _requester(session, user, secret)

    async def enter(self, user: User, *, origin: str, agent: str) -> Requester:
        """Create a session for a user after the proof of identity."""
        secret, session = await self._database.sessions.create(
            user.name, lifetime_s=self.life.whole_s, origin=origin, agent=agent[:200]
        )
        self._kept.renew()
        return _requester(session, user, secret)

    async def keep(self) -> None:
        """Keep the valid sessions for a start without the database, until cancelled."""
        await self._kept.run(self._database.sessions.proven)

    async def is_in(self, user: str) -> bool:
        """Whether a browser has a session of this user and uses it."""
        now_ns, idle_ns = self._clock.now_ns(), self.life.idle_s * 1e9
        found = await self._database.sessions.list(user)
        return any(not one.is_token and now_ns - one.last_seen_ns < idle_ns for one in found)

    async def remove_ended(self) -> None:
        """Remove sessions that ended KEPT_S ago, at the start and every CLEAN_UP_S, until cancelled."""
        while True:
            with suppress(CountingRoomError):  # the database is away: the next time will do
                await self._database.sessions.forget(self._clock.now_ns() - round(KEPT_S * 1e9))
            await self._clock.sleep(CLEAN_UP_S)

    def look_again(self) -> None:
        """A session or the roles of a user may have changed: every wait checks again."""
        self._remembered.clear()
        self._kept.forget()
        for waiting in self._waiting:
            waiting.set()

    async def until_over(self, requester: Requester) -> str:
        """Wait until the session is over or the roles of its user have changed; returns the reason."""
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
                    pass  # the database is away: a session that was valid stays valid
                else:
                    if _requester(session, user, requester.secret).principal != requester.principal:
                        return "your roles have changed"
                again.clear()
                try:
                    async with within(self._clock, LOOK_AGAIN_S):
                        await again.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting.discard(again)

    async def rights(self, requester: Requester) -> Principal:
        """Those of the account now, as far as the session may use them. Denied where the session was ended or has
        expired, or the account is disabled; LinkError where that cannot be known."""
        session = requester.session
        by_token = session is not None and session.is_token
        try:
            async with within(self._clock, LOOK_S):
                held, user = await self._holds(requester.secret, by_token=by_token, idle_s=math.inf)
        except TimeoutError:
            raise LinkError(
                f"the rights of {requester.name} cannot be looked up: the database does not answer",
                source="login",
                suggestion="see to the database",
            ) from None
        return principal_of(user, held)

    async def _holds(self, secret: str, *, by_token: bool, idle_s: float | None = None) -> tuple[Session, User]:
        idle_s = self.life.idle_s if idle_s is None else idle_s
        try:
            found = await self._database.sessions.find(secret)
        except LinkError:
            found = self._remembered.get(secret) or self._kept.find(digest(secret))
            if found is None:
                raise
        else:
            if found is None or found[1].disabled or found[0].revoked_ns is not None:
                self._remembered.pop(secret, None)
                self._kept.drop(digest(secret))
        if found is None or found[0].is_token != by_token:
            raise Denied(
                "the request carries no valid session", code="forged_login", source="login", suggestion="log in again"
            )
        over = why_over(found[1], found[0], now_ns=self._clock.now_ns(), idle_s=idle_s)
        if over is not None:
            self._remembered.pop(secret, None)
            raise over_error(over)
        self._remembered[secret] = found
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _seen(self, secret: str, session: Session) -> None:
        """Write its last use. A disk that hangs delays a request by SEEN_S once, and not each time."""
        if secret in self._seeing:
            return
        self._seeing[secret] = task = asyncio.create_task(self._see(secret, session))
        await asyncio.wait([task], timeout=SEEN_S)

    async def _see(self, secret: str, session: Session) -> None:
        try:
            with suppress(CountingRoomError):  # tried again with the next request
                await self._database.sessions.seen(secret, session)
        finally:
            del self._seeing[secret]


def shown(headers: Headers, *, secure: bool) -> tuple[str, bool]:
    """(secret, whether it is the token of a program) of a request; an empty secret where it carries none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(), True
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return "", False
    # With TLS the `__Host-` cookie alone: a plain one could be planted by another host of the domain.
    found = cookies.get(_name(headers.get("host", ""), secure=secure))
    return (found.value if found else ""), False


def cookie(requester: Requester, host: str, *, secure: bool, whole_s: float) -> str:
    """The Set-Cookie of a session at this Host; for a requester without secret, one that removes the cookie."""
    name = _name(host, secure=secure)
    age = round(whole_s) if requester.secret else 0
    return f"{name}={requester.secret}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"


def _name(host: str, *, secure: bool) -> str:
    port = host.rpartition(":")[2]
    return f"{'__Host-' if secure else ''}{COOKIE}{f'_{port}' if port.isdigit() else ''}"


def over_error(cause: Cause) -> Denied:
    """The cause as an exception."""
    return Denied(cause.message, code=cause.code, source=cause.source, suggestion=cause.suggestion)


def _requester(session: Session, user: User, secret: str) -> Requester:
    csrf_token = hmac.new(secret.encode(), b"page", "sha256").hexdigest()
    return Requester(principal=principal_of(user, session), session=session, csrf_token=csrf_token, secret=secret)

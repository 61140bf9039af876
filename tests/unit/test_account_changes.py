"""Changes of accounts: links, names and sessions; a session that is valid is not ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.datastructures import Headers

from countingroom.console.auth.accounts import OPERATE, Accounts
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.sessions import LOOK_S, SessionLifetime, Sessions
from countingroom.core.accounts import Session
from countingroom.core.errors import Denied, LinkError, OutOfRange
from countingroom.core.policy import Principal, Role
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.console.people import PASSWORD, cheap

ROOT = Principal(name="root", role=Role.ADMINISTRATOR)
ORIGIN = "10.1.2.3"


class Desk:
    def __init__(self, clock: FakeClock, database: Database) -> None:
        self.clock = clock
        self.database = database
        self.accounts = Accounts(database, clock, passwords=cheap())

    async def session(self, name: str, origin: str = ORIGIN) -> str:
        secret, _ = await self.database.sessions.create(name, lifetime_s=3600, origin=origin)
        return secret

    async def of(self, name: str) -> list[Session]:
        return list(await self.database.sessions.list(name))


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    clock = FakeClock()
    database = Database("sqlite://", clock=clock)
    await database.open()
    try:
        yield Desk(clock, database)
    finally:
        await database.close()


async def test_the_link_of_the_first_administrator_is_for_an_administrator_without_a_password(desk: Desk) -> None:
    await desk.database.users.create("ada", "test", roles={"*": Role.ADMINISTRATOR})
    secret = await desk.accounts.first()
    assert secret is not None
    assert await desk.database.users.name_of_link(secret) == "ada"


async def test_a_new_account_has_its_full_name(desk: Desk) -> None:
    await desk.accounts.add("nina", ROOT, full_name="Nina Example", roles={})
    (user,) = await desk.database.users.list()
    assert user.full_name == "Nina Example"


async def test_no_account_has_the_name_of_the_user_of_a_console_without_login(desk: Desk) -> None:
    with pytest.raises(OutOfRange):
        await desk.accounts.add("local", ROOT, full_name="", roles={})
    assert list(await desk.database.users.list()) == []


async def test_a_link_for_a_new_password_ends_the_earlier_sessions_of_its_user_alone(desk: Desk) -> None:
    link = await desk.accounts.add("nina", ROOT, full_name="", roles={})
    await desk.accounts.add("eve", ROOT, full_name="", roles={})
    for name in ("nina", "eve"):
        await desk.session(name)
    assert [(one.user.name, one.logins) for one in await desk.accounts.list_accounts()] == [("eve", 1), ("nina", 1)]
    await desk.accounts.use_link(link, "four words no list has", origin=ORIGIN)
    assert (len(await desk.of("nina")), len(await desk.of("eve"))) == (0, 1)


async def test_a_disabled_user_gets_no_session_by_a_link(desk: Desk) -> None:
    await desk.accounts.add("nina", ROOT, full_name="", roles={})
    await desk.accounts.disable("nina", True, ROOT)
    link = await desk.accounts.link("nina", ROOT)
    with pytest.raises(Denied) as refused:
        await desk.accounts.use_link(link, "four words no list has", origin=ORIGIN)
    assert refused.value.cause.code == "login_over"


class RecordedPasswords(Passwords):
    """Records which name waits for its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    async def verify(self, kept: str | None, password: str, **more: Any) -> bool:
        self.names.append(more["name"])
        return False


@pytest.mark.parametrize("name", ["nina", "unknown"])
async def test_a_login_waits_for_the_turn_of_its_own_name(desk: Desk, name: str) -> None:
    passwords = RecordedPasswords()
    accounts = Accounts(desk.database, desk.clock, passwords=passwords)
    await accounts.add("nina", ROOT, full_name="", roles={})
    with pytest.raises(Denied):
        await accounts.identity.prove({"name": name, "password": PASSWORD}, origin=ORIGIN, known="")
    assert passwords.names == [name]


@pytest.mark.parametrize("is_token", [False, True], ids=["browser", "program"])
async def test_a_valid_session_goes_on_until_it_is_ended_or_its_roles_change(desk: Desk, is_token: bool) -> None:
    await desk.accounts.add("nina", ROOT, full_name="", roles={"*": Role.SHIFTER})
    sessions = Sessions(desk.database, desk.clock, SessionLifetime(idle_s=600, whole_s=3600))
    if is_token:
        secret = await desk.accounts.token("nina", what_for="test", scope=OPERATE)
        headers = Headers({"authorization": f"Bearer {secret}"})
    else:
        secret = await desk.session("nina")
        headers = Headers({"cookie": f"countingroom={secret}"})
    requester = await sessions.recognise(headers)
    assert (await sessions.rights(requester)).on("device.caen") is Role.SHIFTER
    over = asyncio.create_task(sessions.until_over(requester))
    for _ in range(3):
        await desk.clock.advance(1)
        sessions.look_again()
    assert not over.done()
    await desk.accounts.grant("nina", "*", Role.EXPERT, ROOT)
    sessions.look_again()
    assert await over == "your roles have changed"
    assert (await sessions.rights(requester)).on("device.caen") is Role.EXPERT
    await desk.database.sessions.revoke_all("nina", "root")
    assert "roles" not in await sessions.until_over(requester)
    with pytest.raises(Denied):
        await sessions.rights(requester)


async def test_a_session_that_was_idle_for_too_long_has_its_rights_for_work_that_goes_on(desk: Desk) -> None:
    await desk.accounts.add("nina", ROOT, full_name="", roles={"*": Role.SHIFTER})
    sessions = Sessions(desk.database, desk.clock, SessionLifetime(idle_s=600, whole_s=3600))
    headers = Headers({"cookie": f"countingroom={await desk.session('nina')}"})
    requester = await sessions.recognise(headers)
    await desk.clock.advance(601)
    with pytest.raises(Denied):
        await sessions.recognise(headers)
    assert (await sessions.rights(requester)).on("device.caen") is Role.SHIFTER
    await desk.clock.advance(3600)
    with pytest.raises(Denied):
        await sessions.rights(requester)


async def test_rights_that_a_hanging_database_does_not_tell_are_not_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.accounts.add("nina", ROOT, full_name="", roles={"*": Role.SHIFTER})
    sessions = Sessions(desk.database, desk.clock, SessionLifetime(idle_s=600, whole_s=3600))
    requester = await sessions.recognise(Headers({"cookie": f"countingroom={await desk.session('nina')}"}))

    async def hanging(secret: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(desk.database.sessions, "find", hanging)
    asking = asyncio.create_task(sessions.rights(requester))
    await desk.clock.advance(LOOK_S - 0.1)
    assert not asking.done()
    await desk.clock.advance(0.2)
    with pytest.raises(LinkError, match="the rights of nina cannot be looked up"):
        await asking

"""A token does no more than its scope says, for a year at most; a new login ends the earlier one of its browser."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from countingroom.console.auth.accounts import OPERATE, READ, TOKEN_S
from countingroom.core.clock import SystemClock
from countingroom.core.errors import OutOfRange
from countingroom.core.policy import Principal, Role
from countingroom.storage.database import Database
from tests.console.people import PASSWORD, House, house
from tests.console.stage import stage

COMMAND = "/api/v1/devices/caen/commands/lv_on"


@pytest.fixture
async def home() -> AsyncGenerator[House]:
    async with stage(SystemClock()) as here, house(here) as standing:
        yield standing


@pytest.mark.parametrize(
    ("user", "scope", "command", "users"),
    [
        ("adam", READ, 403, 403),
        ("adam", OPERATE, 202, 403),
        ("sam", OPERATE, 202, 403),
        ("vera", OPERATE, 403, 403),
        ("sam", {"device.c*": Role.EXPERT}, 202, 403),
        ("sam", {"device.chiller": Role.EXPERT}, 403, 403),
    ],
)
async def test_a_token_does_what_its_scope_and_its_user_may(
    home: House, user: str, scope: dict[str, Role], command: int, users: int
) -> None:
    accounts, _ = home.context.login()
    secret = await accounts.token(user, what_for="test", scope=scope)
    program = home.client({"authorization": f"Bearer {secret}"})
    assert (await program.get("/api/v1/devices")).status_code == 200
    assert (await program.post(COMMAND, json={})).status_code == command
    assert (await program.get("/api/v1/users")).status_code == users
    shown = (await program.get("/api/v1/me")).json()["scope"]
    assert shown == {target: role.name.lower() for target, role in scope.items()}


async def test_a_token_is_valid_for_a_year_at_most(home: House) -> None:
    accounts, _ = home.context.login()
    assert await accounts.token("sam", what_for="test", lifetime_s=TOKEN_S)
    for lifetime_s in (TOKEN_S + 1, 0.0, -1.0, float("nan")):
        with pytest.raises(OutOfRange):
            await accounts.token("sam", what_for="test", lifetime_s=lifetime_s)
    with pytest.raises(OutOfRange):
        await accounts.token("sam", what_for="test", scope={"oven": Role.SHIFTER})


async def test_a_token_of_before_keeps_its_rights_and_ends_within_a_year(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path}/a.sqlite", SystemClock()
    database = Database(url)
    await database.open()
    await database.users.create("sam", "test")
    long, _ = await database.sessions.create("sam", lifetime_s=10 * TOKEN_S, origin="token")
    short, _ = await database.sessions.create("sam", lifetime_s=60, origin="token")
    await database.close()
    engine = create_engine(url)
    with engine.begin() as connection:  # as it was before
        connection.execute(text("ALTER TABLE session DROP COLUMN scope"))
        for column in ("duration_s", "flags", "conditions_begin", "conditions_end"):
            connection.execute(text(f"ALTER TABLE run DROP COLUMN {column}"))
        alarms = ("alarm", "alarm_history", "alarm_writer", "rule", "interlock", "interlock_history")
        messages = ("notification", "notification_cursor", "notification_plan", "acknowledge_link")
        snapshots = ("snapshot_restore_point", "snapshot_restore", "snapshot_golden", "snapshot_action", "snapshot")
        results = ("result_bytes", "result_document", "result")
        fleet = ("fleet_revision", "fleet_record")
        for table in ("trend_view", "description_applied", *alarms, *messages, *snapshots, *results, *fleet):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    engine.dispose()
    database = Database(url)
    await database.open()
    found = [await database.sessions.get(secret) for secret in (long, short)]
    left = [(one.expires_ns - clock.now_ns()) / 1e9 for one in found if one]
    assert left[0] == pytest.approx(TOKEN_S, abs=60)
    assert 0 < left[1] <= 60
    assert all(one and one.scope is None for one in found)
    await database.close()


def test_a_scope_never_adds_to_a_role() -> None:
    for role in Role:
        who = Principal(name="x", role=role, roles={"device.a": Role.EXPERT}, scope={"device.*": Role.SHIFTER})
        assert who.on("device.a") is Role.SHIFTER
        assert who.on("device.b") is min(role, Role.SHIFTER)
        assert who.on("partition.A") is Role.VIEWER


async def test_a_new_login_ends_the_earlier_one_of_the_same_browser(home: House) -> None:
    browser = await home.browser("sam")
    other = await home.browser("sam")
    before = browser.cookies["countingroom_8080"]
    login = {"name": "eve", "password": PASSWORD}
    answer = await browser.post("/api/v1/login", json=login, headers={"x-countingroom": "console"})
    assert answer.status_code == 200
    assert (await browser.get("/api/v1/me")).json()["name"] == "eve"
    assert (await other.get("/api/v1/me")).json()["name"] == "sam"
    stale = await home.client({"cookie": f"countingroom_8080={before}"}).get("/api/v1/me")
    assert stale.json()["cause"]["code"] == "login_over"

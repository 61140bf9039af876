"""Tries are paced whoever makes them, passwords are judged before they are kept, and a login ends by its times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.audit_writer import AuditWriter
from countingroom.console.auth.password_strength import guesses_log10
from countingroom.console.auth.passwords import acceptable
from countingroom.console.auth.rate_limit import Pace, RateLimit
from countingroom.core.accounts import AuditEntry, Session, User, why_over
from countingroom.core.errors import OutOfRange
from countingroom.core.policy import Principal, Role
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.console.people import cheap, house
from tests.console.stage import stage


@given(st.lists(st.floats(0, 20), max_size=200), st.integers(1, 5), st.floats(0.5, 10))
def test_in_any_time_no_more_tries_than_the_burst_and_what_filled_again(
    pauses: list[float], burst: int, every_s: float
) -> None:
    attempts, now, allowed = RateLimit(Pace(burst=burst, every_s=every_s)), 0.0, 0
    for pause in pauses:
        now += pause
        wait = attempts.wait_s("somebody", now)
        allowed += wait == 0
        assert 0 <= wait <= every_s
        assert allowed <= burst + now / every_s + 1e-6


def test_who_waited_may_try_again_and_others_never_wait() -> None:
    attempts = RateLimit(Pace(burst=2, every_s=10))
    assert [attempts.wait_s("a", 0.0) for _ in range(3)] == [0, 0, 10]
    assert attempts.wait_s("b", 0.0) == 0
    assert attempts.wait_s("a", 10.0) == 0


def test_only_so_many_are_remembered_the_oldest_forgotten_first() -> None:
    attempts = RateLimit(Pace(burst=1, every_s=1000), most=2)
    assert [attempts.wait_s(key, 0.0) for key in "aba"] == [0, 0, 1000]
    attempts.wait_s("c", 0.0)
    assert attempts.wait_s("a", 0.0) == 1000
    assert attempts.wait_s("b", 0.0) == 0


EASY = [
    "x" * 201,
    "aaaaaaaaaaaaaa",
    "i-am-anna-really",
    "ylanna-xkv-9182-anna"[::-1],
    "1234567890",
    "123456789012",
    "password12",
    "password1234",
    "P@ssw0rd!2024",
    "qwertyuiop12",
    "drowssap4321",
    "iloveyou iloveyou",
    "Summer2024!!",
    "1qaz2wsx3edc",
    "xk9qxk9qxk9q",
]


@pytest.mark.parametrize("password", ["", "short", *EASY])
def test_a_password_that_is_easily_guessed_is_refused_with_advice(password: str) -> None:
    with pytest.raises(OutOfRange) as refused:
        acceptable(password, name="Anna")
    assert refused.value.cause.suggestion


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "four random plain words",
        "kV9#tq2LmZ8w",
        "vier bunte Lampen",
        "日本語のパスワードです!",
    ],
)
def test_a_password_that_is_not_easily_guessed_is_taken(password: str) -> None:
    assert acceptable(password, name="al")


@given(st.text(min_size=1, max_size=80))
def test_an_estimate_is_never_higher_than_ten_guesses_a_letter(password: str) -> None:
    known = {"password": 1}
    assert 0 <= guesses_log10(password, known) <= len(password.casefold()) + 2
    assert guesses_log10("password", known) == 0


async def test_a_password_of_before_still_logs_in() -> None:
    async with stage(FakeClock()) as here, house(here) as home:
        await home.database.users.set_password("sam", await home.passwords.hash("password12"))
        login = {"name": "sam", "password": "password12"}
        assert (await home.client().post("/api/v1/login", json=login)).status_code == 200


async def test_a_password_is_right_in_either_spelling_of_its_letters_and_nobodys_never() -> None:
    passwords = cheap()
    kept = await passwords.hash(acceptable("mu\u0308nster und co", name="anna"))
    assert kept.startswith("$argon2id$")
    assert await passwords.verify(kept, "münster und co")
    assert not await passwords.verify(kept, "munster und co")
    assert not await passwords.verify(None, "nobody's")
    assert not await passwords.verify("no hash", "x")


S = 10**9


def session(**more: object) -> Session:
    return Session(
        **({"id": "1", "user": "anna", "created_ns": 0, "last_seen_ns": 50 * S, "expires_ns": 100 * S} | more)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("login", "disabled", "now_s", "over"),
    [
        (session(), False, 59, False),
        (session(), False, 60, True),
        (session(origin="token"), False, 99, False),
        (session(last_seen_ns=99 * S), False, 99, False),
        (session(last_seen_ns=99 * S), False, 100, True),
        (session(revoked_ns=1, revoked_by="eve"), False, 51, True),
        (session(), True, 51, True),
    ],
)
def test_a_login_holds_while_used_not_ended_and_its_user_is_let_in(
    login: Session, disabled: bool, now_s: int, over: bool
) -> None:
    anna = User(name="anna", created_ns=0, created_by="eve", disabled=disabled)
    cause = why_over(anna, login, now_ns=now_s * S, idle_s=10)
    assert (cause is not None) == over
    assert cause is None or cause.suggestion


def test_a_role_holds_for_what_its_pattern_fits_and_everywhere_holds_everywhere() -> None:
    anna = Principal(name="anna", role=Role.VIEWER, roles={"device.caen*": Role.SHIFTER, "device.caen1": Role.EXPERT})
    assert anna.on("device.caen2") is Role.SHIFTER
    assert anna.on("device.caen1") is Role.EXPERT
    assert anna.on("partition.caen1") is Role.VIEWER
    assert Principal(name="ben", role=Role.SHIFTER).on("anything") is Role.SHIFTER


def entry(who: str = "", outcome: str = "refused") -> AuditEntry:
    return AuditEntry(time_ns=1, who=who, what="x", origin="10.0.0.9", outcome=outcome)


@asynccontextmanager
async def running(recorder: AuditWriter) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(recorder.run())
        yield
        task.cancel()


async def test_a_stranger_cannot_fill_the_record_and_what_is_left_out_is_counted() -> None:
    clock, database = FakeClock(), Database("sqlite://")
    await database.open()
    recorder = AuditWriter(database.audit, clock)
    for _ in range(500):
        recorder.add(entry())
    recorder.add(entry(who="anna", outcome="accepted"))
    assert recorder.lost == 400
    async with running(recorder):
        await recorder.settled()
    written = await database.audit.find()
    assert any(one.cause and "400 entries" in one.cause.message for one in written)
    assert "anna" in {one.who for one in written}
    await database.close()

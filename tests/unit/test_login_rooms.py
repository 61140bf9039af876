"""Login attempts are limited, passwords are judged before they are stored, and a session ends at its times."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.audit_writer import SUMMARY_S, AuditWriter
from countingroom.console.auth.password_strength import guesses_log10
from countingroom.console.auth.passwords import acceptable
from countingroom.console.auth.rate_limit import Pace, RateLimit
from countingroom.core.accounts import AuditEntry, Session, User, why_over
from countingroom.core.errors import OutOfRange
from countingroom.core.policy import Principal, Role
from countingroom.storage.audit import AuditFilter
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


@pytest.mark.parametrize(("piece", "cost"), [("1984", 2.0), ("2026", 2.0), ("19845", 3.0), ("1784", 4.0)])
def test_only_a_year_costs_as_little_as_a_year(piece: str, cost: float) -> None:
    between = guesses_log10(f"#{piece}?", {}) - guesses_log10("#?", {})
    assert between == pytest.approx(cost)


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


def entry(who: str = "", outcome: str = "refused", origin: str = "10.0.0.9") -> AuditEntry:
    return AuditEntry(time_ns=1_700_000_000_000_000_000, who=who, what="x", origin=origin, outcome=outcome)


@asynccontextmanager
async def running(recorder: AuditWriter) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(recorder.run())
        yield
        task.cancel()


async def written_of(*entries: AuditEntry, then_s: float = SUMMARY_S + 1) -> list[AuditEntry]:
    """What the audit has of these entries, a little more than a minute after they were made."""
    clock, database = FakeClock(), Database("sqlite://")
    await database.open()
    writer = AuditWriter(database.audit, clock)
    async with running(writer):
        for one in entries:
            writer.add(one)
        await writer.settled()
        await clock.advance(then_s)
        await writer.settled()
    found = list(await database.audit.find(AuditFilter(limit=5000)))
    await database.close()
    return found


def summaries(found: list[AuditEntry]) -> list[str]:
    return sorted(one.cause.message.partition(" from ")[0] for one in found if one.cause)


async def test_a_stranger_cannot_fill_the_audit_and_what_is_omitted_is_counted() -> None:
    written = await written_of(*[entry()] * 500, entry(who="anna", outcome="accepted"))
    assert summaries(written) == ["400 more refused requests without a login"]
    assert "anna" in {one.who for one in written}
    assert len(written) == 102


async def test_strangers_of_many_addresses_cannot_fill_the_audit() -> None:
    written = await written_of(*[entry(origin=f"10.0.{number // 250}.{number % 250}") for number in range(2000)])
    assert len(written) == 501
    assert summaries(written) == ["1500 more refused requests without a login"]


async def test_refused_requests_of_a_user_are_limited_and_told_and_actions_are_always_written() -> None:
    written = await written_of(
        *[entry(who="vera")] * 300,
        *[entry(who="vera", outcome="accepted")] * 300,
        *[entry(who="vera", outcome="failed")] * 300,
        *[entry(who="sam")] * 3,
    )
    assert Counter((one.who, one.outcome) for one in written) == {
        ("vera", "refused"): 101,
        ("vera", "accepted"): 300,
        ("vera", "failed"): 300,
        ("sam", "refused"): 3,
    }
    assert summaries(written) == ["200 more refused requests of vera"]


async def test_omitted_entries_are_told_when_the_console_ends() -> None:
    written = await written_of(*[entry(who="vera")] * 105, then_s=0)
    assert summaries(written) == ["5 more refused requests of vera"]
    [told] = [one for one in written if one.cause]
    assert told.cause and told.cause.message.endswith("from 2023-11-14T22:13:20Z to 2023-11-14T22:13:20Z")
    assert told.origin == "10.0.0.9"

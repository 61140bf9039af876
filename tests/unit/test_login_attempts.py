"""Password guessing is slowed down, and neither the owner of the account nor other users are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

import httpx
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.auth.known_device import LIFE_S, device_of, make_token
from countingroom.console.auth.login_turns import RETRY_AFTER_S, WAITING, TurnQueue, Waiting
from countingroom.console.auth.password_login import LocalAccounts
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.rate_limit import network_of
from countingroom.core.errors import LinkError
from countingroom.core.lockout import FIRST_S, FORGET_S, FREE, LONGEST_S, LoginFailures, add_failure
from countingroom.testing.clock import FakeClock
from tests.console.people import ORIGIN, PASSWORD, House, house
from tests.console.stage import stage
from tests.patience import PATIENCE_S

ATTACKER = "10.9.9.9"
PAGE = ORIGIN | {"x-countingroom": "console"}
LINK = {"token": "junk", "password": "four random plain words"}


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def home(clock: FakeClock) -> AsyncGenerator[House]:
    async with stage(clock) as here, house(here) as standing:
        yield standing


async def log_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> int:
    return (await client.post("/api/v1/login", json={"name": name, "password": password}, headers=PAGE)).status_code


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=60))
def test_waits_double_are_bounded_and_end(pauses: list[float]) -> None:
    now, failures, waits = 0.0, None, list[float]()
    for pause in pauses:
        now += pause
        failures = add_failure(failures, now)
        waits.append(failures.wait_s(now))
        assert 0 <= waits[-1] <= LONGEST_S
        assert failures.wait_s(now + waits[-1]) < 1e-6
    assert set(waits[: FREE - 1]) <= {0.0}
    assert failures is not None
    assert add_failure(failures, now + FORGET_S * (len(pauses) + 1)).count == 1


def test_after_a_lock_one_wrong_password_waits_only_twice_as_long() -> None:
    failures: LoginFailures | None = None
    now = 0.0
    waits: list[float] = []
    for _ in range(FREE + 3):
        failures = add_failure(failures, now)
        waits.append(failures.wait_s(now))
        now += waits[-1]
    assert waits == [0.0] * (FREE - 1) + [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]


async def test_junk_on_links_keeps_nobody_from_a_valid_one(home: House) -> None:
    await home.database.users.create("bert", "test")
    link = await home.database.users.make_link("bert", "test", lifetime_s=60)
    for address in (ATTACKER, "10.1.2.3"):
        statuses = [(await home.client(address=address).post("/api/v1/link", json=LINK)).status_code for _ in range(30)]
        assert {403, 429} == set(statuses)
    answer = await home.client(address=ATTACKER).post("/api/v1/link", json=LINK | {"token": link})
    assert answer.json() == {"name": "bert"}


async def test_wrong_passwords_from_one_address_lock_no_other(home: House) -> None:
    assert [await log_in(home.client(address=ATTACKER), "sam", "x") for _ in range(8)] == [401] * FREE + [429] * 3
    assert await log_in(home.client(address=ATTACKER), "sam") == 429
    assert await log_in(home.client(), "sam") == 200
    assert await log_in(home.client(address=ATTACKER), "eve") == 200


async def test_a_known_device_passes_where_its_address_is_locked(home: House) -> None:
    sams = home.client()
    assert await log_in(sams, "sam") == 200
    for _ in range(30):
        await log_in(home.client(), "sam", "x")
    assert await log_in(home.client(), "sam") == 429
    assert await log_in(sams, "sam") == 200
    assert await log_in(home.client(), "eve") == 200
    assert [await log_in(sams, "sam", "x") for _ in range(7)] == [401] * FREE + [429] * 2


async def test_guesses_from_many_addresses_are_bounded_but_not_for_a_known_device(home: House) -> None:
    sams = home.client()
    assert await log_in(sams, "sam") == 200
    statuses = [
        await log_in(home.client(address=f"10.3.{number}.1"), "sam", "x") for number in range(30) for _ in range(FREE)
    ]
    assert 90 <= statuses.count(401) <= 100
    assert await log_in(sams, "sam") == 200


def test_the_token_of_a_device_is_of_one_user_one_password_and_one_time() -> None:
    now_ns = 10**18
    token = make_token("sam", "hash", now_ns)
    device = device_of(token, "sam", "hash", now_ns)
    assert device
    assert device_of(token, "eve", "hash", now_ns) == ""
    assert device_of(token, "sam", "other", now_ns) == ""
    assert device_of(token, "sam", "hash", now_ns + LIFE_S * 10**9) == ""
    assert device_of("9" + token, "sam", "hash", now_ns) == ""


@given(st.text(max_size=80))
def test_a_made_up_device_is_unknown(token: str) -> None:
    assert device_of(token, "sam", "hash", 0) == ""


def test_an_ipv6_host_is_limited_by_its_network() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("unix socket") == "unix socket"


class BusyHasher(PasswordHasher):
    """Hashes when it is let."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.let = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        return self.let.wait(PATIENCE_S) and super().verify(hash, password) if password == "strange" else True


async def test_strangers_do_not_delay_the_password_of_a_known_device() -> None:
    hasher = BusyHasher()
    passwords = Passwords(hasher)
    kept = await passwords.hash("x")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(passwords.verify(kept, "strange", of=f"10.0.0.{number}"))
        await asyncio.sleep(0)
        assert await passwords.verify(kept, "known", is_known=True)
        hasher.let.set()


async def test_one_user_or_address_fills_no_queue() -> None:
    hasher = BusyHasher()
    passwords = Passwords(hasher)
    kept = await passwords.hash("x")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for _ in range(5):  # one is checked, four wait
            tasks.create_task(passwords.verify(kept, "strange", of=ATTACKER))
        await asyncio.sleep(0)
        with pytest.raises(LinkError):
            await passwords.verify(kept, "strange", of=ATTACKER)
        other = tasks.create_task(passwords.verify(kept, "other", of="10.1.1.1"))
        hasher.let.set()
        assert await other


def entries(queue: TurnQueue) -> list[tuple[str, str]]:
    return [(one.address, one.name) for one in iter(queue.take, None)]


async def test_addresses_and_names_have_their_turn_once_in_a_round() -> None:
    queue = TurnQueue()
    for address, name in (("a", "x1"), ("a", "x2"), ("a", "x3"), ("b", "sam"), ("c", "sam"), ("d", "vera")):
        assert queue.add(Waiting(address, name)) is None
    assert entries(queue) == [("a", "x1"), ("b", "sam"), ("d", "vera"), ("a", "x2"), ("c", "sam"), ("a", "x3")]


async def test_a_full_queue_takes_a_new_address_for_the_last_of_one_with_several() -> None:
    queue = TurnQueue()
    for number in range(WAITING):
        queue.add(Waiting(f"a{number // 4}", f"x{number}"))
    new = Waiting("b", "sam")
    lost = queue.add(new)
    assert lost and (lost.address, lost.name) == (f"a{WAITING // 4 - 1}", f"x{WAITING - 1}")
    assert queue.add(again := Waiting("b", "x")) is again
    assert len(queue) == WAITING
    assert ("b", "sam") in entries(queue)[: WAITING // 4 + 1]


STEPS = st.lists(st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=150)
"""None: the next one is taken."""


@given(STEPS)
def test_none_overtakes_an_older_one_of_its_address_or_name_and_each_has_its_turn(
    steps: list[tuple[int, int] | None],
) -> None:
    async def play() -> None:
        queue = TurnQueue()
        waiting: list[Waiting] = []

        def take() -> None:
            found = queue.take()
            assert (found is None) == (not waiting)
            if found:
                older = waiting[: waiting.index(found)]
                assert not any(one.address == found.address or one.name == found.name for one in older)
                waiting.remove(found)

        for step in steps:
            if step is None:
                take()
            else:
                new = Waiting(f"a{step[0]}", f"n{step[1]}")
                lost = queue.add(new)
                waiting.append(new)
                if lost:
                    waiting.remove(lost)
            assert len(queue) == len(waiting) <= WAITING
        while waiting:
            take()

    asyncio.run(play())


async def test_a_login_from_an_address_of_users_waits_for_one_other_only() -> None:
    """60 logins with wrong names from many addresses fill the queue of unknown addresses."""
    hasher = BusyHasher()
    passwords = Passwords(hasher)
    kept = await passwords.hash("x")
    flood: list[asyncio.Task[bool]] = []
    async with asyncio.timeout(PATIENCE_S):
        for number in range(WAITING + 1):
            flood.append(
                asyncio.ensure_future(passwords.verify(kept, "strange", of=f"10.0.0.{number}", name=f"n{number}"))
            )
            await asyncio.sleep(0)
        with pytest.raises(LinkError) as caught:
            await passwords.verify(kept, "right", of="10.2.2.2", name="sam")
        assert caught.value.cause.evidence == {"retry_after_s": RETRY_AFTER_S}
        right = asyncio.ensure_future(passwords.verify(kept, "right", of="10.1.1.1", name="sam", is_familiar=True))
        await asyncio.sleep(0)
        flood[5].cancel()
        hasher.let.set()
        assert await right
        assert sum(one.done() for one in flood) <= 4
        ended = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in ended) == 1
    assert sum(one is False for one in ended) == WAITING


async def test_many_wrong_names_after_the_start_fill_no_queue_of_known_devices() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    kept = await passwords.hash("x")
    flood = [passwords.verify(None, "x", of=f"10.0.0.{number}", name=f"n{number}") for number in range(30)]
    *wrong, right = await asyncio.gather(*flood, passwords.verify(kept, "x", is_known=True, of="user sam"))
    assert right
    assert not any(wrong)


async def test_a_login_without_a_place_is_answered_503_with_the_time_to_wait(home: House) -> None:
    assert await log_in(home.client(address="10.4.4.4"), "sam") == 200
    hasher = BusyHasher()
    identity = home.context.login()[0].identity
    assert isinstance(identity, LocalAccounts)
    identity._passwords = Passwords(hasher)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for number in range(WAITING + 1):
            tasks.create_task(log_in(home.client(address=f"10.5.0.{number}"), f"n{number}", "strange"))
        while len(identity._passwords._unknown._others) < WAITING:
            await asyncio.sleep(0.01)
        body = {"name": "eve", "password": "x"}
        answer = await home.client(address="10.6.6.6").post("/api/v1/login", json=body, headers=PAGE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["cause"]["code"] == "busy"
        familiar = tasks.create_task(log_in(home.client(address="10.4.4.4"), "eve"))
        await asyncio.sleep(0)
        hasher.let.set()
        assert await familiar == 200


async def test_too_many_attempts_are_answered_with_the_time_to_wait(home: House) -> None:
    client = home.client(address=ATTACKER)
    for _ in range(FREE):
        await log_in(client, "sam", "x")
    answer = await client.post("/api/v1/login", json={"name": "sam", "password": "x"}, headers=PAGE)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_who_logs_in_again_and_again_is_slowed_down_and_no_other(home: House) -> None:
    veras, sams = home.client(), home.client()
    statuses = [await log_in(veras, "vera") for _ in range(25)]
    assert set(statuses) == {200, 429}
    assert await log_in(sams, "sam") == 200


async def test_behind_a_proxy_the_address_is_that_of_the_client() -> None:
    async with stage(FakeClock()) as here, house(here, behind_proxy=("10.8.0.0/24",)) as home:

        async def forwarded(client: str, peer: str = "10.8.0.7", password: str = PASSWORD) -> int:
            return await log_in(home.client({"x-forwarded-for": f"1.1.1.1, {client}"}, address=peer), "sam", password)

        assert [await forwarded(ATTACKER, password="x") for _ in range(FREE + 1)] == [401] * FREE + [429]
        assert await forwarded("10.1.1.1") == 200
        assert {one.origin for one in await home.record()} == {ATTACKER, "10.1.1.1"}
        assert await forwarded("10.1.1.2", peer="10.1.1.3") == 403
        assert await forwarded("10.1.1.2", peer="127.0.0.1") == 200
        assert (await home.record())[0].origin == "127.0.0.1"
        page = await home.client({"x-forwarded-proto": "https"}, address="10.8.0.7").post(
            "/api/v1/login", json={"name": "eve", "password": PASSWORD}
        )
        assert all("Secure" in cookie for cookie in page.headers.get_list("set-cookie"))

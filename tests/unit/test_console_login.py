"""Each action needs a valid login and a page of this console; each attempt is in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.datastructures import Headers

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.lockout import FIRST_S
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.core.policy import LOCAL, Control
from countingroom.storage import engine
from countingroom.testing.clock import FakeClock
from tests.console.people import HOST, ORIGIN, PASSWORD, House, house
from tests.console.stage import Stage, stage
from tests.patience import PATIENCE_S

COMMAND = "/api/v1/devices/caen/commands/lv_on"


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


@pytest.fixture
async def home(here: Stage) -> AsyncGenerator[House]:
    async with house(here) as standing:
        yield standing


async def test_a_page_logs_in_acts_under_its_name_and_leaves(here: Stage, home: House) -> None:
    browser = await home.browser("sam")
    assert (await browser.get("/api/v1/me")).json() == {
        "name": "sam",
        "role": "shifter",
        "roles": {"*": "shifter"},
        "login": True,
    }
    assert (await browser.post(COMMAND, json={})).status_code == 202
    assert here.asked[-1][0] == "command.sam.devices.caen"
    assert (await browser.post("/api/v1/logout", json={})).status_code == 200
    assert (await browser.get("/api/v1/me")).status_code == 401
    assert [(one.who, one.what, one.target, one.outcome) for one in await home.record()] == [
        ("sam", "logout", "", "accepted"),
        ("sam", "lv_on", "device.caen", "accepted"),
        ("sam", "login", "", "accepted"),
    ]


@pytest.fixture
async def released(here: Stage, home: House) -> AsyncGenerator[list[str]]:
    """Who gave up control of mCBM, which sam has."""
    given_up: list[str] = []
    held = Control(holder="sam", token=3, until_ns=SystemClock().now_ns() + 600_000_000_000)
    key = subjects.control_key("mCBM")
    await here.bus.put(subjects.STATE_BUCKET, key, encode(held))
    while key not in home.context.latest.words:
        await asyncio.sleep(0)

    async def answer(message: Message) -> bytes:
        command = decode(message.data, Command)
        given_up.append(f"{subjects.command_user(message.subject)} {command.action}")
        return encode(Reply(id=command.id, accepted=True))

    async with here.bus.client().respond(subjects.commands_to("runs", "mCBM"), answer):
        yield given_up


async def test_no_password_of_any_field_is_in_the_audit(home: House) -> None:
    browser = await home.browser("sam")
    wrong, new = "no-such-present-Xq7!zebra", "another-long-Xq7!giraffe"
    await browser.post(COMMAND, json={"arguments": {"secret": new}})
    changes = [
        ({"present": wrong, "password": new}, 400),
        ({"present": PASSWORD, "password": new}, 200),
    ]
    for body, least in changes:
        answer = await browser.post("/api/v1/me/password", json=body)
        assert answer.status_code >= least, answer.text
    await home.client().post("/api/v1/link", json={"token": new, "password": new})
    kept = await home.record()
    assert {one.what for one in kept} >= {"password", "login", "link", "lv_on"}
    for secret in (wrong, new, PASSWORD):
        assert secret not in repr(kept)
    assert not any({"present", "password", "token", "secret"} & set(one.arguments) for one in kept)


@pytest.mark.parametrize("field", ["password", "present", "token", "secret"])
async def test_no_secret_in_the_body_of_any_route_is_in_the_audit(home: House, field: str) -> None:
    browser = await home.browser("sam")
    hidden = "a-long-one-Xq7!giraffe"
    await browser.post(COMMAND, json={field: hidden, "arguments": {field: hidden, "point": "p"}})
    last = (await home.record())[0]
    assert dict(last.arguments) == {"point": "p"}
    assert hidden not in repr(last)


async def test_no_password_under_a_wrong_name_is_in_the_audit(home: House) -> None:
    browser = await home.browser("sam")
    secret = "a-long-one-Xq7!giraffe"
    await browser.post("/api/v1/me/password", json={"old": secret, "new": secret})
    await home.client().post("/api/v1/link", json={"link": secret, "pw": secret})
    await home.client().post("/api/v1/login", json={"name": "sam", "passwd": secret, "proof": {"word": secret}})
    kept = await home.record()
    assert [(one.what, dict(one.arguments)) for one in kept[:3]] == [
        ("login", {"name": "sam"}),
        ("link", {}),
        ("password", {}),
    ]
    assert secret not in repr(kept)


async def test_an_argument_does_not_hide_in_the_audit_what_the_request_was_about(home: House) -> None:
    browser = await home.browser("sam")
    await browser.post(COMMAND, json={"channel": "0", "arguments": {"channel": "3", "id": "x", "secret": "s"}})
    await browser.post(COMMAND, json={"arguments": {"channel": "3", "point": "p"}, "wait_s": 0})
    last, first = (await home.record())[:2]
    assert dict(first.arguments) == {"channel": "0", "arguments.channel": "3", "arguments.id": "x"}
    assert dict(last.arguments) == {"wait_s": 0, "arguments.channel": "3", "point": "p"}


async def test_who_logs_out_of_the_last_browser_gives_up_control(home: House, released: list[str]) -> None:
    first, second, other = await home.browser("sam"), await home.browser("sam"), await home.browser("eve")
    await home.program("sam")
    assert (await first.post("/api/v1/logout", json={})).status_code == 200
    assert (await other.post("/api/v1/logout", json={})).status_code == 200
    assert released == []
    assert (await second.post("/api/v1/logout", json={})).status_code == 200
    assert released == ["sam release_control"]


@pytest.mark.parametrize(("ending", "body"), [("log_out", {}), ("disable", {"disabled": True})])
async def test_whose_logins_are_ended_is_in_control_no_more(
    home: House, released: list[str], ending: str, body: dict[str, bool]
) -> None:
    await home.browser("sam")
    administrator = await home.browser("adam")
    assert (await administrator.post(f"/api/v1/users/sam/{ending}", json=body)).status_code == 200
    assert released == ["sam release_control"]


async def test_a_logout_waits_for_nobody_where_control_cannot_be_given_up(here: Stage, home: House) -> None:
    held = Control(holder="sam", token=3, until_ns=SystemClock().now_ns() + 600_000_000_000)
    await here.bus.put(subjects.STATE_BUCKET, subjects.control_key("mCBM"), encode(held))
    browser = await home.browser("sam")
    assert (await browser.post("/api/v1/logout", json={})).status_code == 200
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_the_cookie_is_strict_and_shows_nothing_to_scripts(home: House) -> None:
    answer = await home.client().post("/api/v1/login", json={"name": "sam", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    secret = cookie.partition("=")[2].partition(";")[0]
    assert len(secret) > 40
    assert secret not in answer.text
    secure = home.client()
    secure.base_url = "https://127.0.0.1:8080"
    answer = await secure.post("/api/v1/login", json={"name": "sam", "password": PASSWORD})
    assert answer.headers["set-cookie"].startswith("__Host-countingroom_8080=")
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_with_tls_only_the_host_cookie_counts_and_the_host_is_kept_to_it(home: House) -> None:
    secure = home.client()
    secure.base_url = "https://control.example"
    answer = await secure.post("/api/v1/login", json={"name": "sam", "password": PASSWORD})
    cookie, device = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-countingroom=") and "Secure" in cookie and "Secure" in device
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    secret = cookie.partition("=")[2].partition(";")[0]
    for name, status in ((f"__Host-countingroom={secret}", 200), (f"countingroom={secret}", 401)):
        client = home.client({"cookie": name})
        client.base_url = "https://control.example"
        assert (await client.get("/api/v1/me")).status_code == status
    assert "strict-transport-security" not in (await home.client().get("/login")).headers
    local = home.client()
    local.base_url = "https://localhost:8080"
    assert "strict-transport-security" not in (await local.get("/login")).headers


async def test_a_console_without_encryption_says_so_on_every_page(here: Stage) -> None:
    async with house(here, insecure=True) as home:
        browser = await home.browser("sam")
        for path in ("/", "/devices/caen", "/account", "/nothing"):
            assert "not encrypted" in (await browser.get(path, headers={"accept": "text/html"})).text
        assert "not encrypted" in (await home.client().get("/login")).text
    async with house(here) as home:
        assert "not encrypted" not in (await (await home.browser("sam")).get("/")).text


async def test_a_stranger_is_led_to_the_login_and_a_program_is_told(home: House) -> None:
    stranger = home.client()
    page = await stranger.get("/devices/caen", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/devices/caen")
    assert (await stranger.get("/login")).status_code == 200
    answer = await stranger.get("/api/v1/devices")
    assert (answer.status_code, answer.json()["cause"]["code"]) == (401, "no_login")
    assert (await stranger.get("/openapi.json")).status_code == 401
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.post(COMMAND, json={})).status_code == 401
    (entry,) = await home.record()
    assert (entry.who, entry.what, entry.outcome) == ("", COMMAND, "refused")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"cookie": "countingroom_8080=made-up"}, 401, "forged_login"),
        ({"authorization": "Bearer made-up"}, 401, "forged_login"),
        ({"origin": "http://evil.example"}, 403, "forged_origin"),
        ({"host": "evil.example"}, 421, "forged_host"),
        ({"sec-fetch-site": "cross-site"}, 403, "forged_origin"),
    ],
)
async def test_what_is_forged_is_refused_and_on_the_record(
    here: Stage, home: House, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await home.client(headers).post(COMMAND, json={})
    assert (answer.status_code, answer.json()["cause"]["code"]) == (status, code)
    (entry,) = await home.record()
    assert entry.cause is not None
    assert (entry.who, entry.what, entry.outcome, entry.cause.code) == ("", COMMAND, "refused", code)
    assert entry.origin == "10.1.2.3"
    assert here.asked == []


async def test_a_cookie_alone_does_not_act_and_neither_does_another_logins_mark(here: Stage, home: House) -> None:
    sam, vera = await home.browser("sam"), await home.browser("vera")
    for csrf_token in ("", "console", vera.headers["x-countingroom"]):
        answer = await sam.post(COMMAND, json={}, headers={"x-countingroom": csrf_token})
        assert answer.status_code == 403
        assert answer.json()["cause"]["code"] in ("wrong_mark", "no_token")
    del sam.headers["origin"]
    answer = await sam.post(COMMAND, json={}, headers={"x-countingroom": "console"})
    assert answer.json()["cause"]["code"] == "wrong_mark"
    assert here.asked == []
    assert [one.cause.code for one in (await home.record())[:2] if one.cause] == ["wrong_mark", "wrong_mark"]


async def test_the_token_of_a_program_is_no_cookie_and_a_cookie_no_token(home: House) -> None:
    program = await home.program("sam")
    assert (await program.post(COMMAND, json={})).status_code == 202
    token = program.headers["authorization"].split()[1]
    as_cookie = await home.client({"cookie": f"countingroom_8080={token}"}).get("/api/v1/me")
    assert as_cookie.json()["cause"]["code"] == "forged_login"
    browser = await home.browser("sam")
    secret = browser.cookies["countingroom_8080"]
    as_token = await home.client({"authorization": f"Bearer {secret}"}).get("/api/v1/me")
    assert as_token.json()["cause"]["code"] == "forged_login"


@pytest.mark.server
async def test_a_login_ends_by_being_idle_and_in_any_case() -> None:
    clock = FakeClock()
    async with stage(clock) as here, house(here) as home:
        browser = await home.browser("sam")
        for _ in range(5):
            await clock.advance(599)
            assert (await browser.get("/api/v1/me")).status_code == 200
        await clock.advance(605)
        answer = await browser.get("/api/v1/me")
        assert (answer.status_code, answer.json()["cause"]["code"]) == (401, "login_over")
        assert (await browser.post(COMMAND, json={})).json()["cause"]["code"] == "login_over"
        browser = await home.browser("sam")
        for _ in range(6):
            await clock.advance(590)
            assert (await browser.get("/api/v1/me")).status_code == 200
        await clock.advance(61)
        answer = await browser.get("/api/v1/me")
        assert answer.json()["cause"]["message"] == "this session has expired"
        assert any(one.cause and one.cause.code == "login_over" for one in await home.record())


async def test_wrong_passwords_tell_nothing_lock_for_a_while_and_are_recorded() -> None:
    clock = FakeClock()
    async with stage(clock) as here, house(here) as home:

        async def log_in(name: str, password: str) -> tuple[int, dict[str, str]]:
            answer = await home.client().post("/api/v1/login", json={"name": name, "password": password})
            return answer.status_code, answer.json().get("cause")

        unknown, wrong = await log_in("nobody", "x"), await log_in("sam", "x")
        assert unknown == wrong
        for _ in range(4):
            await log_in("sam", "x")
        assert (await log_in("sam", PASSWORD))[0] == 429
        await clock.advance(FIRST_S)
        assert (await log_in("sam", PASSWORD))[0] == 200
        statuses = [(await log_in("sam", "x"))[0] for _ in range(30)]
        assert statuses[-1] == 429
        record = await home.record()
        assert all("x" not in one.arguments.values() and PASSWORD not in str(one.arguments) for one in record)
        assert {one.cause.code for one in record if one.cause} == {"wrong_password", "too_often"}


async def test_the_link_of_the_first_administrator_works_once(here: Stage) -> None:
    async with house(here) as home:
        accounts, _ = home.context.login()
        assert await accounts.first() is None
        await home.database.users.create("bert", "test")
        link = await accounts.link("bert", LOCAL)
        body = {"token": link, "password": "four random plain words"}
        assert (await home.client().post("/api/v1/link", json=body | {"password": "short"})).status_code == 422
        assert (await home.client().post("/api/v1/link", json=body)).json() == {"name": "bert"}
        again = await home.client().post("/api/v1/link", json=body)
        assert (again.status_code, again.json()["cause"]["code"]) == (403, "link_void")


async def test_ones_own_password_needs_the_present_one_and_ends_other_logins(home: House) -> None:
    first, second = await home.browser("sam"), await home.browser("sam")
    body = {"present": "wrong", "password": "some other long words"}
    assert (await first.post("/api/v1/me/password", json=body)).json()["cause"]["code"] == "wrong_password"
    assert (await first.post("/api/v1/me/password", json=body | {"present": PASSWORD})).status_code == 200
    assert (await first.get("/api/v1/me")).status_code == 200
    assert (await second.get("/api/v1/me")).json()["cause"]["code"] == "login_over"


async def test_an_administrator_makes_trusts_and_disables_people(home: House) -> None:
    adam = await home.browser("adam")
    made = await adam.post("/api/v1/users", json={"name": "nina", "roles": {"device.chiller": "shifter"}})
    assert made.json()["link"].startswith("/link#")
    assert (await adam.post("/api/v1/users/nina/grant", json={"target": "device.*", "role": "boss"})).status_code == 422
    assert (await adam.post("/api/v1/users/nina/grant", json={"target": "oven", "role": "shifter"})).status_code == 422
    assert (await adam.post("/api/v1/users/sam/disable", json={"disabled": True})).status_code == 200
    users = {one["user"]["name"]: one for one in (await adam.get("/api/v1/users")).json()["users"]}
    assert users["nina"]["roles"] == {"device.chiller": "shifter"}
    assert users["sam"]["user"]["disabled"]
    answer = await home.client().post("/api/v1/login", json={"name": "sam", "password": PASSWORD})
    assert answer.status_code == 401
    last = await adam.post("/api/v1/users/adam/disable", json={"disabled": True})
    assert "no administrator who can log in would be left" in last.json()["cause"]["message"]
    entries = (await adam.get("/api/v1/audit", params={"who": "adam", "what": "grant"})).json()["entries"]
    assert {one["outcome"] for one in entries} == {"refused"}


async def test_a_websocket_needs_a_login_and_our_own_origin(home: House) -> None:
    browser = await home.browser("vera")
    cookie = {"cookie": f"countingroom_8080={browser.cookies['countingroom_8080']}"}
    assert (await home.knock(cookie | ORIGIN))["type"] == "websocket.accept"
    assert await home.knock(ORIGIN) == {"type": "websocket.close", "code": 1008, "reason": "no_login"}
    assert (await home.knock({"cookie": "countingroom_8080=x"} | ORIGIN))["reason"] == "forged_login"
    assert (await home.knock(cookie | {"origin": "http://evil.example"}))["reason"] == "forged_origin"
    codes = [one.cause.code for one in await home.record() if one.what == "/api/v1/live" and one.cause]
    assert codes == ["forged_origin", "forged_login", "no_login"]


@pytest.mark.parametrize("what", ["log_out", "disable", "grant"])
async def test_what_is_open_under_a_login_ends_at_once_when_that_ends_or_its_roles_change(
    home: House, what: str
) -> None:
    _, logins = home.context.login()
    sam = await home.browser("sam")
    cookie = f"countingroom_8080={sam.cookies['countingroom_8080']}"
    requester = await logins.recognise(Headers({"host": HOST, "cookie": cookie}))
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(logins.until_over(requester))
        await asyncio.sleep(0)
        assert not watching.done()
        adam = await home.browser("adam")
        body = {"disabled": True} if what == "disable" else {"target": "*", "role": "expert"}
        assert (await adam.post(f"/api/v1/users/sam/{what}", json={} if what == "log_out" else body)).status_code == 200
    assert watching.result()


async def test_while_the_database_is_away_who_is_known_stays_known_and_the_record_waits(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam = await home.program("sam")
    assert (await sam.get("/api/v1/me")).status_code == 200
    with monkeypatch.context() as away:
        away.setattr(engine, "WAITING", 0)  # it refuses everything
        assert (await sam.post(COMMAND, json={})).status_code == 202
        assert (await (home.client({"authorization": "Bearer other"})).get("/api/v1/me")).status_code == 503
    async with asyncio.timeout(PATIENCE_S):
        assert "lv_on" in {one.what for one in await home.record()}


async def test_what_somebody_may_not_do_is_among_the_refusals_they_see(home: House) -> None:
    vera, carla = await home.program("vera"), await home.program("carla")
    told = (await vera.get("/api/v1/devices/caen")).json()
    assert told["state"]["refusals"]["set"]["code"] == "denied"
    mine = (await carla.get("/api/v1/devices/caen")).json()["state"]["refusals"]
    assert "set" not in mine
    page = (await vera.get("/devices/caen")).text
    assert '"denied":{"hv_off":{' in page and "vera is viewer" in page
    chiller = (await carla.get("/devices/chiller")).text
    assert "carla is viewer" in chiller

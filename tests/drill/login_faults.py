"""Faults of users and strangers where there is a login: rights that grow, weak passwords, forged requests and texts.

Each is played on a small experiment with a login, while the one of the drill goes on. AssertionError where it is not
stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.drill.drill import Playground
from tests.drill.guarded import DANGEROUS, ORDINARY, PASSWORD, Guarded, command_line, description_in, guarded
from tests.system.running import until

SET = "/api/v1/devices/chiller/commands/set"
WEAK = ("1234567890", "password12", "qwertyuiop", "short", "pass", "guestguest12", "aaaaaaaaaaaaaaaa")
JSON = {"content-type": "application/json"}


def _beside(there: Playground) -> Path:
    return there.running.data.parent


def _status(answer: httpx.Response, wanted: int, what: str) -> None:
    assert answer.status_code == wanted, f"{what}: {answer.status_code}, not {wanted}: {answer.text[:300]}"


@contextmanager
def rights_that_grow(there: Playground) -> Iterator[None]:
    """An administrator of the description makes itself one of all; a shifter sets what only an expert may."""
    with guarded(_beside(there)) as house:
        anna = house.add("anna", {"_experiment": "administrator"})
        grant = {"target": "*", "role": "administrator"}
        _status(anna.post("/api/v1/users/anna/grant", json=grant), 403, "anna makes herself administrator of all")
        friend = {"name": "friend", "roles": {"*": "administrator"}}
        _status(anna.post("/api/v1/users", json=friend), 403, "anna makes an administrator of all")
        _status(anna.post("/api/v1/users/admin/link", json={}), 403, "anna makes a link for the administrator")
        sam = house.add("sam", {"*": "shifter"})
        ordinary, dangerous = ({"arguments": {"point": one, "value": 5.0}} for one in (ORDINARY, DANGEROUS))
        until(lambda: sam.post(SET, json=ordinary).is_success, "a shifter sets an ordinary point")
        _status(sam.post(SET, json=dangerous), 403, "a shifter sets a dangerous point")
        assert house.audit(who="anna", outcome="refused"), "what anna tried is not in the audit"
        yield


@contextmanager
def forged_requests(there: Playground) -> Iterator[None]:
    """A path that leads to another site, and bodies that are nested, marked or too large."""
    with guarded(_beside(there)) as house:
        page = house.client().get("/login", params={"next": "/\t/evil.example/"})
        _status(page, 200, "the page of the login")
        assert "evil.example" not in page.text, "the page of the login leads to another site"
        admin = house.administrator
        for body, what in ((b"[" * 1100, "a nested body"), (b"\xef\xbb\xbf{}", "a body with a mark")):
            _status(admin.post(SET, content=body, headers=JSON), 400, what)
        _status(admin.post(SET, content=b"x" * 7_000_000, headers=JSON), 413, "a body of 7 MB")
        until(lambda: len(house.audit(what="set", outcome="refused")) >= 2, "the audit has each refused body")
        yield


@contextmanager
def weak_passwords(there: Playground) -> Iterator[None]:
    """Passwords that everybody tries first, and the own name."""
    with guarded(_beside(there)) as house:
        secret = house.administrator.post("/api/v1/users", json={"name": "guest"}).json()["link"].rpartition("#")[2]
        for weak in WEAK:
            answer = house.client().post("/api/v1/link", json={"token": secret, "password": weak})
            assert answer.is_client_error, f"{weak} is accepted as a password: {answer.text}"
        house.enter(secret)
        yield


@contextmanager
def passwords_in_the_clear(there: Playground) -> Iterator[None]:
    """A console with a login and without TLS for other machines."""
    folder = _beside(there) / "exposed"
    folder.mkdir(exist_ok=True)
    exposed = "host: 0.0.0.0, names: [control.example]"
    for more, status in (("", 2), (", insecure: true", 0), (", behind_proxy: [127.0.0.1]", 0)):
        file = description_in(folder, exposed + more)
        found = command_line("check", file)
        assert found.returncode == status, f"check of {exposed + more}: {found.stdout}{found.stderr}"
        if status:
            assert "without encryption" in found.stdout + found.stderr, found.stdout + found.stderr
            started = command_line("up", file, "--data", folder / "data", "--port", "0")
            assert started.returncode == status, f"it was started: {started.stdout}"
    yield


@contextmanager
def forged_texts_and_logins(there: Playground) -> Iterator[None]:
    """A text that reverses what follows, a token that does more than it may, a login that was left, a wrong name."""
    with guarded(_beside(there)) as house:
        admin = house.administrator
        reversed_ = {"arguments": {"point": ORDINARY, "value": 5.0, "comment": "good\u202enur"}}
        _status(admin.post(SET, json=reversed_), 400, "a text with U+202E")
        _token_of_the_reader(house)
        before = dict(admin.cookies)
        login = {"name": "admin", "password": PASSWORD}
        _status(admin.post("/api/v1/login", json=login, headers={"x-countingroom": "console"}), 200, "a new login")
        stale = httpx.get(f"{house.running.url}/api/v1/me", cookies=before)
        _status(stale, 401, "the login before the new one")
        wrong = house.client().post("/api/v1/login", json={"name": "mallory", "password": "wrong"})
        _status(wrong, 401, "a wrong login")
        until(lambda: house.audit(what="login", target="name.mallory"), "the audit has the name that was tried")
        yield


def _token_of_the_reader(house: Guarded) -> None:
    words = ("user", "token", house.description, "admin", "--data", house.running.data)
    too_long = command_line(*words, "--days", "400")
    assert too_long.returncode == 2, f"a token for 400 days: {too_long.stdout}"
    secret = command_line(*words, "--scope", "read").stdout.strip()
    headers = {"authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=house.running.url, headers=headers) as program:
        _status(program.get("/api/v1/devices"), 200, "a token that reads, reading")
        asked = {"arguments": {"point": ORDINARY, "value": 5.0}}
        _status(program.post(SET, json=asked), 403, "a token that reads, setting")

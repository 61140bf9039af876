"""Nothing is refused and nothing fails without a word on what to do next.

Read off the program itself: every Cause it makes, every error it raises; and off the API, refusal by refusal.
"""

from __future__ import annotations

import ast
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest

from countingroom.core import errors
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, CountingRoomError, NotAllowed
from tests.console.people import HOST, ORIGIN, House, house
from tests.console.stage import Stage, stage
from tests.source_trees import PACKAGE, trees

UNDER = {
    "core/yaml/located.py": 1,
    "devices/drivers/marta/behaviour.py": 1,
    "runs/coordinator/apply_description.py": 1,
    "storage/applying.py": 1,
    "storage/checked.py": 1,
    "storage/configuration_rows.py": 2,
    "storage/mapping.py": 1,
    "storage/schemas.py": 1,
}
"""Causes that stand under another one, which says what to do: file -> how many."""


def causes() -> Iterator[tuple[str, ast.Call]]:
    """Every Cause made in what is shipped to people."""
    for path, tree in trees().items():
        name = str(path.relative_to(PACKAGE))
        if name.startswith("testing/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Cause":
                yield name, node


def test_every_cause_suggests_something_or_stands_under_one_that_does() -> None:
    silent: dict[str, list[int]] = {}
    for name, call in causes():
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        suggestion = given.get("suggestion")
        if suggestion is None or (isinstance(suggestion, ast.Constant) and not suggestion.value):
            silent.setdefault(name, []).append(call.lineno)
    too_many = {name: lines for name, lines in silent.items() if len(lines) > UNDER.get(name, 0)}
    assert too_many == {}, "say what to do: suggestion="
    assert set(UNDER) == set(silent), "these are no longer there"


def kinds(of: type[CountingRoomError]) -> Iterator[type[CountingRoomError]]:
    """The error and all that are of its kind."""
    yield of
    for one in of.__subclasses__():
        yield from kinds(one)


@pytest.mark.parametrize("kind", list(kinds(CountingRoomError)), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_suggests_something_where_nothing_better_is_said(kind: type[CountingRoomError]) -> None:
    assert kind.suggestion
    assert kind.code


def test_no_error_is_raised_with_an_empty_suggestion() -> None:
    kinds_of_error = {one.__name__ for one in kinds(CountingRoomError)}
    silent: list[str] = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                overwritten = [one for one in node.exc.keywords if one.arg == "suggestion"]
                empty = any(isinstance(one.value, ast.Constant) and not one.value.value for one in overwritten)
                if node.exc.func.id in kinds_of_error and empty:
                    silent.append(f"{path}:{node.lineno}")
    assert silent == []


@pytest.mark.parametrize("allowed", [(), ("lv_on", "reconnect")])
def test_what_a_state_does_not_allow_says_what_it_allows(allowed: tuple[str, ...]) -> None:
    suggestion = NotAllowed("LV_OFF", "hv_on", allowed).cause.suggestion
    assert suggestion == ("use one of: lv_on, reconnect" if allowed else "wait until the state LV_OFF has ended")


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


@pytest.fixture
async def home(here: Stage) -> AsyncGenerator[House]:
    async with house(here) as standing:
        yield standing


SET = "/api/v1/devices/caen/commands/set"
PAGE = ORIGIN | {"x-countingroom": "console"}
LONG = {"content-type": "application/json", "content-length": "70000"}
AT_THE_DOOR: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (421, "forged_host", "GET", "/", {"headers": {"host": "evil.example"}}),
    (403, "forged_origin", "POST", SET, {"json": {}, "headers": {"origin": "http://evil.example"}}),
    (401, "no_login", "POST", SET, {"json": {}, "headers": ORIGIN}),
    (403, "wrong_mark", "POST", "/api/v1/login", {"json": {}, "headers": ORIGIN | {"x-countingroom": "other"}}),
    (405, "method", "DELETE", SET, {}),
    (413, "too_large", "POST", SET, {"content": b"x" * 70_000, "headers": LONG}),
    (415, "not_json", "POST", SET, {"content": b"x", "headers": {"content-type": "text/plain"}}),
    (401, "no_login", "GET", "/api/v1/devices", {}),
    (401, "forged_login", "GET", "/api/v1/devices", {"headers": {"cookie": "countingroom_8080=x"}}),
    (401, "wrong_password", "POST", "/api/v1/login", {"json": {"name": "sam", "password": "x"}, "headers": PAGE}),
    (403, "link_void", "POST", "/api/v1/link", {"json": {"token": "x", "password": "a few plain words"}}),
    (403, "no_token", "POST", "/api/v1/login", {"json": {"name": "sam", "password": "x"}, "headers": ORIGIN}),
    (422, "invalid", "POST", "/api/v1/login", {"json": {}}),
]
INSIDE: list[tuple[str, int, str, str, str, dict[str, Any]]] = [
    ("vera", 403, "denied", "POST", SET, {"json": {}}),
    ("vera", 403, "denied", "GET", "/api/v1/audit", {}),
    ("sam", 404, "not_found", "GET", "/api/v1/devices/oven", {}),
    ("sam", 404, "not_found", "GET", "/api/v1/devices/caen/points/none", {}),
    ("sam", 404, "not_found", "GET", "/api/v1/nothing", {}),
    ("eve", 404, "not_found", "POST", "/api/v1/simulators/a.b/faults/x", {"json": {}}),
    ("sam", 422, "invalid", "POST", SET, {"json": {"other": 1}}),
    ("sam", 422, "invalid", "GET", "/api/v1/events?source=a.b", {}),
    ("sam", 422, "wrong_time", "GET", "/api/v1/history?point=caen.x&from=tomorrowish", {}),
    ("sam", 503, "unreachable", "GET", "/api/v1/history?point=caen.x&from=-1h", {}),
    ("eve", 503, "unreachable", "POST", "/api/v1/simulators/caen/faults/trip", {"json": {}}),
    ("sam", 404, "not_found", "POST", "/api/v1/partitions/mCBM/commands/start", {"json": {}}),
    (
        "sam",
        401,
        "wrong_password",
        "POST",
        "/api/v1/me/password",
        {"json": {"present": "x", "password": "some plain words here"}},
    ),
    ("adam", 404, "not_found", "POST", "/api/v1/users/nobody/link", {"json": {}}),
    ("adam", 409, "conflict", "POST", "/api/v1/users", {"json": {"name": "sam"}}),
    ("adam", 422, "out_of_range", "POST", "/api/v1/users", {"json": {"name": "a b"}}),
    ("adam", 422, "out_of_range", "POST", "/api/v1/users/sam/grant", {"json": {"role": "boss"}}),
    ("adam", 409, "conflict", "POST", "/api/v1/users/adam/disable", {"json": {"disabled": True}}),
]


def whole(answer: httpx.Response, status: int, code: str) -> None:
    """The refusal is the expected one, in words, with what to do."""
    cause = answer.json()["cause"]
    assert (answer.status_code, cause["code"]) == (status, code), answer.text
    assert cause["message"] and cause["suggestion"]


@pytest.mark.parametrize(("status", "code", "method", "path", "how"), AT_THE_DOOR, ids=lambda value: str(value)[:30])
async def test_what_is_refused_at_the_door_says_what_to_do(
    home: House, status: int, code: str, method: str, path: str, how: dict[str, Any]
) -> None:
    if code == "forged_host":
        assert how["headers"]["host"] != HOST
    whole(await home.client().request(method, path, **how), status, code)


async def test_what_is_refused_inside_says_what_to_do(home: House) -> None:
    for name, status, code, method, path, how in INSIDE:
        whole(await (await home.program(name)).request(method, path, **how), status, code)


@pytest.mark.parametrize("code", ["not_allowed", "too_late", "too_old", "state_changed", "repeated"])
async def test_what_an_owner_refuses_is_passed_on_as_it_is(here: Stage, home: House, code: str) -> None:
    here.refuse = Cause(code=code, message="no", source="devices.caen", suggestion="look again")
    whole(await (await home.program("sam")).post("/api/v1/devices/caen/commands/lv_on", json={}), 409, code)


async def test_a_command_that_is_not_finished_in_time_says_where_to_look(here: Stage, home: House) -> None:
    here.outcome = None
    answer = await (await home.program("sam")).post("/api/v1/devices/caen/commands/lv_on", json={"wait_s": 0.01})
    whole(answer, 504, "timeout")


def test_the_tree_of_errors_is_the_one_that_is_described() -> None:
    branches = {errors.ConfigurationError, errors.RequestError, errors.LinkError, errors.DeviceError}
    ours = {one for one in CountingRoomError.__subclasses__() if one.__module__ == errors.__name__}
    assert ours == branches

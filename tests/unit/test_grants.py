"""Users grant only rights that they have themselves: by a role, a new account, or a link for a password."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.auth.accounts import Accounts
from countingroom.core.clock import SystemClock
from countingroom.core.policy import Principal, Role, covers
from countingroom.storage.database import Database
from tests.console.people import House, cheap, house
from tests.console.stage import stage

A, E, S = Role.ADMINISTRATOR, Role.EXPERT, Role.SHIFTER


@pytest.fixture
async def home() -> AsyncGenerator[House]:
    async with stage(SystemClock()) as here, house(here) as standing:
        await standing.database.users.create("ada", "test", roles={"_experiment": A, "device.c*": E})
        yield standing


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users/ada/grant", {"target": "*", "role": "administrator"}),
        ("users/ada/grant", {"target": "*", "role": "shifter"}),
        ("users/vera/grant", {"target": "device.*", "role": "shifter"}),
        ("users/vera/grant", {"target": "device.ca*", "role": "administrator"}),
        ("users/adam/grant", {"target": "*", "role": None}),
        ("users/sam/grant", {"target": "device.caen", "role": "shifter"}),
        ("users", {"name": "nina", "roles": {"*": "shifter"}}),
        ("users/adam/link", {}),
        ("users/adam/disable", {"disabled": True}),
        ("users/adam/log_out", {}),
    ],
)
async def test_an_administrator_of_one_target_cannot_reach_beyond_it(
    home: House, path: str, body: dict[str, object]
) -> None:
    ada = await home.program("ada")
    before = await home.database.users.list()
    answer = await ada.post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["cause"]["code"]) == (403, "denied")
    assert await home.database.users.list() == before
    (entry,) = await home.record()
    assert (entry.who, entry.outcome) == ("ada", "refused")
    adam = await home.program("adam")
    if "adam" not in path:
        assert (await adam.post(f"/api/v1/{path}", json=body)).status_code == 200


async def roles_of(home: House, name: str) -> Mapping[str, Role]:
    (user,) = [one for one in await home.database.users.list() if one.name == name]
    return user.roles


async def test_within_the_own_rights_roles_are_granted(home: House) -> None:
    ada = await home.program("ada")
    wanted = {"_experiment": A, "device.c*": E, "device.caen": S}
    for target, role in wanted.items():
        answer = await ada.post("/api/v1/users/vera/grant", json={"target": target, "role": role.name.lower()})
        assert answer.status_code == 200
    assert await roles_of(home, "vera") == wanted
    assert (await ada.post("/api/v1/users/vera/grant", json={"target": "device.c*", "role": None})).status_code == 200
    assert await roles_of(home, "vera") == {"_experiment": A, "device.caen": S}
    assert (await ada.post("/api/v1/users/vera/link", json={})).status_code == 200


async def test_a_grant_beyond_the_own_rights_is_refused_with_what_is_missing(home: House) -> None:
    ada = await home.program("ada")
    answer = await ada.post("/api/v1/users/vera/grant", json={"target": "device.ca*", "role": "administrator"})
    cause = answer.json()["cause"]
    assert cause["message"] == "ada may not change vera: administrator of device.ca* is more than ada is"
    assert cause["evidence"] == {"principal": "ada", "target": "device.ca*", "role": "administrator"}
    assert cause["suggestion"] == "ask an administrator of everything (*)"


@pytest.mark.parametrize("target", ["*", "_experiment", "device.caen", "partition.mCBM", "system.S*"])
async def test_everything_that_has_a_role_is_a_target(home: House, target: str) -> None:
    adam = await home.program("adam")
    assert (await adam.post("/api/v1/users/vera/grant", json={"target": target, "role": "expert"})).status_code == 200
    assert await roles_of(home, "vera") == {target: E}


@pytest.mark.parametrize("target", ["", "device", "device.", "users.vera", "PARTITION.mCBM", "experiment"])
async def test_what_has_no_roles_is_no_target(home: House, target: str) -> None:
    adam = await home.program("adam")
    answer = await adam.post("/api/v1/users/vera/grant", json={"target": target, "role": "expert"})
    assert 400 <= answer.status_code < 500
    assert await roles_of(home, "vera") == {}


async def test_the_first_administrator_gets_a_link_until_one_has_a_password() -> None:
    database = Database("sqlite://", clock=SystemClock())
    await database.open()
    accounts = Accounts(database, SystemClock(), passwords=cheap())
    try:
        await database.users.create("sam", "test", roles={"*": S})
        assert await accounts.first()
        first = [one for one in await database.users.list() if one.roles.get("*") is A]
        assert len(first) == 1
        secret = await accounts.first()
        assert secret and len(await database.users.list()) == 2
        await accounts.use_link(secret, "four words nobody guesses", origin="10.1.2.3")
        assert await accounts.first() is None
    finally:
        await database.close()


patterns = st.text("ab.*?[]!", max_size=6)


@given(patterns, patterns, st.text("ab.[]!", max_size=6))
def test_what_may_be_granted_fits_no_target_beyond_the_own_rights(wider: str, pattern: str, target: str) -> None:
    grantor = Principal(name="x", role=Role.VIEWER, roles={wider: E})
    if covers(grantor, pattern, E) and fnmatchcase(target, pattern):
        assert grantor.on(target) >= E
    assert not covers(grantor, pattern, A)
    assert covers(Principal(name="x", role=E), pattern, E)

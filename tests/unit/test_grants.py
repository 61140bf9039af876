"""Nobody grants more than they have, by any way: a role, a new account, a link for somebody else's password."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.clock import SystemClock
from countingroom.core.policy import Principal, Role, covers
from tests.console.people import House, house
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


async def test_within_the_own_rights_roles_are_granted(home: House) -> None:
    ada = await home.program("ada")
    for target, role in (("_experiment", "administrator"), ("device.c*", "expert"), ("device.caen", "shifter")):
        answer = await ada.post("/api/v1/users/vera/grant", json={"target": target, "role": role})
        assert answer.status_code == 200
    assert (await ada.post("/api/v1/users/vera/grant", json={"target": "device.c*", "role": None})).status_code == 200
    assert (await ada.post("/api/v1/users/vera/link", json={})).status_code == 200


patterns = st.text("ab.*?[]!", max_size=6)


@given(patterns, patterns, st.text("ab.[]!", max_size=6))
def test_what_may_be_granted_fits_no_target_beyond_the_own_rights(wider: str, pattern: str, target: str) -> None:
    grantor = Principal(name="x", role=Role.VIEWER, roles={wider: E})
    if covers(grantor, pattern, E) and fnmatchcase(target, pattern):
        assert grantor.on(target) >= E
    assert not covers(grantor, pattern, A)
    assert covers(Principal(name="x", role=E), pattern, E)

"""The queue of logins whose users gave up."""

from __future__ import annotations

import pytest

from countingroom.console.auth.login_turns import TurnQueue, Waiting


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_a_login_that_is_given_up_leaves_its_place_to_the_others(left: int) -> None:
    queue = TurnQueue()
    waiting = [Waiting("a", "x1"), Waiting("a", "x2"), Waiting("b", "x2")]
    for one in waiting:
        queue.add(one)
    queue.remove(waiting[left])
    assert len(queue) == 2
    queue.remove(waiting.pop(left))  # again, after it has lost its place
    assert sorted((one.address, one.name) for one in iter(queue.take, None)) == [
        (one.address, one.name) for one in waiting
    ]

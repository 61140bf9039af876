"""The process of rules may be killed at any moment: a rule acts once for each time that its condition becomes true.

The environment variable RULE_KILLS gives another number of random kills than the 6 of the test suite.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from countingroom.core.rules.states import ActionResult, SavedRule
from countingroom.storage.database import Database
from tests.warm_python import Started, start

KILLS = int(os.environ.get("RULE_KILLS", "6"))
DEADLINE_S = 60.0


def child(folder: Path, steps: int, moment: str = "") -> Started:
    return start([url(folder), str(folder), str(steps), moment], module="tests.system.rule_child")


def ended(process: Started) -> int:
    with process:
        return process.wait(DEADLINE_S)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'countingroom.db'}"


def given(folder: Path) -> list[tuple[int, str]]:
    """(step, identity of the command) of all that the device got."""
    place = folder / "given"
    lines = place.read_text().splitlines() if place.exists() else []
    return [(int(step), id) for step, id in (line.split() for line in lines)]


def saved(folder: Path) -> SavedRule:
    async def read() -> SavedRule:
        database = Database(url(folder))
        await database.open()
        try:
            return (await database.rules.load())["warm"]
        finally:
            await database.close()

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("moment", "before", "result", "after"),
    [
        ("saving", [], None, [(3, "rule-warm-1-0")]),  # it has not fired; at the start its condition was true already
        ("saved", [], ActionResult.UNKNOWN, [(3, "rule-warm-2-0")]),
        ("given", [(1, "rule-warm-1-0")], ActionResult.UNKNOWN, [(1, "rule-warm-1-0"), (3, "rule-warm-2-0")]),
    ],
)
def test_a_firing_that_a_kill_interrupts_is_told_and_not_repeated(
    tmp_path: Path,
    moment: str,
    before: list[tuple[int, str]],
    result: ActionResult | None,
    after: list[tuple[int, str]],
) -> None:
    assert ended(child(tmp_path, 1, moment)) == -signal.SIGKILL
    assert given(tmp_path) == before
    assert ended(child(tmp_path, 0)) == 0
    assert given(tmp_path) == before
    last = saved(tmp_path).last
    assert (last.outcomes[0].result if last else None) == result
    assert ended(child(tmp_path, 2)) == 0
    assert given(tmp_path) == after
    last = saved(tmp_path).last
    assert last is not None
    assert last.is_good


def test_over_random_kills_nothing_is_done_twice(tmp_path: Path) -> None:
    for _ in range(KILLS):
        process = child(tmp_path, 1_000_000)
        before = len(given(tmp_path))
        end_s = time.monotonic() + DEADLINE_S
        while len(given(tmp_path)) < before + 3:
            assert process.poll() is None
            assert time.monotonic() < end_s, "it never acted"
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        assert ended(process) == -signal.SIGKILL
    assert ended(child(tmp_path, 2)) == 0
    found = given(tmp_path)
    assert max(Counter(id for _, id in found).values()) == 1, "a command came twice"
    assert max(Counter(step for step, _ in found).values()) == 1, "it acted twice for one crossing of the limit"
    crossed = int((tmp_path / "step").read_text()) // 2
    assert len(found) >= crossed - 2 * KILLS, "a kill costs the crossing that it interrupts, and the one at the start"
    assert saved(tmp_path).under_way is None

"""Kill -9 loses nothing that was acknowledged, and no run number is ever given out twice."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

from countingroom.core.run_book import RunFilter
from countingroom.storage.database import Database
from tests.warm_python import Started, start

LIVES = 12


def _start(url: str, name: str) -> Started:
    return start([url, name], module="tests.system.storage_child")


def _output(child: Started) -> IO[str]:
    assert child.stdout is not None
    return child.stdout


def _said(text: str) -> list[tuple[str, int]]:
    """Whole lines only: what was cut off by death was not said."""
    lines = text.splitlines(keepends=True)
    return [(line.split()[0], int(line.split()[1])) for line in lines if line.endswith("\n")]


@pytest.mark.timeout(240)
async def test_two_processes_killed_again_and_again_lose_no_run_and_share_no_number(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.sqlite'}"
    chance = random.Random(20261122)  # when they die differs anyway; how much they may say before does not
    said: list[tuple[str, int]] = []
    for _ in range(LIVES):
        children = [_start(url, name) for name in ("A", "B")]
        killed: list[str] = []
        for child in children:
            lines = [_output(child).readline() for _ in range(chance.randrange(1, 40))]
            child.kill()
            killed.append("".join(lines) + _output(child).read())
            child.wait(timeout=10)
            _output(child).close()
        said += [one for text in killed for one in _said(text)]

    reserved = Counter(number for word, number in said if word == "reserved")
    assert len(reserved) > LIVES
    assert set(reserved.values()) == {1}
    database = Database(url)
    await database.open()
    try:
        book = {run.number: run for run in await database.runs.find(RunFilter(limit=100_000))}
        assert sorted(book) == list(range(1, len(book) + 1))
        assert set(reserved) <= set(book)
        for word, number in said:
            if word == "began":
                assert book[number].started_ns == number
            if word == "noted":
                assert [note.text for note in book[number].notes] == [f"note of {number}"]
            if word == "closed":
                assert book[number].end is not None
        assert len(await database.runs.open_runs("A")) <= 1
        following = await database.runs.reserve("C", "cbm", "anna")
        assert following.number == max(book) + 1
    finally:
        await database.close()


def test_a_life_that_is_not_killed_would_be_seen_to_go_on(tmp_path: Path) -> None:
    child = _start(f"sqlite:///{tmp_path / 'runs.sqlite'}", "A")
    words = [_output(child).readline().split()[0] for _ in range(9)]
    child.kill()
    child.wait(timeout=10)
    _output(child).close()
    assert words == ["ready", "reserved", "began", "noted", "closed", "reserved", "began", "noted", "closed"]

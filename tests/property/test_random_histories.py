"""A thousand random histories (thorough: ten thousand) break no invariant, and the seed of one that does repeats it."""

from __future__ import annotations

import os

import pytest

from tests.examples import examples
from tests.property.histories import live

HISTORIES = int(os.environ.get("COUNTINGROOM_HISTORIES") or examples(10_000, part=10))
FIRST_SEED = int(os.environ.get("COUNTINGROOM_SEED", "0"))
PARTS = 8
"""So that the workers of a test run share them."""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_random_histories_break_no_invariant(part: int) -> None:
    for seed in range(FIRST_SEED + part, FIRST_SEED + HISTORIES, PARTS):
        try:
            live(seed)
        except BaseException as error:
            error.add_note(f"history of seed {seed}: COUNTINGROOM_SEED={seed} COUNTINGROOM_HISTORIES=1 repeats it")
            raise

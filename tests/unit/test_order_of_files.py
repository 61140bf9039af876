"""Files of tests are run in an order in which the machine has always something to do."""

from __future__ import annotations

from tests.conftest import by_turns


def test_files_that_wait_come_between_files_that_compute_and_the_others_at_the_end() -> None:
    files = ["tests/browser/a", "tests/browser/b", "tests/contract/c", "tests/property/d", "tests/property/e"]
    files += [f"tests/system/{name}" for name in "fghijklm"] + ["tests/unit/n"]
    order = by_turns(files)
    assert sorted(order) == sorted(files)
    assert "".join(file[-1] for file in order) == "faghbijdklemcn"


def test_some_of_the_files_keep_their_order() -> None:
    files = ["tests/scenario/b", "tests/unit/a"]
    assert by_turns(files) == files
    assert by_turns([]) == []

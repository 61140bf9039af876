"""The database's address is right before anything runs, and holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from countingroom.storage.description import StorageSection


def test_without_an_address_the_database_is_a_file_among_the_data() -> None:
    assert StorageSection().address(Path("/var/lib/x")) == "sqlite:////var/lib/x/countingroom.sqlite"


@pytest.mark.parametrize("url", ["sqlite:////srv/runs.sqlite", "postgresql://ecs@db.example/runs"])
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert StorageSection(url=url).address(Path("/data")) == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://db.example/runs", "sqlite:////path"),
        ("sqlite:///here.sqlite", "four slashes"),
        ("postgresql://ecs:secret@db.example/runs", "pgpass"),
    ],
)
def test_another_address_is_refused_with_what_is_right(url: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        StorageSection(url=url)

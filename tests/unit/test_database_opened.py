"""A process that can do without the database begins also where its file is damaged, and opens it once it is right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from countingroom.app.database import WhenAway, opened
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.storage.description import StorageSection
from tests.patience import PATIENCE_S


@pytest.fixture(params=["a folder", "0 bytes", "something else"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "countingroom.sqlite"
    match request.param:
        case "a folder":
            path.mkdir()
        case "0 bytes":
            path.touch()
        case _:
            path.write_text("no database")
    return path


async def test_it_goes_on_with_a_damaged_file_and_opens_the_mended_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countingroom.app.database._AGAIN_S", 0.01)
    monkeypatch.setattr("countingroom.app.database.FIRST_S", 0.01)
    async with opened(StorageSection(), file.parent, SystemClock(), when_away=WhenAway.GO_ON) as database:
        with pytest.raises(LinkError):
            await database.ping()
        file.rename(file.with_name("aside"))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await database.runs.find()
                    break
                except LinkError:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("when_away", [WhenAway.FAIL, WhenAway.WAIT])
async def test_others_refuse_it_and_leave_it_as_it_is(file: Path, when_away: WhenAway) -> None:
    before = file.is_dir() or file.read_bytes()
    with pytest.raises(ConfigurationError):
        async with opened(StorageSection(), file.parent, SystemClock(), when_away=when_away):
            pass
    assert (file.is_dir() or file.read_bytes()) == before

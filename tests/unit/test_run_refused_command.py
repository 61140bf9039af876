"""The commands for entries that the run book refused: list, show, retry, discard."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.cli.run import app
from countingroom.core.errors import CountingRoomError, NotFound
from countingroom.core.run_book import RunNote
from countingroom.storage.database import Database
from countingroom.storage.refused_entries import RefusedEntries
from countingroom.storage.run_entries import NoteEntry, encode_entry

COMMENT = NoteEntry(run=1, note=RunNote(time_ns=5, kind="comment", text="quiet", author="ben"))


class Folder:
    """A description and its data folder with one refused entry."""

    def __init__(self, tmp_path: Path) -> None:
        self.description = tmp_path / "experiment.yaml"
        self.description.write_text("experiment: {name: bench}\n")
        self.data = tmp_path / "data"
        self.refused = RefusedEntries(self.data / "run-book")
        self.refused.add(encode_entry(COMMENT), NotFound("there is no run 1").cause, 7)
        (one,) = self.refused.list()
        self.name = one.name

    def run(self, *words: str) -> str:
        command, *rest = words
        arguments = ["refused", command, str(self.description), *rest, "--data", str(self.data)]
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    async def _reserve(self) -> None:
        database = Database(f"sqlite:///{self.data}/countingroom.sqlite")
        await database.open()
        await database.runs.reserve("A", "cbm", "anna")
        await database.close()

    def reserve(self) -> None:
        asyncio.run(self._reserve())

    async def _found(self) -> tuple[list[str], list[str]]:
        database = Database(f"sqlite:///{self.data}/countingroom.sqlite")
        await database.open()
        runs, entries = await database.runs.find(), await database.audit.find()
        await database.close()
        return [note.text for run in runs for note in run.notes], [one.what for one in entries]

    def found(self) -> tuple[list[str], list[str]]:
        """Notes in the run book, and actions in the audit."""
        return asyncio.run(self._found())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_refused_entries_are_listed_and_shown(folder: Folder) -> None:
    (listed,) = json.loads(folder.run("list", "--json"))
    assert listed["name"] == folder.name
    assert listed["reason"]["message"] == "there is no run 1"
    shown = json.loads(folder.run("show", folder.name))
    assert shown["entry"]["note"]["text"] == "quiet"
    assert "there is no run 1" in shown["reason"]


def test_an_entry_goes_in_once_its_reason_is_removed(folder: Folder) -> None:
    with pytest.raises(CountingRoomError, match="there is no run 1"):
        folder.run("retry", folder.name)
    assert folder.refused.count() == 1
    folder.reserve()
    assert "a note (comment) on run 1 is in the run book" in folder.run("retry", folder.name[-6:])
    assert folder.found() == (["quiet"], ["retry_entry"])
    assert folder.refused.count() == 0


def test_a_discarded_entry_is_in_the_audit(folder: Folder) -> None:
    folder.reserve()
    assert "discarded" in folder.run("discard", folder.name)
    assert folder.found() == ([], ["discard_entry"])
    assert folder.refused.count() == 0
    with pytest.raises(NotFound):
        folder.run("discard", folder.name)

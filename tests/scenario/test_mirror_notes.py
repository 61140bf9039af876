"""Notes for the public: shown first, published exactly so, corrected, ended and withdrawn, inside and outside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.bus.streams import prepare
from countingroom.cli.client import Client
from countingroom.cli.mirror import app as mirror_commands
from countingroom.console.query_client import ask
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.commands.notes import NOTES_TARGET
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import DeviceState, Link, encode
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.note_queries import (
    NOTES_QUERY,
    PREVIEW_QUERY,
    NotePreview,
    NotePreviewQuery,
    NotesAnswer,
    NotesQuery,
)
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.publication import FeedRules
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.values import Scalar
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.feed.service import FeedService, FeedSettings, Issue
from countingroom.mirror.note_book import NOTES, NoteBook
from countingroom.mirror.note_service import NoteService
from tests.console.mirror_stage import give
from tests.console.people import house
from tests.console.stage import served
from tests.console.stage import stage as console_stage
from tests.feed_outside import Outside
from tests.patience import PATIENCE_S

KEYS = Pseudonyms(b"k" * 32)
NEVER = [("host", "planted-host"), ("canary", "trap4711"), ("user", "anna.rossi")]


class Inside:
    """The notes of a mirror with its feed, and an outside."""

    def __init__(self, bus: MemoryBus, clock: Any, folder: Path, publish: Any = "default") -> None:
        self.bus, self.clock, self.folder = bus, clock, folder
        self.section = MirrorSection.model_validate({"publish": publish})
        self.check = LastCheck(NEVER)
        self.redactor = Redactor(KEYS, self.check, self.section.records(), ())
        self.outside = Outside()

    @asynccontextmanager
    async def runs(self) -> AsyncGenerator[None]:
        publisher = Publisher(self.bus, self.clock, "mirror")
        book = NoteBook(self.folder / NOTES)
        settings = FeedSettings(to="outside", points=(), every_s=60, most_bytes=1 << 26)
        rules = FeedRules(self.redactor, KEYS, self.check, self.section.publish)
        feed = FeedService(
            self.bus,
            self.clock,
            settings,
            self.folder,
            lambda: Issue(publication=rules, for_s=None),
            self.outside,
            publisher,
            book,
        )
        notes = NoteService(self.bus, self.clock, publisher, book, lambda: self.redactor, feed.published_names)
        device = DeviceState(device="chiller-2", state="ON", link=Link.CONNECTED, since_ns=self.clock.now_ns())
        await self.bus.put("state", subjects.device_key("chiller-2"), encode(device))
        tasks = [asyncio.create_task(one.run()) for one in (publisher, feed, notes)]
        try:
            async with asyncio.timeout(PATIENCE_S):
                while "chiller-2" not in feed.published_names():
                    await asyncio.sleep(0.01)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def notes(self) -> NotesAnswer:
        return await ask(self.bus, "mirror", NOTES_QUERY, NotesQuery(), NotesAnswer)

    async def preview(self, action: str, by: str = "ada", **arguments: Scalar) -> NotePreview:
        query = NotePreviewQuery(action=action, arguments=dict(arguments), by=by)
        return await ask(self.bus, "mirror", PREVIEW_QUERY, query, NotePreview)

    async def give(self, action: str, by: str = "ada", **arguments: Scalar) -> str:
        """The code of the refusal; empty where it was done."""
        return await give(self.bus, self.clock, NOTES_TARGET, action, by, arguments)

    async def publish(self, action: str, by: str = "ada", **arguments: Scalar) -> str:
        seen = await self.preview(action, by, **arguments)
        if seen.cause:
            return seen.cause.code
        return await self.give(action, by, mark=seen.mark, **arguments)

    async def left(self, number: int, state: str = "") -> Any:
        """The newest body of a note that reached the outside, when it has this state; `gone`: None."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                rows = [body for kind, key, body in self.outside.rows if (kind, key) == ("note", str(number))]
                bodies = [msgspec.json.decode(body) for body in rows]
                if bodies and _stands(bodies[-1], state):
                    return bodies[-1]
                await asyncio.sleep(0.01)


def _stands(body: Any, state: str) -> bool:
    return body is None if state == "gone" else body is not None and state in ("", body.get("state"))


@asynccontextmanager
async def inside(folder: Path, publish: Any = "default") -> AsyncGenerator[Inside]:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    here = Inside(bus, clock, folder, publish)
    async with asyncio.timeout(PATIENCE_S), here.runs():
        yield here


async def test_a_note_is_shown_then_published_updated_ended_and_withdrawn(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        given = {"sort": "incident", "title": "The cooling is off", "text": "We look into it.", "parts": "chiller-2"}
        seen = await here.preview("add", **given)
        assert seen.outside and seen.outside["title"] == given["title"] and seen.outside["parts"] == ["chiller-2"]
        assert not seen.cause and "author: no rule names it" in seen.withheld
        assert await here.give("add", **given, mark="another") == "not_shown"
        assert await here.give("add", **given | {"title": "another"}, mark=seen.mark) == "not_shown"
        assert (await here.notes()).notes == ()
        assert await here.give("add", **given, mark=seen.mark) == ""
        body = await here.left(1)
        assert {name: body[name] for name in ("sort", "state", "title", "text", "parts")} == {
            **given,
            "state": "open",
            "parts": ["chiller-2"],
        }
        assert all(len(body[name]) == len("2026-11-30T21:57:45Z") for name in ("made", "changed", "from")), body
        assert await here.publish("update", "bob", note=1, text="The pump of chiller-2 is exchanged.") == ""
        assert await here.publish("edit", note=1, to="2099-01-01T00:00:00Z", title="Cooling off") == ""
        assert await here.publish("end", note=1, text="It runs again.") == ""
        body = await here.left(1, "ended")
        assert [one["text"] for one in body["updates"]] == ["The pump of chiller-2 is exchanged.", "It runs again."]
        assert "ada" not in str(here.outside.rows) and "bob" not in str(here.outside.rows)
        (listed,) = (await here.notes()).notes
        assert (listed.note.by, listed.note.changed_by, listed.note.state) == ("ada", "ada", "ended")
        assert await here.give("withdraw", note=1) == ""
        assert await here.left(1, "gone") is None
        assert (await here.notes()).notes == ()
        assert await here.publish("update", note=1, text="x") == "not_found"


async def test_names_are_masked_and_what_the_last_check_finds_is_not_published(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        text = "Node fu-11.example.org (10.1.2.3) lost /data/run380, see https://x.org/y; mail a.b@x.org, lab-pc-7"
        seen = await here.preview("add", sort="note", title="Disk of pc7x full", text=text)
        assert seen.outside and seen.masked == 7
        assert seen.outside["title"] == "Disk of [name] full"
        assert seen.outside["text"] == "Node [host] ([ip]) lost [path], see [url]; mail [address], [name]"
        plain = "Read-out of the 3rd partition – again 12.5 °C, since 10:15; “Zürich” says so."
        seen = await here.preview("add", sort="note", title="Fine", text=plain)
        assert seen.outside and (seen.masked, seen.outside["text"]) == (0, plain)
        seen = await here.preview("add", sort="note", title="Fine", text="cGxhbnRlZC1ob3N0")
        assert seen.outside and seen.outside["text"] == "[name]"
        for bad in ("planted host", "p l a n t e d - h o s t", "trap 4711"):
            assert await here.publish("add", sort="note", title="Fine", text=bad) == "held_back", bad
        assert await here.publish("add", sort="note", title="planted", text="host") == "held_back"
        assert await here.publish("add", sort="note", title="Fine", parts="plc-9") == "unknown_part"
        assert await here.publish("add", sort="strange", title="Fine") == "wrong_argument"
        assert await here.publish("add", sort="note", title=" ") == "missing_argument"
        assert await here.publish("add", sort="note", title="x" * 121) == "wrong_argument"
        assert await here.publish("add", sort="maintenance", title="x", to="-1d") == "wrong_argument"
        assert not (tmp_path / NOTES).exists()
        assert not [row for row in here.outside.rows if row[0] == "note"]


async def test_the_author_leaves_only_where_the_policy_says_so_and_nothing_where_it_has_no_rules(
    tmp_path: Path,
) -> None:
    rules: dict[str, Any] = {
        "note": {"note": {"integer": [1, 99]}, "title": {"text": 50}, "author": {"pseudonym": "user"}},
        "device": "default",
    }
    async with inside(tmp_path / "a", rules) as here:
        assert await here.publish("add", sort="note", title="Hello") == ""
        body = await here.left(1)
        assert body["author"].startswith("user-") and set(body) == {"note", "title", "author"}
    async with inside(tmp_path / "b", {"device": "default"}) as here:
        assert await here.publish("add", sort="note", title="Hello") == "not_published"
        assert not (await here.notes()).state.is_published


async def test_notes_are_kept_and_one_that_was_withdrawn_while_the_feed_was_away_is_gone_outside(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path) as here:
        for title in ("One", "Two"):
            assert await here.publish("add", sort="incident", title=title) == ""
        await here.left(2)
        outside = here.outside
    assert (tmp_path / NOTES).stat().st_mode & 0o077 == 0
    book = NoteBook(tmp_path / NOTES)
    first = book.note(1)
    assert first and [one.title for one in book.published()] == ["Two", "One"]
    await book.keep(msgspec.structs.replace(first, withdrawn=True))
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    again = Inside(bus, clock, tmp_path)
    again.outside = outside
    async with again.runs():
        assert await again.left(1, "gone") is None
        assert (await again.left(2))["title"] == "Two"
        assert len([row for row in outside.rows if row[:2] == ("note", "2")]) == 1, "it is not sent again"
        assert await again.publish("add", sort="note", title="Three") == ""
        assert (await again.left(3))["title"] == "Three"
    (tmp_path / NOTES).write_bytes(b"{}\n")
    with pytest.raises(ConfigurationError, match="no note"):
        NoteBook(tmp_path / NOTES)


async def test_a_text_rule_stands_in_notes_alone() -> None:
    section = MirrorSection.model_validate(
        {"key": {"env": "X"}, "publish": {"alarm": {"title": {"text": 50}}, "note": {"title": {"text": 50}}}}
    )
    assert [path for path, _ in section.problems()] == [("publish", "alarm", "title")]
    assert section.publish["note"]["title"].written() == {"text": 50}


async def test_the_api_and_the_commands_publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console_stage(SystemClock()) as stage, served(stage) as (_, client), asyncio.timeout(PATIENCE_S):
        assert (await client.get("/api/v1/mirror/notes")).status_code == 503
        here = Inside(stage.bus, stage.clock, tmp_path)
        async with here.runs():
            body: dict[str, Any] = {"arguments": {"sort": "incident", "title": "Over the API"}}
            seen = (await client.post("/api/v1/mirror/notes/add/preview", json=body)).json()
            body = {"arguments": {**body["arguments"], "mark": seen["mark"]}, "wait_s": 20}
            told = await client.post("/api/v1/mirror/notes/commands/add", json=body)
            assert told.status_code == 200, told.text
            found = (await client.get("/api/v1/mirror/notes?most=5")).json()
            assert found["notes"][0]["outside"]["title"] == "Over the API" and "chiller-2" in found["parts"]
            for path in ("nonsense/preview", "commands/nonsense"):
                assert (await client.post(f"/api/v1/mirror/notes/{path}", json={})).status_code == 404
            assert (await client.get("/public-notes")).status_code == 200
    given: list[tuple[str, Mapping[str, Any]]] = []

    def post(_: object, path: str, told: Mapping[str, Any], **more: object) -> Any:
        given.append((path.rpartition("notes/")[2], told["arguments"]))
        return seen | {"masked": 2} if "preview" in path else {"outcome": {"kind": "done", "message": "done"}}

    monkeypatch.setattr(Client, "post", post)

    def get(*_: object, **more: object) -> Any:
        return found

    monkeypatch.setattr(Client, "get", get)

    def said(*words: str) -> str:
        found = CliRunner().invoke(mirror_commands, ["note", *words, "--url", "http://x:9"])
        assert found.exit_code == 0 or "--yes" not in words, found.output
        return found.output

    assert "Over the API" in said("list")
    out = said("add", "incident", "Title", "-t", "Text", "-p", "a", "-p", "b", "--to", "2030-01-01", "--yes")
    assert "Over the API" in out and "2 pieces were masked" in out
    wanted = {"sort": "incident", "title": "Title", "text": "Text", "parts": "a,b", "to": "2030-01-01"}
    assert given[-1] == ("commands/add", {**wanted, "mark": seen["mark"]})
    said("update", "1", "Known now", "--yes")
    said("edit", "1", "--title", "Other", "--yes")
    said("end", "1", "--at", "now", "--yes")
    said("withdraw", "1")
    assert [path for path, _ in given[2::2]] == [
        "update/preview",
        "edit/preview",
        "end/preview",
        "commands/withdraw",
    ]
    before = len(given)
    said("end", "1", "--preview")
    with contextlib.suppress(SystemExit):
        said("end", "1")
    assert [path for path, _ in given[before:]] == ["end/preview", "end/preview"], "nothing is published unasked"


async def test_a_note_is_attributed_and_audited_and_a_preview_is_recorded_only_where_it_is_refused(
    tmp_path: Path,
) -> None:
    async with console_stage(SystemClock(), play=False) as stage, house(stage) as home, asyncio.timeout(PATIENCE_S):
        here = Inside(stage.bus, stage.clock, tmp_path)
        async with here.runs():
            shifter, viewer = await home.browser("sam"), await home.browser("vera")
            arguments: dict[str, Any] = {"sort": "incident", "title": "The cooling is off"}
            seen = await shifter.post("/api/v1/mirror/notes/add/preview", json={"arguments": arguments})
            assert seen.status_code == 200, seen.text
            denied = await viewer.post("/api/v1/mirror/notes/add/preview", json={"arguments": arguments})
            assert denied.status_code == 403, denied.text
            body = {"arguments": {**arguments, "mark": seen.json()["mark"]}, "wait_s": 20}
            assert (await viewer.post("/api/v1/mirror/notes/commands/add", json=body)).status_code == 403
            assert (await shifter.post("/api/v1/mirror/notes/commands/add", json=body)).status_code == 200
            (listed,) = (await here.notes()).notes
            assert listed.note.by == "sam"
            assert "sam" not in str(await here.left(1))
            kept = [(one.who, one.what, one.outcome) for one in await home.record() if one.what in ("add", "preview")]
            assert kept == [
                ("sam", "add", "accepted"),
                ("vera", "add", "refused"),
                ("vera", "preview", "refused"),
            ]

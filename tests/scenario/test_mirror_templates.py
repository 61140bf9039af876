"""Templates of withheld log lines: queued, approved by people, in force at once, and kept over restarts."""

from __future__ import annotations

import asyncio
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
from countingroom.core.clock import SystemClock
from countingroom.core.commands.mirror import TARGET
from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.approvals import ApprovalTable, TemplateDecision, template_id
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.template_queries import QUERY, QueuedTemplate, TemplatesAnswer, TemplatesQuery
from countingroom.core.mirror.templates import Approval, SlotRule
from countingroom.core.values import Scalar
from countingroom.mirror.decision_files import DECISIONS, append_decisions, read_decisions
from countingroom.mirror.template_service import TemplateService
from countingroom.mirror.withheld import WithheldQueue
from countingroom.testing.clock import FakeClock
from tests.console.mirror_stage import give
from tests.console.stage import served
from tests.console.stage import stage as console_stage
from tests.patience import PATIENCE_S

KEYS = Pseudonyms(b"k" * 32)
LINES = ("run 390004 begins on fu-11.example.org", "run 390005 begins on fu-12.example.org", "temperature 21.5 C")
BEGINS = "run <int> begins on <host>"


class Inside:
    """The redactor of a mirror, and the service of its templates."""

    def __init__(self, bus: MemoryBus, clock: Any, folder: Path, *, two_persons: bool = False) -> None:
        self.bus, self.clock, self.folder = bus, clock, folder
        self.two_persons = two_persons
        self.table = ApprovalTable()
        self.queue = WithheldQueue(clock.now_ns)
        self.check = LastCheck([("host", "planted-host")])
        self.redactor = Redactor(KEYS, self.check, {}, self.table, self.queue.add)

    def log(self, *lines: str, own: str = "pid") -> list[str]:
        return list(self.redactor.log(lines or LINES, (own,))[0])

    @asynccontextmanager
    async def runs(self) -> AsyncGenerator[TemplateService]:
        publisher = Publisher(self.bus, self.clock, "mirror")
        service = TemplateService(
            self.bus,
            self.clock,
            publisher,
            self.table,
            self.queue,
            self.check,
            lambda: KEYS,
            self.folder,
            two_persons=self.two_persons,
        )
        tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(service.run())]
        await asyncio.sleep(0.01)
        try:
            yield service
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def asked(self) -> TemplatesAnswer:
        return await ask(self.bus, "mirror", QUERY, TemplatesQuery(), TemplatesAnswer)

    async def waits(self, template: str = BEGINS) -> QueuedTemplate:
        return next(one for one in (await self.asked()).waiting if one.template == template)

    async def give(self, action: str, user: str = "ada", **arguments: Scalar) -> str:
        """The code of the refusal; empty where it was done."""
        return await give(self.bus, self.clock, TARGET, action, user, arguments)

    async def approve(self, user: str = "ada", template: str = BEGINS, **more: Scalar) -> str:
        one = await self.waits(template)
        return await self.give("approve", user, template=one.id, mark=one.mark, reason="known", **more)


@asynccontextmanager
async def inside(folder: Path, **more: Any) -> AsyncGenerator[Inside]:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    here = Inside(bus, clock, folder, **more)
    async with asyncio.timeout(PATIENCE_S), here.runs():
        yield here


async def test_a_template_is_queued_with_its_proposal_and_approved_without_a_restart(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        assert here.log() == ["[3 lines withheld]"]
        assert here.log() == ["[3 lines withheld]"]  # the same log is counted once
        told = await here.asked()
        assert (told.waiting[0].template, told.waiting[0].lines) == (BEGINS, 2)
        assert told.state.waiting == 2 and told.state.lines == 3
        one = told.waiting[0]
        assert [(slot.kind, slot.is_risky) for slot in one.slots] == [("int", False), ("host", True)]
        assert "".join(text for _, text in one.example) == LINES[0]
        assert "fu-11" not in one.shown_as and "390004" in one.shown_as
        assert one.why_not == "seen in 1 log so far"
        assert await here.give("approve", template=one.id, mark="another", reason="x") == "not_shown"
        assert await here.approve() == ""
        first, second, last = here.log()
        assert first.startswith("run 390004 begins on host-") and second != first and last == "[1 line withheld]"
        told = await here.asked()
        assert [(row.stands, row.decision.approval.by, row.decision.reason) for row in told.decided] == [
            ("approved", "ada", "known")
        ]
        assert told.state.waiting == 1
        assert await here.give("withdraw", template=one.id, reason="wrong") == ""
        assert here.log() == ["[3 lines withheld]"]
        assert (await here.waits()).lines == 2


async def test_slots_are_masked_and_a_refused_template_is_not_proposed_again(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        here.log()
        assert await here.approve(mask="3") == "wrong_argument"
        assert await here.approve(mask="2") == ""
        assert here.log()[0] == "run 390004 begins on [host]"
        cold = await here.waits("temperature <float> C")
        assert await here.give("refuse", template=cold.id, reason="no") == ""
        here.log("temperature 22.5 C", own="another")
        assert (await here.asked()).waiting == ()
        assert await here.give("refuse", template="0" * 12, reason="no") == "not_found"
        assert await here.give("confirm", template=cold.id) == "nothing_to_confirm"
        assert await here.give("approve", template=cold.id, reason="without a mark") == "missing_argument"


async def test_a_template_with_a_name_in_its_words_cannot_be_approved(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        here.log("planted-host has 7 errors", "PLANTED host has 7 errors")
        for one in (await here.asked()).waiting:
            assert one.is_forbidden == ("PLANTED" in one.template), one.template
            if one.is_forbidden:
                assert one.why_not == "its words hold the host planted-host"
                assert await here.approve(template=one.template, mask="all") == "name_in_words"


async def test_a_second_person_confirms(tmp_path: Path) -> None:
    async with inside(tmp_path, two_persons=True) as here:
        here.log()
        id = template_id(BEGINS)
        assert await here.approve("ada") == ""
        assert here.log("run 1 begins on fu-11.example.org") == ["[1 line withheld]"]
        told = await here.asked()
        assert told.state.to_confirm == 1 and BEGINS not in [one.template for one in told.waiting]
        assert await here.give("confirm", "ada", template=id) == "same_person"
        assert await here.give("confirm", "bob", template=id) == ""
        assert here.log("run 1 begins on fu-11.example.org")[0].startswith("run 1 begins on host-")
        assert (await here.asked()).decided[0].decision.confirmed_by == "bob"


async def test_decisions_and_the_queue_are_kept_and_decisions_expire(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        here.log()
        assert await here.approve(days=2) == ""
    assert (tmp_path / DECISIONS).stat().st_mode & 0o077 == 0
    async with inside(tmp_path) as here:
        assert here.log()[0].startswith("run 390004 begins on host-")
        told = await here.asked()
        assert [one.template for one in told.waiting] == ["temperature <float> C"]
        assert told.waiting[0].lines > 1  # those of before, and those of now
        later = here.clock.now_ns() + 3 * 86_400 * 10**9
        here.table.refresh(later)
        assert here.log() == ["[3 lines withheld]"]


def test_a_damaged_file_is_refused_and_what_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / DECISIONS
    one = TemplateDecision(approval=Approval(template="a <int>", slots=(SlotRule(),), by="ada"))
    append_decisions(path, [one])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-9])
    assert read_decisions(path) == [one]
    append_decisions(path, [one])
    assert path.read_bytes() == whole * 2
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(ConfigurationError, match="no decision"):
        read_decisions(path)


def test_a_full_queue_counts_what_it_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.mirror.withheld.MOST_TEMPLATES", 1)
    queue = WithheldQueue(FakeClock().now_ns)
    redactor = Redactor(KEYS, LastCheck([]), {}, ApprovalTable(), queue.add)
    redactor.log(LINES, ())
    assert (len(queue), queue.lines, queue.others) == (1, 3, 1)
    again = WithheldQueue(FakeClock().now_ns)
    again.load(queue.dump())
    assert again.most_lines(5) == queue.most_lines(5) and again.lines == 3


async def test_the_api_and_the_commands_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console_stage(SystemClock()) as stage, served(stage) as (_, client), asyncio.timeout(PATIENCE_S):
        assert (await client.get("/api/v1/mirror/templates")).status_code == 503
        here = Inside(stage.bus, stage.clock, tmp_path)
        async with here.runs():
            here.log()
            found = (await client.get("/api/v1/mirror/templates?most=1")).json()
            (one,) = found["waiting"]
            body = {"arguments": {"template": one["id"], "mark": one["mark"], "reason": "known"}, "wait_s": 5}
            told = await client.post("/api/v1/mirror/templates/commands/approve", json=body)
            assert told.status_code == 200, told.text
            assert here.log()[0].startswith("run 390004 begins")
            assert (await client.post("/api/v1/mirror/templates/commands/nonsense", json=body)).status_code == 404
            page = await client.get("/log-lines")
            assert page.status_code == 200 and "fu-11" not in page.text
            found = (await client.get("/api/v1/mirror/templates")).json()
    given: list[Mapping[str, Any]] = []

    def post(_: object, path: str, told: Mapping[str, Any], **more: object) -> Any:
        given.append({"path": path, **told["arguments"]})
        return {"outcome": {"kind": "done", "message": "done"}}

    def answer(*_: object, **more: object) -> Any:
        return found

    for name in ("get", "exact"):
        monkeypatch.setattr(Client, name, answer)
    monkeypatch.setattr(Client, "post", post)
    (left,) = found["waiting"]

    def said(*words: str) -> str:
        return CliRunner().invoke(mirror_commands, [*words, "--url", "http://x:9"], catch_exceptions=False).stdout

    assert "temperature <float> C" in said("templates")
    assert "temperature 21.5 C" in said("templates", left["id"])
    assert "known" in said("templates", "--decided")
    said("approve", left["id"], "-m", "why", "--mask", "1", "--days", "3")
    said("refuse", left["id"], "-m", "no")
    assert [one["path"].rpartition("/")[2] for one in given] == ["approve", "refuse"]
    assert given[0]["mark"] == left["mark"] and given[0]["days"] == 3
    assert msgspec.json.encode(given)

"""Documents that are redacted in processes leave as those that are redacted here, and never in another way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from countingroom.core.mirror.approvals import ApprovalTable, TemplateDecision
from countingroom.core.mirror.dqm_documents import DocumentHeader, GivenDocument
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, proposal
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.templates import Approval
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.redacted_documents import RedactedDocuments
from countingroom.mirror.grabber.redaction import AT_ONCE, DocumentRedaction
from countingroom.mirror.grabber.redaction_pool import AGAIN_S, PAYS_FROM, RedactionPool
from countingroom.testing.clock import FakeClock
from tests.hosts import is_running
from tests.mirror_logs import corpus
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes in /proc")
ROOT = Path(__file__).parents[2]
KEY = b"a key that must not be seen by others"


class Rules:
    """A redactor that knows two of three templates of some logs, and what it tells of the others."""

    def __init__(self) -> None:
        made = corpus()
        self.logs = [(host, str(pid), lines[:120]) for host, pid, lines in made.logs[:37]]
        self.check = LastCheck([("host", one) for one in made.hosts])
        seen, _ = learn([(pid, lines) for _, pid, lines in self.logs], ())
        self.table = ApprovalTable([proposal(one, self.check) for one in seen[::3] + seen[1::3]])
        self.first = seen[0].template
        self.told: list[tuple[str, list[str]]] = []
        self.redactor = Redactor(
            Pseudonyms(KEY),
            self.check,
            MirrorSection.default().records(),
            self.table,
            lambda lines, log: self.told.append((log, [line for _, line in lines])),
        )

    def refuse(self) -> None:
        decision = TemplateDecision(approval=Approval(template=self.first, refused=True, by="anna"))
        self.table.decide([decision], 1)

    def documents(self) -> list[GivenDocument]:
        """The last but one may not leave, and the last one cannot be read."""
        out: list[GivenDocument] = []
        for number, (host, pid, lines) in enumerate(self.logs):
            fields: dict[str, Any] = {"run": 400_000 + number, "tag": "beam", "hostname": host, "pid": pid}
            fields |= {"_rev": number, "timestamp": 1.79e9, "events_rate": 1.25, "fi_state": None}
            fields |= {"stdlog_start": list(lines[:60]), "stdlog_end": list(lines[60:])}
            out.append(given(f"source-state{number}", number, fields))
        return [*out, given("of no kind", 99, {}), GivenDocument(DocumentHeader("source-state", 100, ""), NO_JSON)]


NO_JSON = b'{"run": ' + b"9" * 9999 + b"}"
"""More digits than Python takes."""


def given(id: str, revision: int, fields: dict[str, Any]) -> GivenDocument:
    return GivenDocument(DocumentHeader(id, revision, ""), json.dumps(fields).encode())


def plain(taken: RedactedDocuments) -> Any:
    """All of it, without the type `Public`."""
    rows = [
        (
            one.set,
            one.kind,
            one.id.value,
            one.source.value,
            one.revision,
            one.body.value,
            one.log and bytes(one.log.value),
        )
        for one in taken.documents
    ]
    return rows, taken.withheld, taken.lines, taken.lines_withheld, taken.hits


@pytest.fixture
def rules() -> Rules:
    return Rules()


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[RedactionPool]:
    made = RedactionPool(FakeClock(), most=3)
    yield made
    await made.close()


async def expected(given: Rules) -> tuple[Any, list[tuple[str, list[str]]]]:
    """What leaves, and what is told, where all is redacted here."""
    redaction = DocumentRedaction(lambda: given.redactor, asyncio.Semaphore(AT_ONCE))
    found = plain(await redaction.take(given.documents(), "production", "farm"))
    return found, given.told


async def take(pool: RedactionPool, rules: Rules) -> Any:
    taken = await pool.take(rules.redactor, rules.documents(), "production", "farm")
    return taken and plain(taken)


async def gone(*pids: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(map(is_running, pids)):
            await asyncio.sleep(0.02)


async def test_result_order_and_counts_are_the_same(pool: RedactionPool) -> None:
    rules, other = Rules(), Rules()
    wanted, told = await expected(other)
    assert wanted[1] == 2
    assert 0 < wanted[3] < wanted[2]
    assert told
    assert await take(pool, rules) == wanted
    assert rules.told == told
    assert len(pool.pids) == 3
    before = pool.pids
    assert (await take(pool, rules))[0] == wanted[0]
    assert pool.pids == before


async def test_no_argument_and_no_environment_has_the_key(pool: RedactionPool, rules: Rules) -> None:
    assert await take(pool, rules)
    for pid in pool.pids:
        for file in ("cmdline", "environ"):
            assert KEY not in Path(f"/proc/{pid}/{file}").read_bytes()


async def test_a_killed_process_means_that_the_batch_is_redacted_again(rules: Rules) -> None:
    clock = FakeClock()
    pool = RedactionPool(clock, most=2)
    redaction = DocumentRedaction(lambda: rules.redactor, asyncio.Semaphore(AT_ONCE), pool)
    wanted, _ = await expected(Rules())
    try:
        assert await take(pool, rules) == wanted
        pids = pool.pids
        os.kill(pids[1], signal.SIGKILL)
        taken = await redaction.take(rules.documents(), "production", "farm", waiting=PAYS_FROM)
        assert plain(taken) == wanted
        assert pool.pids == ()
        await gone(*pids)
        assert not pool.pays(50, PAYS_FROM), "not started again at once"
        await clock.advance(AGAIN_S + 1)
        assert pool.pays(50, PAYS_FROM)
        assert await take(pool, rules) == wanted
    finally:
        await pool.close()


async def test_one_killed_in_the_midst_of_a_batch_gives_nothing(pool: RedactionPool, rules: Rules) -> None:
    assert await take(pool, rules)
    rules.told.clear()
    pid = pool.pids[2]
    os.kill(pid, signal.SIGSTOP)
    taking = asyncio.create_task(take(pool, rules))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert await taking is None
    assert rules.told == []


async def test_what_was_approved_before_a_decision_is_not_used(pool: RedactionPool, rules: Rules) -> None:
    before = await take(pool, rules)
    os.kill(pool.pids[0], signal.SIGSTOP)
    taking = asyncio.create_task(take(pool, rules))
    while not pool.is_busy:
        await asyncio.sleep(0)
    rules.refuse()
    os.kill(pool.pids[0], signal.SIGCONT)
    assert await taking is None
    after = await take(pool, rules)
    other = Rules()
    other.refuse()
    assert after == (await expected(other))[0] != before


async def test_a_cancelled_batch_ends_the_processes(pool: RedactionPool, rules: Rules) -> None:
    assert await take(pool, rules)
    pids = pool.pids
    os.kill(pids[0], signal.SIGSTOP)
    taking = asyncio.create_task(take(pool, rules))
    while not pool.is_busy:
        await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert pool.pids == ()
    await gone(*pids)
    assert await take(pool, rules), "the next batch starts others"


async def test_idle_processes_end(rules: Rules) -> None:
    pool = RedactionPool(FakeClock(), most=2, idle_s=0.0)
    try:
        assert await take(pool, rules)
        pids = pool.pids
        async with asyncio.timeout(PATIENCE_S):
            while pool.pids:
                await asyncio.sleep(0)
        await gone(*pids)
    finally:
        await pool.close()


async def test_what_no_message_can_hold_is_left_to_the_caller(pool: RedactionPool, rules: Rules) -> None:
    assert await take(pool, rules)
    before = pool.pids
    odd = given("source-state \ud800", 1, {})
    assert await pool.take(rules.redactor, [odd] * 10, "production", "farm") is None
    assert pool.pids == before


def test_only_large_batches_of_many_documents_pay() -> None:
    pool = RedactionPool(FakeClock(), most=1)
    assert not pool.pays(50, 100)
    assert not pool.pays(3, 10 * PAYS_FROM)
    assert pool.pays(50, PAYS_FROM)


_PARENT = """
import asyncio
from countingroom.mirror.grabber.redaction_pool import RedactionPool
from countingroom.testing.clock import FakeClock
from tests.contract.test_grabber_pool import Rules, take

async def main():
    pool = RedactionPool(FakeClock(), most=2)
    assert await take(pool, Rules())
    print(*pool.pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_processes_end_with_a_grabber_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pids = [int(one) for one in (await asyncio.to_thread(parent.stdout.readline)).split()]
        parent.kill()
    assert len(pids) == 2
    await gone(*pids)

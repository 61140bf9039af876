"""Redacts large batches in processes of their own, one for each core: a catch-up is bound by the redaction of logs.

Documents and answers keep their order. Where a process fails, or the approvals change meanwhile, nothing of the answer
is used, and the batch is redacted by the caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Raw

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.messages import decode, encode
from countingroom.core.mirror.dqm_documents import GivenDocument
from countingroom.core.mirror.redactor import Redactor, received
from countingroom.core.retry import edge_log
from countingroom.mirror.grabber.redacted_documents import RedactedDocuments
from countingroom.mirror.grabber.redaction_messages import (
    LENGTH_BYTES,
    PlainDocument,
    RedactionAnswer,
    RedactionOrder,
    framed,
)
from countingroom.mirror.store.values import PublicDocument, SetName

WORKER = "countingroom.mirror.grabber.redaction_worker"
MOST = 4
"""Processes: a batch has 100 documents, which more of them would not redact much faster."""
LEAST_DOCUMENTS = 10
"""In a batch for which it pays."""
PAYS_FROM = 500
"""Documents that wait, from which on it pays to start processes: each reads the kinds of lines anew, which takes as
long as some 250 documents."""
IDLE_S = 30.0
ANSWER_S = 60.0
"""A batch takes a tenth of a second; a process that does not answer is ended, and the batch redacted here."""
AGAIN_S = 60.0
"""After a failure, before processes are started again."""
_BUFFER_BYTES = 16 << 20
"""Of an answer, so that a process does not wait until the answer before it is read."""
_log = logging.getLogger(__name__)


class _Worker:
    def __init__(
        self, process: asyncio.subprocess.Process, orders: asyncio.StreamWriter, answers: asyncio.StreamReader
    ):
        self.process = process
        self.orders = orders
        self.answers = answers
        self.rules: tuple[Redactor, int] | None = None
        """Whose rules it has, and of which version."""


class RedactionPool:
    """The processes. They are started when a batch needs them, and ended when none came for IDLE_S, by `close`, or
    with this process."""

    def __init__(self, clock: Clock, *, most: int = 0, idle_s: float = IDLE_S) -> None:
        """`most`: processes; 0: as many as this process has cores, at most MOST."""
        self._clock = clock
        self._most = most or min(MOST, _cores())
        self._idle_s = idle_s
        self._workers: list[_Worker] = []
        self._killed: list[asyncio.subprocess.Process] = []
        self._turn = asyncio.Lock()
        self._ending: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._report = edge_log(
            _log,
            "documents are redacted in this process alone, as the processes for it failed",
            "documents are redacted in processes of their own",
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that run."""
        return tuple(one.process.pid for one in self._workers)

    @property
    def is_busy(self) -> bool:
        """Whether a batch is redacted now."""
        return self._turn.locked()

    def pays(self, documents: int, waiting: int) -> bool:
        """Whether a batch of so many documents should be given to the processes. `waiting`: documents after them."""
        if documents < LEAST_DOCUMENTS or self._clock.monotonic() < self._not_before:
            return False
        return bool(self._workers) or documents + waiting >= PAYS_FROM

    async def take(
        self, redactor: Redactor, documents: Sequence[GivenDocument], set: SetName, upstream: str
    ) -> RedactedDocuments | None:
        """The documents as they leave; None where the caller must redact them."""
        async with self._turn:
            if self._ending:
                self._ending.cancel()
            try:
                answers = await self._answers(redactor, documents, set, upstream)
            except (OSError, EOFError, TimeoutError, ValueError) as error:  # Malformed is a ValueError
                self._not_before = self._clock.monotonic() + AGAIN_S
                is_gone = isinstance(error, EOFError)
                why = "one of them has ended" if is_gone else str(error) or type(error).__name__
                self._report.failed(
                    Cause(
                        code="no_redaction",
                        message=why,
                        source="mirror",
                        suggestion="no action is needed: the grabber redacts by itself, and tries again in a minute",
                    )
                )
                return None
            self._ending = asyncio.get_running_loop().call_later(self._idle_s, self._kill)
        if answers is None:
            return None
        self._report.worked()
        for answer in answers:
            for log, lines in answer.undecided:
                redactor.tell_undecided(lines, log)
        return RedactedDocuments(
            documents=tuple(_public(one, set) for answer in answers for one in answer.documents),
            withheld=sum(one.withheld for one in answers),
            lines=sum(one.lines for one in answers),
            lines_withheld=sum(one.lines_withheld for one in answers),
            hits=sum(one.hits for one in answers),
        )

    async def close(self) -> None:
        """End the processes."""
        if self._ending:
            self._ending.cancel()
        self._kill()
        for one in self._killed:
            await one.wait()

    async def _answers(
        self, redactor: Redactor, documents: Sequence[GivenDocument], set: SetName, upstream: str
    ) -> list[RedactionAnswer] | None:
        """In the order of the documents; None for documents that cannot be sent, and where approvals have changed."""
        rules = (redactor, redactor.version)
        try:
            while len(self._workers) < self._most:
                self._workers.append(await _started())
            sent = await asyncio.to_thread(_orders, self._workers, rules, documents, set, upstream)
            if sent is None:
                return None
            for worker, order in zip(self._workers, sent, strict=True):
                worker.orders.write(order)
                worker.rules = rules
            answers: list[RedactionAnswer] = []
            async with timeout(ANSWER_S):
                for worker in self._workers:
                    length = int.from_bytes(await worker.answers.readexactly(LENGTH_BYTES), "big")
                    body = await worker.answers.readexactly(length)
                    answers.append(decode(body, RedactionAnswer))
        except BaseException:  # also when cancelled: what is still to come belongs to no later batch
            self._kill()
            raise
        return answers if redactor.version == rules[1] else None

    def _kill(self) -> None:
        """End all; they have nothing to finish."""
        self._killed = [one for one in self._killed if one.returncode is None]
        for one in self._workers:
            with suppress(ProcessLookupError):
                one.process.kill()
            one.orders.close()
            self._killed.append(one.process)
        self._workers = []


async def _started() -> _Worker:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", WORKER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_BUFFER_BYTES,
        process_group=0,  # Ctrl-C then reaches only the parent
    )
    if process.stdin is None or process.stdout is None:
        raise OSError("it has no pipes")
    return _Worker(process, process.stdin, process.stdout)


def _orders(
    workers: Sequence[_Worker],
    rules: tuple[Redactor, int],
    documents: Sequence[GivenDocument],
    set: SetName,
    upstream: str,
) -> list[bytes] | None:
    """An order for each, with equal parts of the documents; None for documents that no message can hold."""
    out: list[bytes] = []
    number = len(workers)
    redactor, _ = rules
    for place, worker in enumerate(workers):
        part = documents[place * len(documents) // number : (place + 1) * len(documents) // number]
        order = RedactionOrder(
            documents=tuple(part),
            set=set,
            upstream=upstream,
            rules=None if worker.rules == rules else redactor.rules(),
        )
        try:
            out.append(framed(encode(order)))
        except (OutOfRange, RecursionError):  # very long numbers, half of a surrogate pair
            return None
    return out


def _public(one: PlainDocument, set: SetName) -> PublicDocument:
    return PublicDocument(
        set=set,
        kind=one.kind,
        id=received(one.id),
        source=received(one.source),
        revision=one.revision,
        body=received(one.body),
        log=received(Raw(one.log)) if one.log is not None else None,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

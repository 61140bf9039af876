"""Reads the documents of one computer of an upstream, from the last header that was seen on.

The position counts the headers that were seen, also those of documents that the mirror does not show, so nothing can
hold it. It is written with the documents in one transaction: whatever ends this process, the upstream or the database,
the next answer begins where the store ends. Every computer has a task, connections and pauses of its own.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.dqm_documents import DocumentHeader, GivenDocument, documents_in, read_headers
from countingroom.core.mirror.redactor import Public, joined
from countingroom.core.retry import edge_log
from countingroom.mirror.grabber.ahead import one_ahead
from countingroom.mirror.grabber.link import SOURCE, UpstreamLink, messages_asked
from countingroom.mirror.grabber.redacted_documents import RedactedDocuments
from countingroom.mirror.grabber.redaction import DocumentRedaction
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import Cursor, SetName, SourceState, Trouble

_log = logging.getLogger(__name__)

T = TypeVar("T")
MOST_DOCUMENTS = 100
"""Asked for at once."""
_MOST_HEADERS = 2000
"""After so many headers of documents that are not shown, the position is written."""
_FIRST_PAUSE_S = 1.0
_ATTEMPTS = 3
"""A document whose request the upstream refuses, asked for alone, is left after so many."""
_TROUBLES = frozenset({"not_reached", "no_answer", "refused", "bad_answer"})


class HostPlace(Struct, frozen=True, kw_only=True):
    """Which computer it is."""

    upstream: str
    host: str
    """Empty: the one at the address of the upstream itself."""
    set: SetName
    every_s: float
    longest_pause_s: float = 60.0
    """After failures."""


class _Batch(Struct, frozen=True):
    """What is stored in one transaction."""

    headers: Sequence[DocumentHeader]
    taken: RedactedDocuments


class HostGrabber:
    """Runs until cancelled."""

    def __init__(
        self, place: HostPlace, link: UpstreamLink, redaction: DocumentRedaction, store: PublicStore, clock: Clock
    ) -> None:
        self._place = place
        self._link = link
        self._redaction = redaction
        self._store = store
        self._clock = clock
        self._known: int | None = None
        self._at_once = MOST_DOCUMENTS
        self._refused = 0
        self._is_checked = False
        self._behind = 0
        self._contact_at = 0
        self._failures = 0
        self.trouble: Trouble = ""
        """Why it is not read now."""
        self._name = name = f"{place.upstream} {place.host}".strip()
        self._report = edge_log(_log, f"{name} is not read", f"{name} is read again", each_reason=True)

    async def run(self) -> None:
        """Read for ever. A failure makes the pause longer, never shorter."""
        # Not all computers at the same moment.
        await self._clock.sleep(self._place.every_s * random.random() / 10)  # noqa: S311
        while True:
            await self._clock.sleep(await self.cycle())

    async def cycle(self) -> float:
        """Read what is new; the pause after it, in seconds."""
        try:
            await self.read()
        except LinkError as error:
            self.trouble = trouble_of(error)
            if self.trouble == "store":
                self._known = None  # whether the last change was made is not known
            self._report.failed(error.cause)
            self._failures += 1
            grown = min(self._place.longest_pause_s, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 20))
            return max(self._place.every_s, grown) * (0.5 + random.random() / 2)  # noqa: S311
        self.trouble = ""
        self._failures = 0
        self._report.worked()
        return self._place.every_s

    def state(self) -> SourceState:
        """How it is."""
        return SourceState(
            source=self._source,
            kind="host",
            set=self._place.set,
            is_connected=not self.trouble and bool(self._contact_at),
            trouble=self.trouble,
            contact_at=self._contact_at,
            behind=self._behind,
        )

    async def read(self) -> None:
        """Read all that is new. LinkError where the upstream or the store fails; what is stored by then counts."""
        if self._known is None:
            cursor = self._cursor(0)
            known = await self._store.cursors(cursor.upstream.value)
            self._known = known.get(cursor.host.value, 0)
        headers = await self._headers(self._known)
        if headers:
            self._is_checked = False
        elif self._known and not self._is_checked:
            # The last known header is sent again, so an empty answer means that it is gone: was it deleted, or does
            # the upstream begin anew with its revisions?
            everything = await self._headers(0)
            self._is_checked = True
            if everything and everything[-1].revision < self._known:
                _log.warning("%s counts its revisions anew: all is read again", self._name)
                self._known, headers = 0, everything
        new = [one for one in headers if one.revision > self._known]
        self._behind = len(new)
        if new:
            await self._take(new)

    async def _headers(self, known: int) -> list[DocumentHeader]:
        answer = await self._link.ask(messages_asked(known or None), self._place.host)
        self._contact_at = self._clock.now_ns() // 1000
        return self._understood(read_headers, answer)

    async def _take(self, headers: Sequence[DocumentHeader]) -> None:
        """Store batch after batch. While one is stored, the next is redacted, and the one after it fetched."""
        async with aclosing(one_ahead(self._redacted(headers))) as batches:
            async for batch in batches:
                await self._put(batch)

    async def _redacted(self, headers: Sequence[DocumentHeader]) -> AsyncGenerator[_Batch]:
        place = self._place
        waiting = len(headers)
        async with aclosing(one_ahead(self._fetched(headers))) as fetched:
            async for chunk, given in fetched:
                waiting -= len(chunk)
                taken = await self._redaction.take(given, place.set, place.upstream, waiting=waiting)
                yield _Batch(chunk, taken)

    async def _fetched(
        self, headers: Sequence[DocumentHeader]
    ) -> AsyncGenerator[tuple[Sequence[DocumentHeader], list[GivenDocument]]]:
        while headers:
            chunk = _chunk(headers, self._at_once)
            headers = headers[len(chunk) :]
            wanted = {one.id: one for one in chunk if one.kind}
            documents = await self._documents(wanted)
            lost = len(wanted) - len(documents)
            if lost:
                _log.info("%s has lost %d documents whose headers it has", self._name, lost)
            yield chunk, [GivenDocument(wanted[id], text) for id, text in documents.items()]

    async def _put(self, batch: _Batch) -> None:
        """The documents and the position after them, in one transaction."""
        place, taken = self._place, batch.taken
        behind = max(0, self._behind - len(batch.headers))
        counts = SourceState(
            source=self._source,
            kind="host",
            set=place.set,
            is_connected=True,
            contact_at=self._contact_at,
            behind=behind,
            taken=len(taken.documents),
            withheld=taken.withheld,
            lines=taken.lines,
            lines_withheld=taken.lines_withheld,
            hits=taken.hits,
        )
        cursor = self._cursor(batch.headers[-1].revision)
        await self._store.take(taken.documents, cursor, states=[counts])
        self._known = cursor.revision
        self._behind = behind

    async def _documents(self, wanted: Mapping[str, DocumentHeader]) -> dict[str, bytes]:
        if not wanted:
            return {}
        try:
            answer = await self._link.ask(messages_asked(None, list(wanted)), self._place.host)
            found = self._understood(documents_in, answer)
        except LinkError as error:
            if self._at_once > 1:  # perhaps it is too much at once
                self._at_once = max(1, self._at_once // 2)
            elif error.cause.code in {"refused", "bad_answer"} and (self._refused + 1) >= _ATTEMPTS:
                # The headers are answered, and this one document is refused again and again.
                self._refused = 0
                _log.warning("%s refuses a document: it is left out", self._name)
                return {}
            else:
                self._refused += 1
            raise
        self._refused = 0
        self._at_once = min(MOST_DOCUMENTS, self._at_once * 2)
        self._contact_at = self._clock.now_ns() // 1000
        return {id: text for id, text in found.items() if id in wanted}

    def _understood(self, read: Callable[[list[str]], T], answer: list[str]) -> T:
        try:
            return read(answer)
        except Malformed as error:
            raise LinkError(
                f"the upstream {self._place.upstream} answers what is not understood: {error}",
                source=f"{SOURCE}.{self._place.upstream}",
                code="bad_answer",
                suggestion="see that it is an upstream of the DQM^2 kind",
            ) from error

    def _cursor(self, revision: int) -> Cursor:
        redactor, place = self._redaction.redactor(), self._place
        return Cursor(
            upstream=redactor.word(place.upstream), host=redactor.lasting("cursor", place.host), revision=revision
        )

    @property
    def _source(self) -> Public[str]:
        redactor, place = self._redaction.redactor(), self._place
        name = redactor.word(place.upstream)
        return joined(name, redactor.alias("host", place.host)) if place.host else name


def trouble_of(error: LinkError) -> Trouble:
    """What is wrong, for the outside: the upstream, in one word, or the store."""
    cause = error.cause
    return cast("Trouble", cause.code) if cause.source.startswith(SOURCE) and cause.code in _TROUBLES else "store"


def _chunk(headers: Sequence[DocumentHeader], documents: int) -> Sequence[DocumentHeader]:
    """The first headers, with at most so many documents among them."""
    left = documents
    for number, one in enumerate(headers[:_MOST_HEADERS]):
        if one.kind:
            if not left:
                return headers[:number]
            left -= 1
    return headers[:_MOST_HEADERS]

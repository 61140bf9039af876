"""A process that redacts documents for the grabber: `python -m countingroom.mirror.grabber.redaction_worker`.

It reads orders from its standard input and answers each on its standard output, in order. It ends when its input ends,
and so with the grabber, however that ends. redaction_pool.py is the other side.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import BinaryIO

from countingroom.core.messages import MessageDecoder, encode
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.templates import ReadLine
from countingroom.mirror.grabber.redacted_documents import redacted
from countingroom.mirror.grabber.redaction_messages import (
    LENGTH_BYTES,
    PlainDocument,
    RedactionAnswer,
    RedactionOrder,
    framed,
)


class RedactionWorker:
    """Carries out orders with the rules that came last."""

    def __init__(self) -> None:
        self._redactor: Redactor | None = None
        self._undecided: list[tuple[str, tuple[str, ...]]] = []

    def answer(self, order: RedactionOrder) -> RedactionAnswer:
        """The documents as they leave. ValueError where no rules have come."""
        if order.rules is not None:
            self._redactor = Redactor.of(order.rules, self._collect if order.rules.wants_undecided else None)
        if self._redactor is None:
            raise ValueError("documents came before the rules")
        self._undecided = []
        taken = redacted(self._redactor, order.documents, order.set, order.upstream)
        return RedactionAnswer(
            documents=tuple(
                PlainDocument(
                    kind=one.kind,
                    id=one.id.value,
                    source=one.source.value,
                    revision=one.revision,
                    body=dict(one.body.value),
                    log=bytes(one.log.value) if one.log else None,
                )
                for one in taken.documents
            ),
            withheld=taken.withheld,
            lines=taken.lines,
            lines_withheld=taken.lines_withheld,
            hits=taken.hits,
            undecided=tuple(self._undecided),
        )

    def _collect(self, lines: Sequence[tuple[ReadLine, str]], log: str) -> None:
        self._undecided.append((log, tuple(line for _, line in lines)))


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Answer orders until they end."""
    worker = RedactionWorker()
    decoder = MessageDecoder(RedactionOrder)
    while len(head := orders.read(LENGTH_BYTES)) == LENGTH_BYTES:
        length = int.from_bytes(head, "big")
        body = orders.read(length)
        if len(body) < length:
            return
        answers.write(framed(encode(worker.answer(decoder.decode(body)))))
        answers.flush()


if __name__ == "__main__":
    # What is kept of known lines is never garbage. Looking through it again and again took a tenth of the time.
    gc.set_threshold(50_000, 20, 100)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # the grabber has ended
        sys.stderr.close()  # or the interpreter would tell of the output that it cannot write

"""What goes from the inside to the outside: batches of redacted records with sequence numbers, and the one answer.

The answer tells the last sequence that the outside has stored, and nothing else: nothing can be asked or ordered from
outside. A batch names the sequence after which it comes. The outside stores it if that is its last one, and else
answers its last one, from which the inside goes on: nothing is lost, doubled or stored in another order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from countingroom.core.messages import Malformed
from countingroom.core.mirror.raw_records import Sort
from countingroom.core.values import Int64

PATH = "/feed"
MOST_BYTES = 4 << 20
"""Of a batch as JSON."""
MOST_RECORDS = 1000
_Sequence = Annotated[int, Meta(ge=0, le=2**62)]


_Count = Annotated[int, Meta(ge=0, le=2**62)]


class FeedRecord(Struct, frozen=True, kw_only=True):
    """A redacted record with its number."""

    sequence: _Sequence
    """1, 2, 3 …; a number can be missing, where a record was dropped before it was sent."""
    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    key: Annotated[str, Meta(max_length=256)]
    at_ns: Int64
    sort: Sort
    body: msgspec.Raw = msgspec.Raw(b"null")
    """Its fields; null for one that is gone."""


class WithheldCount(Struct, frozen=True, kw_only=True):
    """How much of a kind of record the policy kept inside since the feed began: numbers, and nothing of what it was."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    records: _Count = 0
    """That did not leave at all."""
    lines: _Count = 0
    """Of logs, in records that left."""
    lines_withheld: _Count = 0
    """Of these lines those that did not leave."""


class FeedBatch(Struct, frozen=True, kw_only=True):
    """What is sent at once."""

    feed: Annotated[str, Meta(min_length=8, max_length=64)]
    """Random id of the outbox. Another one is a new beginning: all states are sent anew."""
    after: _Sequence
    """The last sequence before this batch that the outside has stored."""
    sent_ns: Int64
    waiting: Annotated[int, Meta(ge=0, le=2**62)] = 0
    """Records that wait to be sent after this batch."""
    records: Annotated[tuple[FeedRecord, ...], Meta(max_length=MOST_RECORDS)] = ()
    """In the order of their sequences; none: a sign of life."""
    withheld: Annotated[tuple[WithheldCount, ...], Meta(max_length=64)] = ()
    """All counts since the feed began, in each batch: a batch that is lost or repeated changes nothing."""


class FeedAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a batch."""

    last: _Sequence
    """The last sequence of this feed that is stored; 0: none."""


_batches = msgspec.json.Decoder(FeedBatch)
_answers = msgspec.json.Decoder(FeedAnswer)


def read_batch(data: bytes) -> FeedBatch:
    """A batch from JSON; Malformed where it is none, or its sequences do not rise."""
    try:
        batch = _batches.decode(data)
        for one in batch.records:
            msgspec.json.decode(one.body, type=dict[str, object] | None)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    sequences = [batch.after, *(one.sequence for one in batch.records)]
    if any(later <= earlier for earlier, later in pairwise(sequences)):
        raise Malformed("the sequences of the records do not rise")
    return batch


def read_answer(data: bytes) -> FeedAnswer:
    """An answer from JSON; Malformed where it is none."""
    try:
        return _answers.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error

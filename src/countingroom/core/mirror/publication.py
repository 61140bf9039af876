"""What leaves of a record: its redacted key and fields, or why it stays inside. Pure.

A key is made of the values of its fields as they leave. Where one of them stays inside, the key is an alias: nothing
can leave by way of a key that could not leave as a field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.mirror.last_check import Hit, LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.raw_records import RawRecord, Sort
from countingroom.core.mirror.redactor import Redactor

CANARY = "canary"
"""Kind of the names that stand nowhere but in a trap: one that would leave proves that the rules let too much out."""
_LONGEST_KEY = 200
_body = msgspec.json.Encoder(order="deterministic")


class PublicRecord(Struct, frozen=True, kw_only=True):
    """A record as it leaves."""

    kind: str
    key: str
    at_ns: int
    sort: Sort
    body: bytes = b""
    """The fields as a JSON object; empty for a record that is gone."""
    lines: int = 0
    """Of logs in it, as they came."""
    lines_withheld: int = 0
    """Of these lines those that do not leave."""

    @property
    def digest(self) -> bytes:
        """The same for a record that tells the same."""
        return hashlib.sha256(self.body).digest()[:16]


class WithheldRecord(Struct, frozen=True, kw_only=True):
    """A record of which nothing leaves, for the count."""

    kind: str
    key: str = ""
    """A keyed digest of its key, which does not change with time."""
    mark: str = ""
    """A keyed digest of what it tells, of a state; empty: each one counts."""


class HeldBack(Struct, frozen=True, kw_only=True):
    """A record that stays inside because of the last check."""

    kind: str
    key: str
    """As it would have left, or an alias: for the inside."""
    hit: Hit
    withheld: WithheldRecord

    @property
    def is_canary(self) -> bool:
        """Whether it holds a canary."""
        return self.hit.kind == CANARY


class FeedRules:
    """Applies the policy to records of the inside."""

    def __init__(self, redactor: Redactor, pseudonyms: Pseudonyms, check: LastCheck, kinds: Collection[str]) -> None:
        """`kinds`: those that are published; of all others nothing leaves, not even that they exist."""
        self._redactor = redactor
        self._pseudonyms = pseudonyms
        self._check = check
        self.kinds = frozenset(kinds)

    def take(self, raw: RawRecord) -> PublicRecord | HeldBack | WithheldRecord | None:
        """The record as it leaves, or that nothing of it does; None where its kind is not published."""
        if raw.kind not in self.kinds:
            return None
        found = self._redactor.record(raw.kind, raw.fields, known=raw.known)
        if found.hit:
            return HeldBack(kind=raw.kind, key=self._alias(raw), hit=found.hit, withheld=self._withheld(raw))
        body = {name: one for name, one in (found.record or {}).items() if one is not None}
        if not body:
            return self._withheld(raw)
        key = self._key(raw, body)
        if hit := self._check.find(key):
            return HeldBack(kind=raw.kind, key=self._alias(raw), hit=hit, withheld=self._withheld(raw))
        return PublicRecord(
            kind=raw.kind,
            key=key,
            at_ns=raw.at_ns,
            sort=raw.sort,
            body=_body.encode(body),
            lines=found.log.lines,
            lines_withheld=found.log.lines - found.log.kept,
        )

    def _withheld(self, raw: RawRecord) -> WithheldRecord:
        if raw.sort is Sort.ENTRY:
            return WithheldRecord(kind=raw.kind)
        key = "/".join(str(raw.fields.get(name)) for name in raw.key)
        told = f"{key}\0{_body.encode(raw.fields).decode()}"
        return WithheldRecord(
            kind=raw.kind,
            key=self._pseudonyms.lasting("withheld", f"{raw.kind}\0{key}"),
            mark=self._pseudonyms.lasting("mark", told),
        )

    def _key(self, raw: RawRecord, taken: Any) -> str:
        values = [taken.get(name) for name in raw.key]
        text = "/".join("" if one is None else str(one) for one in values)
        return text if None not in values and len(text) <= _LONGEST_KEY else self._alias(raw)

    def _alias(self, raw: RawRecord) -> str:
        return self._pseudonyms.of(raw.kind, "/".join(str(raw.fields.get(name)) for name in raw.key))

"""A record, or a log, as it leaves: the rules of its fields, the approved templates, then the last check."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import Raw, Struct, field

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.approvals import ApprovalTable
from countingroom.core.mirror.fields import (
    WITHHELD,
    CheckedLines,
    FieldDecision,
    FieldReader,
    LinesTaken,
    RecordRule,
)
from countingroom.core.mirror.last_check import LEAST, Hit, LastCheck
from countingroom.core.mirror.log_texts import BEFORE, TOO_LONG, LogTexts, withheld_text
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor_rules import RedactorRules
from countingroom.core.mirror.templates import Approval, LineReader, Part, ReadLine, own_names, render

_LOGS = 200
"""Logs that are remembered."""
_NEIGHBOURS = 200
"""Keys of a record that are remembered together."""

T = TypeVar("T")
Undecided = Callable[[Sequence[tuple[ReadLine, str]], str], None]


class _Seal:
    """What only this module has."""


_SEAL = _Seal()


class Public(Generic[T]):
    """A value that may leave. Only a `Redactor` makes one: what takes a `Public` cannot be given a raw value."""

    __slots__ = ("_value",)

    def __init__(self, value: T, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("only a Redactor makes a public value")
        self._value = value

    @property
    def value(self) -> T:
        """The value."""
        return self._value

    def __repr__(self) -> str:
        return f"Public({self._value!r})"


PublicFields = Public[Mapping[str, Any]]
"""The fields of a record that leave."""


def received(value: T) -> Public[T]:
    """A value that a redactor in another process has let out, and that came from there: by the feed, or from a process
    of the grabber. Of use there only."""
    return Public(value, _SEAL)


def parted(fields: PublicFields, *names: str) -> tuple[PublicFields, PublicFields]:
    """The fields of these names, and all others."""
    apart = {name: one for name, one in fields.value.items() if name in names}
    rest = {name: one for name, one in fields.value.items() if name not in names}
    return Public(apart, _SEAL), Public(rest, _SEAL)


def as_json(fields: PublicFields) -> Public[Raw]:
    """The same as JSON text, which is stored as it is."""
    return Public(Raw(msgspec.json.encode(fields.value)), _SEAL)


def as_text(fields: PublicFields, name: str) -> Public[str]:
    """A field as a text; of a log its lines, joined by spaces. Empty where it does not leave."""
    value = fields.value.get(name)
    lines = cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]
    return Public(" ".join(map(str, lines)), _SEAL)


def joined(*parts: Public[str]) -> Public[str]:
    """Public texts as one, with a slash between them."""
    return Public("/".join(one.value for one in parts), _SEAL)


class PublicLine(Struct, frozen=True, omit_defaults=True):
    """One or several lines as they leave."""

    parts: tuple[Part, ...] = ()
    withheld: int = 0
    """So many lines in a row stood here; then there are no parts."""

    @property
    def text(self) -> str:
        """The line as text."""
        if self.withheld:
            return withheld_text(self.withheld)
        return "".join(one.text for one in self.parts)


class LogCount(Struct):
    """How many lines of a log leave."""

    lines: int = 0
    kept: int = 0
    whole: int = 0
    """Of those kept: without a masked slot."""
    withheld: Counter[str] = field(default_factory=Counter[str])
    """Template -> lines that are withheld, for the queue of approvals."""
    hits: int = 0
    """Lines that only the last check withheld."""

    def add(self, other: LogCount) -> None:
        """Count those of another log too."""
        self.lines += other.lines
        self.kept += other.kept
        self.whole += other.whole
        self.withheld += other.withheld
        self.hits += other.hits

    @property
    def share(self) -> float:
        """Part of the lines that leaves."""
        return self.kept / self.lines if self.lines else 1.0


class Redacted(Struct, frozen=True, kw_only=True):
    """A record as it leaves."""

    record: Mapping[str, Any] | None
    """None where the record as a whole is withheld."""
    public: PublicFields | None = None
    """The same, for the public store."""
    decisions: tuple[FieldDecision, ...]
    masks: int = 0
    """Pieces that the rule `text` masked."""
    hit: Hit | None = None
    """What the last check found: an alarm inside, as the rules should not have let it pass."""
    log: LogCount


class Redactor:
    """Applies a policy."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        check: LastCheck,
        records: Mapping[str, RecordRule],
        approvals: Iterable[Approval] | ApprovalTable,
        undecided: Undecided | None = None,
    ) -> None:
        """`records`: kind of record -> its fields. A kind that is not listed never leaves. `undecided`: is
        given the lines of a log of which nothing was decided, in any thread, and what tells that log from others."""
        self._pseudonyms = pseudonyms
        self._check = check
        self._records = records
        self._reader = LineReader()
        # A document comes again with each of its changes, mostly with the same log.
        self._remembered = lru_cache(maxsize=_LOGS)(self._log)
        # Most records of a kind have the same keys.
        self._neighbours = lru_cache(maxsize=_NEIGHBOURS)(self._among)
        self._approvals = approvals if isinstance(approvals, ApprovalTable) else ApprovalTable(approvals)
        self._undecided = undecided
        self._texts = LogTexts(self._approvals, pseudonyms, check)

    @classmethod
    def of(cls, rules: RedactorRules, undecided: Undecided | None = None) -> Redactor:
        """One that gives the same as the one that these rules are from."""
        pseudonyms = Pseudonyms(rules.key, lasting=rules.lasting)
        check = LastCheck(rules.names, patterns=rules.patterns)
        return cls(pseudonyms, check, rules.records, rules.approvals, undecided)

    def rules(self) -> RedactorRules:
        """What it goes by now."""
        key, lasting = self._pseudonyms.keys
        return RedactorRules(
            key=key,
            lasting=lasting,
            names=self._check.names,
            patterns=self._check.has_patterns,
            records=self._records,
            approvals=self._approvals.in_force,
            wants_undecided=self._undecided is not None,
        )

    @property
    def version(self) -> int:
        """Changes with the approvals in force."""
        return self._approvals.version

    def tell_undecided(self, lines: Iterable[str], log: str) -> None:
        """Lines of a log of which nothing was decided in another process. `log`: what tells it from others."""
        if self._undecided is not None:
            self._undecided([(read, one) for one in lines if (read := self._reader.read(one))], log)

    def record(
        self, kind: str, record: Mapping[str, Any], own: Sequence[str] = (), *, known: Sequence[str] = ()
    ) -> Redacted:
        """The record as it leaves. `own`: its host, process id and user, which its log must not tell. `known`: names
        that its texts may hold."""
        log = LogCount()
        if (rules := self._records.get(kind)) is None:
            why = f"records of the kind {kind} are not published"
            return Redacted(record=None, decisions=(FieldDecision(path=kind, what="not listed", why=why),), log=log)
        lines = _LogLines(self, log, own)
        reader = FieldReader(self._pseudonyms, lines, known)
        taken = reader.take(record, rules)
        decisions = tuple(reader.decisions)
        if taken is WITHHELD:
            return Redacted(record=None, decisions=decisions, log=log)
        if hit := self._find(taken):
            why = f"the last check found a {hit.kind} in it, {hit.how}"
            decisions = (*decisions, FieldDecision(path="the record", what="withheld", why=why))
            return Redacted(record=None, decisions=decisions, hit=hit, log=log)
        public = Public(taken, _SEAL)
        return Redacted(record=taken, public=public, decisions=decisions, masks=reader.masks, log=log)

    def takes(self, kind: str) -> bool:
        """Whether anything of this kind of record may leave."""
        return kind in self._records

    def alias(self, kind: str, name: str) -> Public[str]:
        """The alias of a name."""
        return Public(self._pseudonyms.of(kind, name), _SEAL)

    def lasting(self, kind: str, *names: str) -> Public[str]:
        """An alias of 80 bits that does not change with time: of a document, or of a place in an upstream. Nothing
        links it with the other aliases of its names."""
        return Public(self._pseudonyms.lasting(kind, "\0".join(names)), _SEAL)

    def word(self, text: str) -> Public[str]:
        """A word of the description that is shown outside as it stands. ConfigurationError where the last check finds
        something in it."""
        if hit := self._check.find(text):
            raise ConfigurationError(
                f"{text!r} would be shown outside, and the last check finds a {hit.kind} in it",
                source="mirror",
                code="name_outside",
                suggestion="choose a name that tells nothing of the inside",
            )
        return Public(text, _SEAL)

    def log(self, lines: tuple[str, ...], own: tuple[str, ...]) -> tuple[tuple[str, ...], LogCount]:
        """The texts of the lines of a log as they leave, and what was done. One that comes again costs nothing."""
        return self._remembered(lines, own, self._approvals.version)

    def lines(
        self,
        lines: Iterable[str],
        count: LogCount,
        own: Sequence[str] = (),
        undecided: list[tuple[ReadLine, str]] | None = None,
    ) -> list[PublicLine]:
        """A log as it leaves, with the pieces of its lines, for a person who looks at it; what was done is added to
        `count`, and to `undecided` the lines of which nothing was decided."""
        out: list[PublicLine] = []
        withheld = 0
        before = ""
        names = own_names(own)
        for line in lines:
            count.lines += 1
            parts, text, template = self._line(line, before, names, count, undecided)
            if parts is None:
                withheld += 1
                count.withheld[template] += 1
                continue
            if withheld:
                out.append(PublicLine(withheld=withheld))
                withheld = 0
            before = before[-BEFORE:] + text
            out.append(PublicLine(parts))
            count.kept += 1
            count.whole += not any(one.is_masked for one in parts)
        if withheld:
            out.append(PublicLine(withheld=withheld))
        return out

    def _log(self, lines: tuple[str, ...], own: tuple[str, ...], version: int) -> tuple[tuple[str, ...], LogCount]:
        """`version`: of the approvals, so that what is remembered of earlier ones is not used."""
        withheld: dict[str, int] = {}
        undecided: list[tuple[ReadLine, str]] | None = None if self._undecided is None else []
        texts, done = self._texts.take(lines, own_names(own), withheld, undecided)
        count = LogCount(done.lines, done.kept, done.whole, Counter(withheld), done.hits)
        if self._undecided is not None and undecided:
            self._undecided(undecided, hashlib.sha256(repr(own or lines).encode()).hexdigest()[:16])
        return tuple(texts), count

    def _line(
        self,
        line: str,
        before: str,
        own: frozenset[str],
        count: LogCount,
        undecided: list[tuple[ReadLine, str]] | None,
    ) -> tuple[tuple[Part, ...] | None, str, str]:
        """Its parts, None where it is withheld; its text; and its template."""
        if not line.strip():
            return (Part(""),), "", ""
        read = self._reader.read(line)
        if read is None:
            return None, "", TOO_LONG
        approval = self._approvals.get(read.template)
        if approval is None or approval.refused:
            if approval is None and undecided is not None:
                undecided.append((read, line))
            return None, "", read.template
        rendered = render(read, approval, self._pseudonyms, own)
        text = rendered.text
        if self._check.find(text, before):
            count.hits += 1
            return None, "", read.template
        return rendered.parts, text, read.template

    def _find(self, taken: Any) -> Hit | None:
        """Look at all texts and keys of the record, and at neighbours together: of all, of the keys, of the texts."""
        texts = list(_texts(taken))
        for text, _ in texts:
            if hit := self._check.find(text):
                return hit
        return (
            self._among(tuple(text for text, _ in texts))
            or self._neighbours(tuple(text for text, kind in texts if kind == "key"))
            or self._among(tuple(text for text, kind in texts if kind == "text"))
        )

    def _among(self, texts: tuple[str, ...]) -> Hit | None:
        before = ""
        for text in texts:
            if before and (hit := self._check.across(text, before)):
                return hit
            before = before[-BEFORE:] + text
        return None


class _LogLines:
    """The rule `log` for one record."""

    def __init__(self, redactor: Redactor, count: LogCount, own: Sequence[str]) -> None:
        self._redactor = redactor
        self._count = count
        self._own = tuple(own)

    def __call__(self, lines: Sequence[str], path: str) -> LinesTaken:
        texts, taken = self._redactor.log(tuple(lines), self._own)
        self._count.add(taken)
        withheld = taken.withheld.total()
        why = f"{taken.kept} lines leave, {withheld} are withheld" if withheld else f"{taken.kept} lines leave"
        what = "published" if taken.kept or not withheld else "withheld"
        return LinesTaken(value=CheckedLines(texts), decisions=(FieldDecision(path=path, what=what, why=why),))


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """All that can be read in a record, with what it is: a key, a text or a number. Of lines that were looked at the
    first and the last, for their neighbours."""
    match value:
        case dict():
            for key, inner in cast("dict[str, Any]", value).items():
                yield str(key), "key"
                yield from _texts(inner)
        case CheckedLines():
            yield from ((one, "text") for one in (value[:1] + value[1:][-1:]))
        case list():
            numbers = [one for one in cast("list[Any]", value) if isinstance(one, int) and 31 < one < 127]
            if len(numbers) >= LEAST:  # the codes of letters
                yield "".join(map(chr, numbers)), "text"
            for inner in cast("list[Any]", value):
                yield from _texts(inner)
        case str():
            yield value, "text"
        case bool() | None:
            pass
        case _:
            yield f"{value!r}", "number"

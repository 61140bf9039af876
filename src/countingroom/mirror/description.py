"""The section `mirror`: what leaves the laboratory. What it does not name stays inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, model_validator

from countingroom.core.commands.mirror import TARGET
from countingroom.core.commands.notes import NOTES_TARGET
from countingroom.core.mirror import fields
from countingroom.core.mirror.default_policy import DEFAULT, DEFAULT_POLICY, FEED_KINDS
from countingroom.core.mirror.last_check import LEAST
from countingroom.core.mirror.notes import KIND as NOTE
from countingroom.core.text_patterns import expression
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.mirror.feed_section import FeedSection
from countingroom.mirror.report_section import ReportSection
from countingroom.mirror.site_section import SiteSection
from countingroom.mirror.upstream_section import PublicStoreSection, UpstreamSection

Problem = tuple[tuple[str | int, ...], str]

_WORDS = ("boolean", "time", "log")
_SETTINGS = ("integer", "number", "text", "pseudonym", "items", "table")


class FieldSection(Section):
    """What a field must be in order to leave: one kind. Kinds without settings are written as a word: `time`."""

    boolean: bool = False
    """True or false."""
    integer: tuple[int, int] | None = None
    """A whole number from the first to the second: `[1, 10000000]`."""
    number: tuple[float, float] | None = None
    """A number from the first to the second."""
    digits: Annotated[int, Field(ge=1, le=12)] = 6
    """Significant digits of a `number`."""
    one_of: list[str | int | float | bool] = []
    """One of these values."""
    pattern: str = ""
    """A text that this regular expression describes as a whole."""
    time: bool = False
    """A time: ISO 8601 with a zone, or seconds, milliseconds or nanoseconds since 1970."""
    pseudonym: Name | None = None
    """A name that leaves as its alias; the kind of the name: `host`."""
    text: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """A text that people write for the outside, with at most so many characters, of the kind `note`. What may name a
    person, a computer or a place is masked in it."""
    log: bool = False
    """Lines of a log: a line leaves where its template is approved."""
    items: FieldSection | None = None
    """A list with items of one kind."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Of `items` so many of the last items."""
    table: FieldSection | None = None
    """A table with any keys, and values of one kind."""
    key: FieldSection | None = None
    """Of a `table`: what its keys must be."""
    fields: dict[str, FieldSection] = {}
    """A record within the record."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given in _WORDS:
            return {given: True}
        raise ValueError(f"a rule is one of the words {', '.join(_WORDS)}, or has settings: {{ integer: [0, 100] }}")

    @property
    def has_text(self) -> bool:
        """Whether a rule `text` is in it."""
        inner = (self.items, self.table, self.key, *self.fields.values())
        return self.text is not None or any(one.has_text for one in inner if one)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are given; exactly one is right."""
        flags = {one: bool(getattr(self, one)) for one in (*_WORDS, "one_of", "pattern", "fields")}
        given = {one: getattr(self, one) is not None for one in _SETTINGS}
        return tuple(name for name, is_given in {**flags, **given}.items() if is_given)

    def written(self) -> Any:
        """As it stands in a description: a word, or the settings that are given."""
        (kind,) = self.kinds
        if kind in _WORDS:
            return kind
        value = getattr(self, kind)
        match value:
            case FieldSection():
                found: dict[str, Any] = {kind: value.written()}
            case dict():
                inner = cast("dict[str, FieldSection]", value)
                found = {kind: {name: one.written() for name, one in inner.items()}}
            case tuple():
                found = {kind: list(cast("tuple[float, ...]", value))}
            case _:
                found = {kind: value}
        if self.key:
            found["key"] = self.key.written()
        return found | {name: getattr(self, name) for name in ("digits", "most") if name in self.model_fields_set}

    def problems(self) -> Iterator[Problem]:
        """What does not fit together, with its place."""
        if len(self.kinds) != 1:
            told = ", ".join(self.kinds) or "none"
            yield (), f"give one kind: {', '.join(_KINDS)}; got {told}"
            return
        for name in ("integer", "number"):
            limits: tuple[float, float] | None = getattr(self, name)
            if limits and limits[0] > limits[1]:
                yield (name,), f"{limits[0]:g} is above {limits[1]:g}"
        if self.pattern:
            try:
                expression(self.pattern)
            except ValueError as error:
                yield ("pattern",), str(error)
        if self.table and self.key is None:
            yield (), "a table needs a key: what its keys must be"
        if self.key and self.table is None:
            yield ("key",), "key belongs to a table"
        if self.key and self.key.kinds and self.key.kinds[0] not in _OF_KEYS:
            yield ("key",), f"a key is one of {', '.join(_OF_KEYS)}"
        for name in ("items", "table", "key"):
            inner: FieldSection | None = getattr(self, name)
            for path, text in inner.problems() if inner else ():
                yield (name, *path), text
        for name, inner in self.fields.items():
            for path, text in inner.problems():
                yield ("fields", name, *path), text

    def rule(self) -> fields.FieldRule:
        """The rule of this section."""
        (kind,) = self.kinds
        match kind:
            case "boolean":
                return fields.BooleanRule()
            case "time":
                return fields.TimeRule()
            case "log":
                return fields.LogRule()
            case "one_of":
                return fields.OneOfRule(values=tuple(self.one_of))
            case "pattern":
                return fields.PatternRule(pattern=self.pattern)
            case _:
                return self._nested_rule()

    def _nested_rule(self) -> fields.FieldRule:
        if self.integer:
            return fields.IntegerRule(least=self.integer[0], most=self.integer[1])
        if self.number:
            return fields.NumberRule(least=self.number[0], most=self.number[1], digits=self.digits)
        if self.text:
            return fields.TextRule(most=self.text)
        if self.pseudonym:
            return fields.AliasRule(of=self.pseudonym)
        if self.items:
            return fields.ListRule(of=self.items.rule(), most=self.most)
        if self.table and self.key:
            return fields.TableRule(key=self.key.rule(), of=self.table.rule())
        return fields.RecordRule(fields={name: one.rule() for name, one in self.fields.items()})


_KINDS = (*_WORDS, "integer", "number", "one_of", "pattern", "text", "pseudonym", "items", "table", "fields")
_OF_KEYS = ("integer", "one_of", "pattern", "pseudonym", "time")


class NeverSection(Section):
    """Names that must not leave in any form. Computers, addresses and users that the description itself names are added
    by themselves."""

    hosts: list[str] = []
    users: list[str] = []
    paths: list[str] = []
    words: list[str] = []
    """Anything else: names of projects, of rooms, of people."""
    canaries: list[str] = []
    """Texts that stand in a trap and nowhere else, such as the name of a device that is not there. One that would leave
    is an alarm: the rules let too much out."""

    def names(self) -> Iterator[tuple[str, str]]:
        """Kind and name of each."""
        # Canaries first: where a name is both, it is the alarm that counts.
        for kind, names in (
            ("canary", self.canaries),
            ("host", self.hosts),
            ("user", self.users),
            ("path", self.paths),
            ("word", self.words),
        ):
            for name in names:
                yield kind, name

    def problems(self) -> Iterator[Problem]:
        """Names that would be found in any text."""
        for key in ("hosts", "users", "paths", "words", "canaries"):
            for number, name in enumerate(getattr(self, key)):
                if len(name.strip()) < LEAST:
                    yield (key, number), f"{name!r} would be found in any text: a name has at least {LEAST} characters"


_PUBLISHED = Literal["default"] | dict[Name, Literal["default"] | dict[str, FieldSection]]


def _published(given: Any) -> Any:
    """The rules in place of the word `default`."""
    if given == DEFAULT:
        return {kind: dict(rules) for kind, rules in DEFAULT_POLICY.items()}
    if not isinstance(given, Mapping):
        return given
    out: dict[Any, Any] = {}
    for kind, rules in cast("Mapping[Any, Any]", given).items():
        if rules == DEFAULT and kind not in DEFAULT_POLICY:
            raise ValueError(f"there are no default rules of {kind}; there are those of {', '.join(DEFAULT_POLICY)}")
        out[kind] = dict(DEFAULT_POLICY[kind]) if rules == DEFAULT else rules
    return out


class ApprovalsSection(Section):
    """How templates of log lines are approved on the page of the console."""

    two_persons: bool = False
    """A second person must confirm what one has approved, before lines leave."""


class MirrorSection(Section):
    """What of the experiment is shown outside."""

    key: SecretReference | None = None
    """The key of the aliases, at least 16 characters."""
    rotate: Annotated[Seconds, Field(ge=86400)] | None = None
    """After this time the aliases change, so that nothing can be followed for longer."""
    publish: Annotated[
        dict[Name, dict[str, FieldSection]],
        BeforeValidator(_published, json_schema_input_type=_PUBLISHED),
    ] = {}
    """Kind of record -> its fields that leave: `run`. The word `default` stands for the rules that `countingroom mirror
    policy` shows: of all kinds, or of one kind (`run: default`)."""
    feed: FeedSection = FeedSection()
    """Where the records of this experiment go."""
    templates: list[Path] = []
    """Files with the approved templates of log lines, made by `countingroom mirror learn`; relative to the
    description."""
    approvals: ApprovalsSection = ApprovalsSection()
    """How further templates are approved while the experiment runs."""
    never: NeverSection = NeverSection()
    """Names that the last check looks for."""
    store: PublicStoreSection = PublicStoreSection()
    """Where it is kept for the pages outside."""
    upstreams: dict[Name, UpstreamSection] = {}
    """Upstreams of the DQM^2 kind whose documents are shown too."""
    report: ReportSection = ReportSection()
    """Reports over the last runs, made by themselves."""
    site: SiteSection | None = None
    """The public site as a process of `countingroom up`, which knows the public store and nothing else. None where it
    is left out."""

    @classmethod
    def default(cls) -> MirrorSection:
        """A section with the rules that the word `default` stands for, and nothing else."""
        return cls.model_validate({"publish": DEFAULT})

    @property
    def in_use(self) -> bool:
        """Whether there is something to read, or to feed."""
        return bool(self.upstreams) or self.has_feed

    @property
    def has_feed(self) -> bool:
        """Whether anything that is published on the bus leaves."""
        return not FEED_KINDS.isdisjoint(self.publish)

    @property
    def has_store(self) -> bool:
        """Whether the public store is written here, and not by a receiver outside alone."""
        return bool(self.upstreams) or (self.has_feed and not self.feed.to)

    def problems(self) -> Iterator[Problem]:
        """What does not fit together, with its place."""
        if self.publish and self.key is None:
            yield ("publish",), "give a key for the aliases: key: { file: … } or { env: … }"
        for kind, given in self.publish.items():
            for name, one in given.items():
                for path, text in one.problems():
                    yield ("publish", kind, name, *path), text
                if kind != NOTE and one.has_text:
                    yield ("publish", kind, name), f"text is a rule of the kind {NOTE} alone: use pattern or log"
        for path, text in self.never.problems():
            yield ("never", *path), text
        for path, text in self.store.problems():
            yield ("store", *path), text
        for name, upstream in self.upstreams.items():
            if name in (TARGET, NOTES_TARGET):
                what = "log lines" if name == TARGET else "notes"
                yield ("upstreams", name), f"{name} is the target of commands about {what}: choose another name"
            for path, text in upstream.problems():
                yield ("upstreams", name, *path), text
        for path, text in self.site.problems() if self.site else ():
            yield ("site", *path), text
        if self.site and not self.has_store:
            yield ("site",), "the public store is not written here: run countingroom mirror site where it is"
        if self.upstreams and not self.publish:
            yield (
                ("upstreams",),
                "nothing of them leaves: give the rules in publish, for run_client, graph, host_status",
            )
        for path, text in self.report.problems():
            yield ("report", *path), text
        if self.report.is_scheduled and not self.has_store:
            yield (
                ("report",),
                "the public store is not written here, so no report can be made of it: run `countingroom mirror report`"
                " from a timer where the store is",
            )
        if self.feed.points and "point" not in self.publish:
            yield ("feed", "points"), "no field of a point leaves: publish has no rules of the kind point"

    def records(self) -> dict[str, fields.RecordRule]:
        """Kind of record -> its rules."""
        return {
            kind: fields.RecordRule(fields={name: one.rule() for name, one in given.items()})
            for kind, given in self.publish.items()
        }

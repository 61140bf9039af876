"""Rules for the fields of a record: only what a rule names leaves, and only if its value is of the kind of the rule.

A record is data of JSON. A field without a rule, a value of another kind and a key of a table that its rule does not
allow stay inside; each leaves a `FieldDecision`, which says why, for the page and the command that explain it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct

from countingroom.core.mirror.prose import masked
from countingroom.core.mirror.pseudonyms import Pseudonyms

LONGEST_TEXT = 200
_MOST_ITEMS = 10_000
_MOST_DEPTH = 12

What = Literal["published", "replaced", "withheld", "not listed"]


class _Rule(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What a field must be in order to leave."""


class IntegerRule(_Rule, frozen=True, kw_only=True, tag="integer"):
    """A whole number within a range."""

    least: int
    most: int


class NumberRule(_Rule, frozen=True, kw_only=True, tag="number"):
    """A number within a range, rounded to so many significant digits: a value with sixteen can carry a text."""

    least: float
    most: float
    digits: int = 6


class BooleanRule(_Rule, frozen=True, kw_only=True, tag="boolean"):
    """True or false."""


class OneOfRule(_Rule, frozen=True, kw_only=True, tag="one_of"):
    """One of these values."""

    values: tuple[str | int | float | bool, ...]


class PatternRule(_Rule, frozen=True, kw_only=True, tag="pattern"):
    """A text of ASCII characters that matches as a whole: the version of a program."""

    pattern: str


class TimeRule(_Rule, frozen=True, kw_only=True, tag="time"):
    """A time: ISO 8601 with a zone, or a number of seconds, milliseconds or nanoseconds since 1970, between the years
    2000 and 2100."""


class AliasRule(_Rule, frozen=True, kw_only=True, tag="pseudonym"):
    """A name that leaves as its alias."""

    of: str = "host"


class CheckedLines(list[str]):
    """Lines that the last check has seen."""


class TextRule(_Rule, frozen=True, kw_only=True, tag="text"):
    """A text that people write for the outside. What may name a person, a computer or a place is masked in it."""

    most: int
    """Characters."""


class LogRule(_Rule, frozen=True, kw_only=True, tag="log"):
    """A log, a text or a list of texts: each line leaves if its template is approved."""


class ListRule(_Rule, frozen=True, kw_only=True, tag="list"):
    """A list, each item of one kind. An item that may not leave is left out."""

    of: FieldRule
    most: int = 1000
    """So many of the newest (the last) items."""


class TableRule(_Rule, frozen=True, kw_only=True, tag="table"):
    """A table with any number of keys."""

    key: FieldRule
    of: FieldRule


class RecordRule(_Rule, frozen=True, kw_only=True, tag="fields"):
    """A record within the record."""

    fields: Mapping[str, FieldRule]


FieldRule = (
    IntegerRule
    | NumberRule
    | BooleanRule
    | OneOfRule
    | PatternRule
    | TimeRule
    | AliasRule
    | TextRule
    | LogRule
    | ListRule
    | TableRule
    | RecordRule
)
"""What a field must be in order to leave: one of these, so that rules can be read back from a message."""


class FieldDecision(Struct, frozen=True, kw_only=True):
    """What became of a field."""

    path: str
    """`clients.*.lumi`; the keys of a table stand as `*`, as they may be names themselves."""
    what: What
    why: str = ""
    """For the inside: never the value itself."""


class LinesTaken(Struct, frozen=True, kw_only=True):
    """Lines as they leave, for a rule `log`."""

    value: Any
    decisions: tuple[FieldDecision, ...]


LinesOf = Callable[[Sequence[str], str], LinesTaken]
"""Carries out the rule `log`: the lines of a field, and its path."""


class FieldReader:
    """Applies rules to one record."""

    def __init__(self, pseudonyms: Pseudonyms, lines: LinesOf, known: Sequence[str] = ()) -> None:
        """`lines` carries out the rule `log`. `known`: names that are not masked by the rule `text`."""
        self._pseudonyms = pseudonyms
        self._known = known
        self._lines = lines
        self.decisions: list[FieldDecision] = []
        self.masks = 0
        """Pieces that the rule `text` masked."""

    def take(self, value: Any, rule: FieldRule, path: str = "", depth: int = 0) -> Any:
        """The value as it leaves, or `WITHHELD`."""
        if depth > _MOST_DEPTH:
            return self._withhold(path, "it is nested too deeply")
        if isinstance(rule, RecordRule):
            return self._fields(value, rule, path, depth)
        if isinstance(rule, ListRule):
            return self._items(value, rule, path, depth)
        if isinstance(rule, TableRule):
            return self._table(value, rule, path, depth)
        if isinstance(rule, LogRule):
            return self._log(value, path)
        if isinstance(rule, TextRule):
            return self._text(value, rule, path)
        if value is None:  # "no value" tells nothing
            self._tell(path, "published")
            return None
        found, why = _plain(value, rule, self._pseudonyms)
        if why:
            return self._withhold(path, why)
        self._tell(path, "replaced" if isinstance(rule, AliasRule) else "published")
        return found

    def _fields(self, value: Any, rule: RecordRule, path: str, depth: int) -> Any:
        if not isinstance(value, Mapping):
            return self._withhold(path, f"it is {_kind(value)}, not a record")
        given = cast("Mapping[Any, Any]", value)
        out: dict[str, Any] = {}
        for name, inner in rule.fields.items():  # the order of the rules: the order inside may tell something
            if name in given:
                taken = self.take(given[name], inner, f"{path}.{name}" if path else name, depth + 1)
                if taken is not WITHHELD:
                    out[name] = taken
        for name in given:
            if name not in rule.fields:
                # The name of an unknown field is itself unknown.
                self._tell(f"{path}.{name}" if path else str(name), "not listed", "no rule names it")
        return out

    def _items(self, value: Any, rule: ListRule, path: str, depth: int) -> Any:
        if not isinstance(value, list | tuple):
            return self._withhold(path, f"it is {_kind(value)}, not a list")
        given = cast("Sequence[Any]", value)
        if len(given) > rule.most:
            self._tell(path, "withheld", f"the first {len(given) - rule.most} of {len(given)} items")
        taken = [self.take(one, rule.of, f"{path}[]", depth + 1) for one in given[-rule.most :]]
        return [one for one in taken if one is not WITHHELD]

    def _table(self, value: Any, rule: TableRule, path: str, depth: int) -> Any:
        if not isinstance(value, Mapping):
            return self._withhold(path, f"it is {_kind(value)}, not a table")
        given = cast("Mapping[Any, Any]", value)
        out: dict[str, Any] = {}
        for number, (key, inner) in enumerate(given.items()):
            if number >= _MOST_ITEMS:
                self._tell(f"{path}.*", "withheld", f"more than {_MOST_ITEMS} keys")
                break
            name, why = _plain(key, rule.key, self._pseudonyms)
            if why:
                self._tell(f"{path}.*", "withheld", f"its key: {why}")
                continue
            taken = self.take(inner, rule.of, f"{path}.*", depth + 1)
            if taken is not WITHHELD:
                out[str(name)] = taken
        return out

    def _log(self, value: Any, path: str) -> Any:
        if value is None or value == "":
            self._tell(path, "published")
            return value
        given: list[str]
        if isinstance(value, str):
            given = value.splitlines()
        elif isinstance(value, list) and (found := lines_of(cast("list[Any]", value))) is not None:
            given = found
        else:
            return self._withhold(path, f"it is {_kind(value)}, not a text or a list of texts")
        taken = self._lines(given, path)
        self.decisions += taken.decisions
        return taken.value

    def _text(self, value: Any, rule: TextRule, path: str) -> Any:
        if value is None or value == "":
            self._tell(path, "published")
            return value
        if not isinstance(value, str):
            return self._withhold(path, f"it is {_kind(value)}, not a text")
        if len(value) > rule.most:
            return self._withhold(path, f"it is longer than {rule.most} characters")
        found, masks = masked(value, self._known)
        self.masks += masks
        why = f"{masks} pieces are masked" if masks else ""
        self._tell(path, "replaced" if masks else "published", why)
        return found

    def _withhold(self, path: str, why: str) -> Any:
        self._tell(path, "withheld", why)
        return WITHHELD

    def _tell(self, path: str, what: What, why: str = "") -> None:
        self.decisions.append(FieldDecision(path=path or "the record", what=what, why=why))


def lines_of(items: Sequence[Any]) -> list[str] | None:
    """The lines of texts, of which one may hold several; None where an item is no text."""
    texts = cast("Sequence[str]", items)
    try:
        found = "\n".join(texts).splitlines()
    except TypeError:
        return None
    if len(found) == len(texts) and (not texts or texts[-1]):  # one of each
        return found
    return [line for one in texts for line in one.splitlines() or [""]]


class _Withheld:
    def __repr__(self) -> str:
        return "WITHHELD"


WITHHELD: Any = _Withheld()
"""In place of a value that does not leave; None is a value."""


def _plain(value: Any, rule: FieldRule, pseudonyms: Pseudonyms) -> tuple[Any, str]:
    """The value as it leaves, or why it does not."""
    match rule:
        case BooleanRule():
            return (value, "") if isinstance(value, bool) else _not(value, "true or false")
        case IntegerRule():
            if not isinstance(value, int) or isinstance(value, bool):
                return _not(value, "a whole number")
            return (value, "") if rule.least <= value <= rule.most else (None, _outside(rule.least, rule.most))
        case NumberRule():
            return _number(value, rule)
        case OneOfRule():
            same = (one for one in rule.values if one == value and isinstance(value, bool) == isinstance(one, bool))
            return next(((one, "") for one in same), (None, "it is none of the listed values"))
        case PatternRule():
            if not isinstance(value, str):
                return _not(value, "a text")
            if len(value) > LONGEST_TEXT or not value.isascii():
                return None, f"it is longer than {LONGEST_TEXT} characters, or not plain ASCII"
            return (value, "") if re.fullmatch(rule.pattern, value) else (None, "it does not match the pattern")
        case TimeRule():
            return _time(value)
        case AliasRule():
            if not isinstance(value, str) or not value.strip():
                return _not(value, "a name")
            return pseudonyms.of(rule.of, value), ""
        case _:
            return None, "a rule of this kind does not stand here"


def _number(value: Any, rule: NumberRule) -> tuple[Any, str]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _not(value, "a number")
    if not math.isfinite(value) or not rule.least <= value <= rule.most:
        return None, _outside(rule.least, rule.most)
    return float(f"{value:.{rule.digits}g}"), ""


_ISO = re.compile(r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-][01]\d:[0-5]\d)")
_FROM_S, _TO_S = 946_684_800, 4_102_444_800


def _time(value: Any) -> tuple[Any, str]:
    if isinstance(value, str):
        return (value, "") if _ISO.fullmatch(value) else (None, "it is no time with a zone")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _not(value, "a time")
    if math.isfinite(value) and any(_FROM_S <= value / unit < _TO_S for unit in (1, 1e3, 1e9)):
        return value, ""
    return None, "it is no time between 2000 and 2100"


def _not(value: Any, wanted: str) -> tuple[Any, str]:
    return None, f"it is {_kind(value)}, not {wanted}"


def _outside(least: float, most: float) -> str:
    return f"it is outside {least:g} to {most:g}"


def _kind(value: Any) -> str:
    kinds = (
        (bool, "true or false"),
        (int | float, "a number"),
        (str, "a text"),
        (Mapping, "a record"),
        (Sequence, "a list"),
    )
    return "nothing" if value is None else next((text for kind, text in kinds if isinstance(value, kind)), "no JSON")

"""Which templates a log has, and what could be approved of each: for a person to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.templates import MOST_DIGITS, Approval, ReadLine, SlotRule, read_line
from countingroom.core.mirror.tokens import PLAIN

MOST_VALUES = 20
"""A slot with at most so many values, each seen without a name of the site in it, is proposed as a list."""
_KEPT = 200
_WIDER = 10
_ALIASES = {"host": "host", "ip": "host"}
_AS_A_LIST = frozenset({"name", "quoted"})


class SeenSlot(Struct):
    """What stood in a slot."""

    kind: str
    values: Counter[str]
    """Text -> lines; at most 200 of them."""
    least: float = 0.0
    most: float = 0.0

    @property
    def is_full(self) -> bool:
        """Whether there were more values than are kept."""
        return len(self.values) >= _KEPT


class SeenTemplate(Struct):
    """A template of the logs."""

    template: str
    lines: int
    example: str
    """A line of it: for the inside only."""
    slots: list[SeenSlot]
    logs: set[str] = set()
    """The logs in which it was seen: a template of one log may be made of the words of one person."""


def learn(logs: Iterable[tuple[str, Iterable[str]]], known: Iterable[Approval] = ()) -> tuple[list[SeenTemplate], int]:
    """The templates without an approval, those with most lines first; and the number of lines without a template.
    `logs`: name and lines of each."""
    decided = {one.template for one in known}
    found: dict[str, SeenTemplate] = {}
    unread = 0
    for name, lines in logs:
        for line in lines:
            if not line.strip():
                continue
            read = read_line(line)
            if read is None:
                unread += 1
                continue
            if read.template in decided:
                continue
            see(found, read, line).logs.add(name)
    return sorted(found.values(), key=lambda one: (-one.lines, one.template)), unread


def see(found: dict[str, SeenTemplate], read: ReadLine, line: str) -> SeenTemplate:
    """Count a line and what stands in its slots."""
    seen = found.get(read.template)
    if seen is None:
        slots = [SeenSlot(kind=one.kind, values=Counter()) for one in read.slots]
        seen = found[read.template] = SeenTemplate(read.template, 0, line.rstrip(), slots, set())
    seen.lines += 1
    for slot, piece in zip(seen.slots, read.slots, strict=True):
        _count(slot, piece.text)
    return seen


def _count(slot: SeenSlot, text: str) -> None:
    if slot.kind in {"int", "float"} and len(text) <= MOST_DIGITS:
        value = float(text)
        is_first = not slot.values
        slot.least = value if is_first else min(slot.least, value)
        slot.most = value if is_first else max(slot.most, value)
    if text in slot.values or not slot.is_full:
        slot.values[text] += 1


def proposal(seen: SeenTemplate, check: LastCheck) -> Approval:
    """What could be approved: numbers within ten times the range that was seen, few clean values as a list, hosts by
    their alias; the rest masked."""
    return Approval(template=seen.template, slots=tuple(_slot_rule(one, check) for one in seen.slots))


def masked(seen: SeenTemplate) -> Approval:
    """All its slots masked."""
    return Approval(template=seen.template, slots=tuple(SlotRule() for _ in seen.slots))


def _slot_rule(slot: SeenSlot, check: LastCheck) -> SlotRule:
    if slot.kind in {"int", "float"}:
        low, high = sorted((slot.least * _WIDER, slot.most * _WIDER))
        return SlotRule(how="publish", least=min(low, slot.least, 0.0), most=max(high, slot.most, 0.0))
    if slot.kind in PLAIN:
        return SlotRule(how="publish")
    if slot.kind in _ALIASES:
        return SlotRule(how="pseudonym", kind=_ALIASES[slot.kind])
    if slot.kind in _AS_A_LIST and len(slot.values) <= MOST_VALUES and not any(map(check.find, slot.values)):
        return SlotRule(how="one_of", values=tuple(sorted(slot.values)))
    return SlotRule()


LEAST_LOGS = 3
"""A template of fewer logs may be made of the words of one person."""


def why_not(seen: SeenTemplate, check: LastCheck, logs: int = 0) -> str:
    """Why a template should not be approved; empty where nothing speaks against it. `logs`: that were looked at; 0:
    they go on."""
    if hit := check.find(" ".join(words(seen.template))):
        return f"its words hold the {hit.kind} {hit.name}"
    if len(seen.logs) < (min(LEAST_LOGS, logs) if logs else LEAST_LOGS):
        so_far = "1 log" if len(seen.logs) == 1 else f"{len(seen.logs)} logs"
        return f"seen in {len(seen.logs)} of {logs} logs" if logs else f"seen in {so_far} so far"
    return ""


def words(template: str) -> Sequence[str]:
    """The words that stand in the template itself, and leave with every line of it."""
    parts = template.replace("<<>", " ").split("<")
    text = " ".join(part.partition(">")[2] if number else part for number, part in enumerate(parts))
    return [word for word in text.replace("_", " ").split() if word.isalpha()]

"""Alarms as the pages, the API and the metrics show them. Pure.

The alarm department alone decides what is abnormal; here its published states are chosen, sorted and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from countingroom.core.alarms.states import HIGHEST_PRIORITY, LOWEST_PRIORITY, AlarmState, BaseState

PRIORITIES = tuple(range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1))


class AlarmChoice(StrEnum):
    """Which alarms a list has."""

    OPEN = "open"
    """Not normal, and without a flag."""
    UNACKNOWLEDGED = "unacknowledged"
    """Of these, those that a person still has to acknowledge."""
    SHELVED = "shelved"
    """Shelved, suppressed by design or out of service."""
    ALL = "all"


class AlarmFilter(Struct, frozen=True, kw_only=True):
    """Selects alarms. All given conditions must be met."""

    state: AlarmChoice = AlarmChoice.OPEN
    priorities: frozenset[int] = frozenset()
    """Empty: every priority."""
    area: str = ""
    """This area and those below it; empty: everywhere."""
    text: str = ""
    """In identity, title, text, area or reason; case does not matter."""

    def matches(self, alarm: AlarmState) -> bool:
        """Whether the alarm is selected."""
        if not _is(alarm, self.state) or (self.priorities and alarm.priority not in self.priorities):
            return False
        if self.area and not f"{alarm.area}/".startswith(f"{self.area.strip('/')}/"):
            return False
        return not self.text or self.text.casefold() in " ".join(_words(alarm)).casefold()


def _is(alarm: AlarmState, wanted: AlarmChoice) -> bool:
    match wanted:
        case AlarmChoice.OPEN:
            return is_open(alarm)
        case AlarmChoice.UNACKNOWLEDGED:
            return is_open(alarm) and alarm.base.needs_acknowledgement
        case AlarmChoice.SHELVED:
            return alarm.has_flag
        case AlarmChoice.ALL:
            return True


def _words(alarm: AlarmState) -> Iterable[str]:
    yield from (alarm.id, alarm.title, alarm.text, alarm.area, alarm.suppressed, alarm.comment)
    if alarm.shelf:
        yield from (alarm.shelf.reason, alarm.shelf.by)
    if alarm.service:
        yield from (alarm.service.reason, alarm.service.owner)


def is_open(alarm: AlarmState) -> bool:
    """Whether it is in the list: not normal, not shelved, not suppressed and not out of service."""
    return alarm.base is not BaseState.NORMAL and not alarm.has_flag


def all_alarms(words: Mapping[str, Struct]) -> dict[str, AlarmState]:
    """The published alarms by identity, from the states that the console keeps."""
    return {word.id: word for word in words.values() if isinstance(word, AlarmState)}


def ordered(alarms: Iterable[AlarmState]) -> list[AlarmState]:
    """By priority, then newest first."""
    return sorted(alarms, key=lambda one: (one.priority, -one.since_ns, one.id))


def cause_of(alarm: AlarmState, alarms: Mapping[str, AlarmState]) -> str:
    """The identity of the alarm that it stands under in the list; empty: it stands for itself.

    A cause that is normal again, or shelved, hides no alarm: the alarms that followed from it then stand for
    themselves.
    """
    found, seen = alarm, {alarm.id}
    while (above := alarms.get(found.cause_id)) is not None and is_open(above):
        if above.id in seen:
            return ""  # they name each other: each stands for itself, so that none is lost
        seen.add(above.id)
        found = above
    return "" if found is alarm else found.id


def counts(alarms: Mapping[str, AlarmState]) -> dict[int, int]:
    """Priority -> open alarms that stand for themselves: consequences are counted under their cause."""
    found = dict.fromkeys(PRIORITIES, 0)
    for alarm in alarms.values():
        if is_open(alarm) and not cause_of(alarm, alarms):
            found[alarm.priority] += 1
    return found


def newest_unacknowledged(alarms: Mapping[str, AlarmState]) -> tuple[AlarmState | None, int]:
    """The newest open alarm that is not acknowledged, and how many there are."""
    waiting = [
        one for one in alarms.values() if is_open(one) and one.base.needs_acknowledgement and not cause_of(one, alarms)
    ]
    return max(waiting, key=lambda one: (one.announced_ns or one.since_ns, one.id), default=None), len(waiting)


def areas(alarms: Iterable[AlarmState]) -> list[str]:
    """The areas of these alarms, with those above them."""
    found: set[str] = set()
    for alarm in alarms:
        parts = alarm.area.split("/") if alarm.area else []
        found.update("/".join(parts[: end + 1]) for end in range(len(parts)))
    return sorted(found)

"""What an alarm inherits: the keys of its area, of the areas above it, and of what names it. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.alarms.sections.inherited import InheritedKeys, PrioritiesSection
from countingroom.core.alarms.definition import NO_GUIDANCE, Guidance
from countingroom.core.alarms.states import HIGHEST_PRIORITY, LOWEST_PRIORITY

Kinds = tuple[str, str, str, str]
"""The kind of priority of each level of a condition, 1 to 4."""

POINT: Kinds = ("fault", "alarm", "warning", "warning")
FLAG: Kinds = ("fault", "fault", "fault", "fault")
VALUE: Kinds = ("value", "value", "value", "value")
STATE: Kinds = ("error", "link", "error", "error")
LINK: Kinds = ("link", "link", "link", "link")
RUN_CONTROL: Kinds = ("run_control", "run_control", "run_control", "run_control")
ROLE: Kinds = ("role", "role", "role", "role")
BACKUP: Kinds = ("backup", "backup", "backup", "backup")
MIRROR: Kinds = ("mirror", "mirror", "mirror", "mirror")
FLEET: Kinds = ("fleet", "fleet", "fleet", "fleet")
CUSTOM: Kinds = ("custom", "custom", "custom", "custom")
_ALL: frozenset[str] = frozenset((*POINT, *VALUE, *STATE, *RUN_CONTROL, *ROLE, *BACKUP, *FLEET, *MIRROR, *CUSTOM))


class Effective(Struct, frozen=True, kw_only=True):
    """The inherited keys in force."""

    ranks: dict[str, int] = {}
    """Kind -> the priority that is given."""
    shift: int = 0
    guidance: Guidance = NO_GUIDANCE
    contact: str = ""
    links: dict[str, str] = {}

    def within(self, keys: InheritedKeys) -> Effective:
        """These, with what a nearer area or the alarm itself says."""
        ranks: dict[str, int] = self.ranks
        if isinstance(keys.priority, int):
            ranks = dict.fromkeys(_ALL, keys.priority)
        elif isinstance(keys.priority, PrioritiesSection):
            ranks = ranks | keys.priority.model_dump(exclude_none=True)
        return Effective(
            ranks=ranks,
            shift=self.shift if keys.shift is None else keys.shift,
            guidance=_guidance(self.guidance, keys),
            contact=keys.contact or self.contact,
            links={**self.links, **keys.links} if keys.links else self.links,
        )

    def priorities(self, kinds: Kinds) -> tuple[int, int, int, int]:
        """The priority of each level."""
        one, two, three, four = (self._priority(level, kind) for level, kind in enumerate(kinds, 1))
        return one, two, three, four

    def _priority(self, level: int, kind: str) -> int:
        shifted = min(max(level + self.shift, HIGHEST_PRIORITY), LOWEST_PRIORITY)
        return self.ranks.get(kind, shifted)


def completed(given: Guidance, known: Guidance) -> Guidance:
    """What is given, and where a key is not given what is known."""
    return Guidance(
        meaning=given.meaning or known.meaning,
        do=given.do or known.do,
        time_to_act_s=known.time_to_act_s if given.time_to_act_s is None else given.time_to_act_s,
        if_not=given.if_not or known.if_not,
    )


def _guidance(above: Guidance, keys: InheritedKeys) -> Guidance:
    given = keys.guidance
    if not given.model_fields_set:
        return above
    return Guidance(
        meaning=given.meaning or above.meaning,
        do=tuple(given.do) or above.do,
        time_to_act_s=above.time_to_act_s if given.time_to_act is None else given.time_to_act,
        if_not=given.if_not or above.if_not,
    )

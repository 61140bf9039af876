"""Changes in place: which members have another configuration than the wanted one, and which can take it as they are.

A member is changed in place if its agent can do it and no member below it has changed. It stays Active or Recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.core.partitions import Member
from countingroom.core.systems import ACTIVE, RECORDING
from countingroom.runs.planner.survey import UNSEEN, Seen


def differs(member: Member, seen: Seen) -> bool:
    """It takes part and is Active or Recording, with another configuration than the wanted one."""
    if not member.included or member.wanted is None or seen.state is None or seen.common not in (ACTIVE, RECORDING):
        return False
    return seen.state.key != member.wanted.key


def is_possible(member: Member, seen: Seen) -> bool:
    """Its agent can take the wanted configuration in place: what it depends on is as it was."""
    return bool(member.base) and seen.state is not None and seen.state.base == member.base


def is_enough(members: Iterable[Member], seen: Mapping[str, Seen]) -> bool:
    """Whether all that differs can be changed in place, so that no member has to be configured again for it.

    Not during a recording: its conditions change only when that is asked for. Nor where the last change in place
    failed: then a member is configured, which is what can mend it.
    """
    found = False
    for member in members:
        one = seen.get(member.system, UNSEEN)
        if one.common == RECORDING:
            return False
        if differs(member, one):
            if not is_possible(member, one) or (one.state is not None and one.state.cause is not None):
                return False
            found = True
    return found

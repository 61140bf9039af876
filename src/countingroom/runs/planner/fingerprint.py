"""Fingerprints of configurations: a system's key covers everything that its configuring depends on.

So a changed system and all systems above it are configured again, and no others. The key is made of the configuration's
tag and parameters and of the keys of every lower level. An excluded system counts like an included one, so an exclusion
does not make the others configure again.

A system that can be reconfigured in place changes its parameters while the levels above work. So they do not depend on
its configuration: it is not part of their keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from countingroom.core.partitions import Configuration, Member
from countingroom.core.values import Scalar
from countingroom.runs.planner.template import Template


class Chosen(Struct, frozen=True, kw_only=True):
    """A configuration that is chosen for a system."""

    tag: str
    parameters: Mapping[str, Scalar] = {}


def with_fingerprints(
    template: Template,
    members: Sequence[Member],
    chosen: Mapping[str, Chosen],
    *,
    in_place: Collection[str] = (),
) -> tuple[Member, ...]:
    """The members with the fingerprints of their wanted configurations; None where one has no configuration chosen.

    `in_place`: the systems that can be reconfigured in place.
    """
    below = ""
    wanted: dict[str, Configuration] = {}
    bases: dict[str, str] = {}
    for level in template.levels:
        here = sorted(member.system for member in members if member.level == level.name)
        for system in here:
            if selection := chosen.get(system):
                wanted[system] = Configuration(
                    tag=selection.tag,
                    key=_digest(selection.tag, sorted(selection.parameters.items()), below),
                    parameters=dict(selection.parameters),
                )
        bases |= dict.fromkeys((system for system in here if system in in_place), _digest(below))
        keys = [(system, wanted[system].key if system in wanted and system not in in_place else "") for system in here]
        below = _digest(below, keys) if keys else below
    return tuple(
        msgspec.structs.replace(member, wanted=wanted.get(member.system), base=bases.get(member.system, ""))
        for member in members
    )


def _digest(*parts: object) -> str:
    return sha256(msgspec.json.encode(parts)).hexdigest()[:32]

"""The `was` section: what the description renamed. `countingroom apply` renames it in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from countingroom.core.placement import Renames
from countingroom.core.yaml.section import Name, Section
from countingroom.core.yaml.validation_errors import did_you_mean

Problem = tuple[tuple[str | int, ...], str]


class WasSection(Section):
    """New name -> old name. What refers to the old name in the database follows; records of runs keep it. A rename that
    is done has no further effect, and its line can be deleted."""

    systems: dict[Name, Name] = {}
    configurations: dict[Name, dict[Name, Name]] = {}
    """System -> new tag -> old tag. A renamed system stands here with its new name."""
    tags: dict[Name, Name] = {}
    partitions: dict[Name, Name] = {}

    @property
    def renames(self) -> Renames:
        """The same as a value of core."""
        return Renames(
            systems=dict(self.systems),
            configurations={system: dict(tags) for system, tags in self.configurations.items()},
            tags=dict(self.tags),
            partitions=dict(self.partitions),
        )

    def mistakes(
        self,
        *,
        systems: Collection[str],
        configurations: Mapping[str, Collection[str]],
        tags: Collection[str],
        partitions: Collection[str],
    ) -> Iterable[Problem]:
        """New names that the description does not have, old names that it still has, and old names given twice."""
        yield from _wrong("system", self.systems, systems, ("systems",))
        yield from _wrong("tag", self.tags, tags, ("tags",))
        yield from _wrong("partition", self.partitions, partitions, ("partitions",))
        for system, given in self.configurations.items():
            spot = ("configurations", system)
            if system not in configurations:
                yield spot, f"{system} has no configurations{did_you_mean(system, configurations)}"
            else:
                yield from _wrong(f"configuration of {system}", given, configurations[system], spot)


def _wrong(kind: str, given: Mapping[str, str], there: Collection[str], spot: tuple[str, ...]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for new, old in given.items():
        if new not in there:
            yield (*spot, new), f"there is no {kind} {new}{did_you_mean(new, there)}"
        if old in there:
            yield (*spot, new), f"the {kind} {old} is still in the description: remove it, or this line"
        elif owners.setdefault(old, new) != new:
            yield (*spot, new), f"the {kind} {old} is renamed to {owners[old]} already"

"""Selects configurations for a partition: a global tag that covers exactly its systems, or one for a single system."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from countingroom.core.clock import within
from countingroom.core.configurations import CUSTOM, covers
from countingroom.core.errors import Conflict, NotFound
from countingroom.core.partitions import Configuration
from countingroom.core.run_book import Run
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.port import OwnerPort


class ConfigurationSelection:
    """The selected configurations of one partition."""

    def __init__(self, owner: OwnerPort) -> None:
        self._owner = owner

    def member(self, system: str) -> str:
        """The system itself; NotFound when it is not a member of the partition."""
        members = [one.system for one in self._owner.partition.members]
        if system not in members:
            raise NotFound(
                f"{system} is not a system of {self._owner.name}", suggestion=f"choose one of {', '.join(members)}"
            )
        return system

    async def select_tag(self, name: str, by: str) -> None:
        """Select a tag and wait until the planner has it. Conflict when it does not cover exactly the systems."""
        owner = self._owner
        tag = await owner.context.database.tags.get(name)
        systems = {one.system for one in owner.partition.members}
        if not covers(tag.systems, systems):
            missing = sorted(systems - tag.systems.keys())
            extra = sorted(tag.systems.keys() - systems)
            reasons = [f"it has no configuration for {', '.join(missing)}"] if missing else []
            reasons += [f"{', '.join(extra)} is not in {owner.name}"] if extra else []
            raise Conflict(
                f"{name} does not cover exactly the systems of {owner.name}: {'; '.join(reasons)}",
                code="not_covering",
                source=f"tags.{name}",
                suggestion="choose another tag, or a configuration for each system",
            )
        await owner.context.database.partitions.select(owner.name, name, tag.systems, by)
        await self._taken_on(tag.systems)

    async def select_one(self, system: str, tag: str, by: str) -> None:
        """Select another configuration for one system. The tag of the partition is then the one that names just these
        configurations, so that a sequence gives the tag back; without one it is `custom`."""
        owner = self._owner
        wanted = await owner.context.database.partitions.wanted(owner.name)
        chosen = {name: one.tag for name, one in wanted.systems.items()} | {system: tag}
        same = [one.name for one in await owner.context.database.tags.covering(chosen) if one.systems == chosen]
        await owner.context.database.partitions.select(owner.name, same[0] if same else CUSTOM, chosen, by)
        await owner.reload_members()

    async def refresh(self) -> None:
        """Reload what is selected and wait until the planner has it: its parameters may just have been saved."""
        await self._owner.reload_members()
        await self._owner.settle()

    async def select_as_in(self, run: Run, by: str) -> bool:
        """Select what the systems had in an earlier run; returns whether that changes the selection.

        Conflict where a system had no configuration in that run, or where one was saved with other values since.
        """
        owner = self._owner
        members = [one for one in owner.partition.members if one.included]
        before = {one.system: run.configurations.get(one.system) for one in members}
        if without := sorted(name for name, had in before.items() if had is None):
            raise Conflict(
                f"{', '.join(without)} had no configuration in run {run.number}",
                code="no_configuration",
                source=owner.source,
                suggestion="select a tag, configure, and start a run instead",
            )
        if all(one.wanted == before[one.system] for one in members):
            return False
        had = {name: one for name, one in before.items() if one}
        await self._check_unchanged(run, had)
        chosen = {one.system: one.wanted.tag for one in owner.partition.members if one.wanted}
        chosen |= {name: one.tag for name, one in had.items()}
        tag = run.tag if await self._is_tag(run.tag, chosen) else CUSTOM
        await owner.context.database.partitions.select(owner.name, tag, chosen, by)
        await self._taken_on(chosen)
        return True

    async def _check_unchanged(self, run: Run, had: Mapping[str, Configuration]) -> None:
        database = self._owner.context.database
        changed: list[str] = []
        for name, one in had.items():
            present = {each.tag: each for each in await database.configurations.list(name)}
            if one.tag not in present or dict(present[one.tag].parameters) != one.parameters:
                changed.append(f"{one.tag} of {name}")
        if changed:
            raise Conflict(
                f"{', '.join(changed)} is not what it was in run {run.number}",
                code="configuration_changed",
                source=self._owner.source,
                suggestion="save the earlier values again, or start a run with the present ones instead",
            )

    async def _is_tag(self, name: str, chosen: Mapping[str, str]) -> bool:
        with suppress(NotFound):
            return (await self._owner.context.database.tags.get(name)).systems == chosen
        return False

    async def _taken_on(self, chosen: Mapping[str, str]) -> None:
        """Reload the members and wait until the planner has this selection."""
        owner = self._owner
        await owner.reload_members()
        with suppress(TimeoutError):
            async with within(owner.context.clock, ANSWER_S):
                while self._wanted() != chosen:
                    await owner.changed()

    def _wanted(self) -> dict[str, str]:
        return {one.system: one.wanted.tag if one.wanted else "" for one in self._owner.partition.members}

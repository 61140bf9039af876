"""Selects configurations for a partition: a global tag that covers exactly its systems, or one for a single system."""

from __future__ import annotations

from contextlib import suppress

from countingroom.core.clock import within
from countingroom.core.configurations import covers
from countingroom.core.errors import Conflict, NotFound
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.port import OwnerPort
from countingroom.storage.partitions import CUSTOM


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
        await owner.reload_members()
        with suppress(TimeoutError):
            async with within(owner.context.clock, ANSWER_S):
                while self._wanted() != tag.systems:
                    await owner.changed()

    async def select_one(self, system: str, tag: str, by: str) -> None:
        """Select another configuration for one system; the tag of the partition becomes `custom`."""
        owner = self._owner
        wanted = await owner.context.database.partitions.wanted(owner.name)
        chosen = {name: one.tag for name, one in wanted.systems.items()} | {system: tag}
        await owner.context.database.partitions.select(owner.name, CUSTOM, chosen, by)
        await owner.reload_members()

    def _wanted(self) -> dict[str, str]:
        return {one.system: one.wanted.tag if one.wanted else "" for one in self._owner.partition.members}

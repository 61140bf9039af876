"""Law: what is to be configured is chosen for all systems by a tag that covers them exactly, or for one by itself."""

from __future__ import annotations

from contextlib import suppress

from countingroom.core.clock import within
from countingroom.core.configurations import covers
from countingroom.core.errors import Conflict, NotFound
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.port import Ownership
from countingroom.storage.partitions import CUSTOM


class Choice:
    """What is wanted of the systems of one partition."""

    def __init__(self, tenure: Ownership) -> None:
        self._tenure = tenure

    def member(self, system: str) -> str:
        """The system itself; NotFound where it is not in the partition."""
        members = [one.system for one in self._tenure.partition.members]
        if system not in members:
            raise NotFound(
                f"{system} is no system of {self._tenure.name}", suggestion=f"choose one of {', '.join(members)}"
            )
        return system

    async def all(self, name: str, by: str) -> None:
        """Want this tag; returns when the partition knows it. Conflict where it does not cover exactly its systems."""
        tenure = self._tenure
        tag = await tenure.office.database.tags.get(name)
        systems = {one.system for one in tenure.partition.members}
        if not covers(tag.systems, systems):
            missing, over = sorted(systems - tag.systems.keys()), sorted(tag.systems.keys() - systems)
            told = [f"it has nothing for {', '.join(missing)}"] if missing else []
            told += [f"{', '.join(over)} is not in {tenure.name}"] if over else []
            raise Conflict(
                f"{name} does not cover exactly the systems of {tenure.name}: {'; '.join(told)}",
                code="not_covering",
                source=f"tags.{name}",
                suggestion="choose another tag, or a configuration for each system",
            )
        await tenure.office.database.partitions.select(tenure.name, name, tag.systems, by)
        await tenure.muster()
        with suppress(TimeoutError):
            async with within(tenure.office.clock, ANSWER_S):
                while self._wanted() != tag.systems:
                    await tenure.changed()

    async def one(self, system: str, tag: str, by: str) -> None:
        """Want another configuration of one system."""
        tenure = self._tenure
        wanted = await tenure.office.database.partitions.wanted(tenure.name)
        chosen = {name: one.tag for name, one in wanted.systems.items()} | {system: tag}
        await tenure.office.database.partitions.select(tenure.name, CUSTOM, chosen, by)
        await tenure.muster()

    def _wanted(self) -> dict[str, str]:
        return {one.system: one.wanted.tag if one.wanted else "" for one in self._tenure.partition.members}

"""Law: the description fills an empty database once; later it only adds detectors nobody knew."""

from __future__ import annotations

from countingroom.core.configurations import ConfigurationSet
from countingroom.runs.description import RunsSection
from countingroom.runs.template import DETECTORS
from countingroom.storage.database import Database

BY = "description"


async def seed(database: Database, section: RunsSection) -> bool:
    """Whether this was the first start."""
    where = await database.mapping.all()
    first = not where and not await database.partitions.list()
    places = {name: at for at, one in section.partitions.items() for name in one.detectors} if first else {}
    if first:
        schemas = {name: one.parameters for name, one in section.systems.items() if isinstance(one.parameters, dict)}
        kept = ConfigurationSet(configurations=section.configurations, tags=section.tags, schemas=schemas)
        await database.configurations.put(kept, BY, "first start")
        for name, one in section.partitions.items():
            await database.partitions.create(name, one.template, one.title or name, BY)
    for name in section.detectors:
        if name not in where:
            await database.mapping.create(name, BY, partition=places.get(name, ""))
    if first:
        for name, one in section.partitions.items():
            if one.tag:
                await database.partitions.select(name, one.tag, _of(section, name, section.tags[one.tag]), BY)
    return first


def _of(section: RunsSection, partition: str, tag: dict[str, str]) -> dict[str, str]:
    """What a tag says of the systems of a partition."""
    one = section.partitions[partition]
    systems = {*one.detectors, *section.templates[one.template].systems} - {DETECTORS}
    return {system: chosen for system, chosen in tag.items() if system in systems}

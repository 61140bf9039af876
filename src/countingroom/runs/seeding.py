"""Law: the description fills an empty database once; later it only adds detectors nobody knew."""

from __future__ import annotations

from countingroom.core.configurations import ConfigurationSet
from countingroom.core.layout import Seed, SeedPartition
from countingroom.runs.description import RunsSection
from countingroom.runs.template import DETECTORS
from countingroom.storage.database import Database

BY = "description"


async def seed(database: Database, section: RunsSection) -> bool:
    """Whether this was the first start."""
    places = {name: at for at, one in section.partitions.items() for name in one.detectors}
    schemas = {name: one.parameters for name, one in section.systems.items() if isinstance(one.parameters, dict)}
    given = Seed(
        configurations=ConfigurationSet(configurations=section.configurations, tags=section.tags, schemas=schemas),
        partitions=tuple(_partition(section, name) for name in section.partitions),
        detectors={name: places.get(name, "") for name in section.detectors},
    )
    return await database.sow(given, BY)


def _partition(section: RunsSection, name: str) -> SeedPartition:
    one = section.partitions[name]
    systems = {*one.detectors, *section.templates[one.template].systems} - {DETECTORS}
    chosen = {system: tag for system, tag in section.tags[one.tag].items() if system in systems} if one.tag else {}
    return SeedPartition(name=name, template=one.template, title=one.title or name, tag=one.tag or "", systems=chosen)

"""What the description gives to the database: at the first start, and when it is applied later."""

from __future__ import annotations

from countingroom.core.apply_description.compare import ApplyPlan
from countingroom.core.apply_description.contents import ItemKind
from countingroom.core.configurations import ConfigurationSet
from countingroom.core.placement import Seed, SeedPartition
from countingroom.runs.description import RunsSection
from countingroom.runs.planner.template import DETECTORS
from countingroom.storage.database import Database

BY = "description"
"""The author of what the description gives at a start."""


def seed_of(section: RunsSection) -> Seed:
    """The content that the description gives."""
    places = {name: at for at, one in section.partitions.items() for name in one.detectors}
    schemas = {name: one.parameter_schema for name, one in section.systems.items() if one.parameter_schema is not None}
    return Seed(
        configurations=ConfigurationSet(configurations=section.configurations, tags=section.tags, schemas=schemas),
        partitions=tuple(_partition(section, name) for name in section.partitions),
        detectors={name: places.get(name, "") for name in section.detectors},
        renames=section.was.renames,
    )


async def seed(database: Database, section: RunsSection) -> bool:
    """Fill an empty database from the description; returns whether it was empty. In another one, record what it has
    in common with the description."""
    given = seed_of(section)
    was_empty = await database.seed(given, BY)
    if not was_empty:
        await database.description.record_equal(given, BY)
    return was_empty


async def plan_at_start(database: Database, section: RunsSection) -> ApplyPlan | None:
    """The plan before run control has started; None for an empty database, which the start fills."""
    there = await database.mapping.all()
    if not there and not await database.partitions.list():
        return None
    given = seed_of(section)
    renamed = section.was.systems
    added = [name for name in given.detectors if name not in there and renamed.get(name) not in there]
    plan = await database.description.plan(given)
    # The start adds these detectors by itself.
    return plan.without([f"{ItemKind.DETECTOR}.{name}" for name in added])


def _partition(section: RunsSection, name: str) -> SeedPartition:
    one = section.partitions[name]
    systems = {*one.detectors, *section.templates[one.template].systems} - {DETECTORS}
    chosen = {system: tag for system, tag in section.tags[one.tag].items() if system in systems} if one.tag else {}
    return SeedPartition(name=name, template=one.template, title=one.title or name, tag=one.tag or "", systems=chosen)

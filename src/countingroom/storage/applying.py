"""Compares the description with the database, and applies it as one change."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from countingroom.core.apply_description.compare import (
    ApplyAction,
    ApplyPlan,
    Choices,
    ItemChange,
    compare,
    contents_after,
    with_equal_contents,
)
from countingroom.core.apply_description.contents import (
    USERS_FIRST,
    AppliedDescription,
    Contents,
    Held,
    ItemKind,
    described_by,
)
from countingroom.core.errors import Cause, Conflict
from countingroom.core.placement import Seed
from countingroom.storage import importing, layout, rows
from countingroom.storage.configuration_rows import (
    delete_configuration,
    hold_to_schema,
    save_configuration,
    save_schema,
)
from countingroom.storage.renaming import rename
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.tables import description_applied, detector, partition, partition_wanted
from countingroom.storage.tags import delete_tag, save_tag

COMMENT = "description"
"""Comment of the revisions that applying the description saves."""


class Description(Repository):
    """Repository of what the description said when it was last applied."""

    @reading
    def applied(self, connection: Connection) -> AppliedDescription:
        """The last application; revision 0 where none is recorded."""
        return last_applied(connection)

    @reading
    def plan(self, connection: Connection, seed: Seed, choices: Choices | None = None) -> ApplyPlan:
        """What applying this description would do."""
        return _plan(connection, seed, choices)

    @writing
    def apply(
        self, connection: Connection, seed: Seed, by: str, choices: Choices | None = None, *, expected: str = ""
    ) -> ApplyPlan:
        """Apply the description and return the plan that was carried out.

        `expected`: digest of the plan that the user saw. Conflict where the plan is another one now, where a conflict
        is not decided, and where a configuration violates its schema: then the database stays as it is.
        """
        plan = _plan(connection, seed, choices)
        check(plan, expected)
        if plan.to_do:
            _carry_out(connection, plan, seed, by=by, now_ns=self.clock.now_ns())
        return plan

    @writing
    def record_equal(self, connection: Connection, seed: Seed, by: str) -> None:
        """Record what description and database have in common as applied, where that is not recorded yet."""
        described, applied = described_by(seed), last_applied(connection)
        contents = with_equal_contents(described, applied, held(connection))
        if contents is not None:
            record_applied(connection, contents, by=by, now_ns=self.clock.now_ns())


def check(plan: ApplyPlan, expected: str) -> None:
    """Conflict where the plan cannot be carried out, or is not the one that was seen."""
    if expected and expected != plan.digest:
        raise Conflict(
            "description or database have changed since the plan was made",
            source="description",
            code="other_plan",
            suggestion="look at the plan again",
        )
    if plan.conflicts:
        causes = [
            Cause(code="conflict", message=f"{one.item}: {one.reason}", source=one.item) for one in plan.conflicts
        ]
        raise Conflict(
            f"{len(causes)} conflict{'s' if len(causes) > 1 else ''} between the description and the database",
            source="description",
            code="undecided",
            causes=causes,
            suggestion="take the description or the database for each of them: --take ITEM=description|database",
        )


def last_applied(connection: Connection) -> AppliedDescription:
    """The newest record; revision 0 without one."""
    query = select(description_applied).order_by(description_applied.c.revision.desc()).limit(1)
    return rows.first(connection, query, AppliedDescription) or AppliedDescription()


def record_applied(connection: Connection, contents: Contents, *, by: str, now_ns: int) -> None:
    """Add a record of what was applied."""
    last = connection.scalar(select(func.max(description_applied.c.revision))) or 0
    made = AppliedDescription(revision=last + 1, contents=contents, applied_by=by, applied_ns=now_ns)
    connection.execute(insert(description_applied).values(**rows.columns(made)))


def held(connection: Connection) -> Held:
    """What the database holds now."""
    present = importing.everything(connection)
    there, detectors = layout.partitions(connection), layout.detectors(connection)
    contents: Contents = {
        **described_by(Seed(configurations=present)),
        ItemKind.PARTITION: {one.name: {"template": one.template, "title": one.title} for one in there},
        ItemKind.DETECTOR: {name: {} for name in detectors},
    }
    wanted: dict[str, dict[str, str]] = {}
    for at, system, tag in connection.execute(select(partition_wanted)):
        wanted.setdefault(at, {})[system] = tag
    return Held(
        contents=contents,
        selected={one.name: one.tag for one in there},
        wanted=wanted,
        places={name: one.partition for name, one in detectors.items()},
    )


def _plan(connection: Connection, seed: Seed, choices: Choices | None) -> ApplyPlan:
    applied = last_applied(connection)
    return compare(described_by(seed), applied, held(connection), renames=seed.renames, choices=choices)


def _carry_out(connection: Connection, plan: ApplyPlan, seed: Seed, *, by: str, now_ns: int) -> None:
    for one in plan.renames:
        rename(connection, one, by=by, now_ns=now_ns)
    for one in plan.to_do:
        if one.action in (ApplyAction.ADD, ApplyAction.UPDATE):
            _save(connection, one, seed, by=by, now_ns=now_ns)
    changed = {
        one.name.partition(".")[0] for one in plan.to_do if one.kind in (ItemKind.SCHEMA, ItemKind.CONFIGURATION)
    }
    removed = [one for one in plan.to_do if one.action is ApplyAction.REMOVE]
    for kind in USERS_FIRST:
        for one in removed:
            if one.kind == kind:
                _remove(connection, one, by=by, now_ns=now_ns)
    for system in sorted(changed):
        hold_to_schema(connection, system)
    record_applied(connection, contents_after(described_by(seed), plan), by=by, now_ns=now_ns)


def _save(connection: Connection, one: ItemChange, seed: Seed, *, by: str, now_ns: int) -> None:
    value = one.described
    match one.kind:
        case ItemKind.SCHEMA:
            save_schema(connection, one.name, value, by=by, comment=COMMENT, now_ns=now_ns)
        case ItemKind.CONFIGURATION:
            system, _, tag = one.name.partition(".")
            save_configuration(connection, system, tag, value, by=by, comment=COMMENT, now_ns=now_ns, hold=False)
        case ItemKind.TAG:
            save_tag(connection, one.name, value, by=by, comment=COMMENT, now_ns=now_ns)
        case ItemKind.PARTITION if one.action is ApplyAction.UPDATE:
            connection.execute(update(partition).where(partition.c.name == one.name).values(**value))
            layout.record(connection, "change_partition", by=by, now_ns=now_ns, partition=one.name, detail=value)
        case ItemKind.PARTITION:
            _create_partition(connection, one.name, seed, by=by, now_ns=now_ns)
        case _:
            layout.create_detectors(connection, {one.name: ""}, by=by, now_ns=now_ns)


def _create_partition(connection: Connection, name: str, seed: Seed, *, by: str, now_ns: int) -> None:
    """Create it as at the first start. Detectors that are in a partition stay there: users move them."""
    described = next(one for one in seed.partitions if one.name == name)
    layout.create_partition(connection, name, described.template, described.title, by=by, now_ns=now_ns)
    places = {one: known.partition for one, known in layout.detectors(connection).items()}
    for one, at in seed.detectors.items():
        if at == name and places.get(one) == "":
            connection.execute(update(detector).where(detector.c.name == one).values(partition=name))
            layout.record(connection, "move", by=by, now_ns=now_ns, partition=name, system=one, detail={"from": ""})
    if described.tag:
        layout.select_configurations(connection, name, described.tag, described.systems, by=by, now_ns=now_ns)


def _remove(connection: Connection, one: ItemChange, *, by: str, now_ns: int) -> None:
    comment = "removed from the description"
    match one.kind:
        case ItemKind.SCHEMA:
            save_schema(connection, one.name, None, by=by, comment=comment, now_ns=now_ns)
        case ItemKind.CONFIGURATION:
            system, _, tag = one.name.partition(".")
            delete_configuration(connection, system, tag, by=by, comment=comment, now_ns=now_ns, with_tags=False)
        case ItemKind.TAG:
            delete_tag(connection, one.name, by=by, comment=comment, now_ns=now_ns)
        case ItemKind.PARTITION:
            connection.execute(delete(partition).where(partition.c.name == one.name))
            layout.record(connection, "delete_partition", by=by, now_ns=now_ns, partition=one.name)
        case _:
            connection.execute(delete(detector).where(detector.c.name == one.name))
            layout.record(connection, "delete_detector", by=by, now_ns=now_ns, system=one.name)

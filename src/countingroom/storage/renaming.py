"""Renames systems, configurations, tags and partitions within a transaction of the caller. What refers to them follows.

History tables only grow: the new name gets a new revision, the old name one that says it was deleted. The records of
runs keep the old names of systems and partitions, and get a note with the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Text,
    cast,
    delete,
    insert,
    literal,
    select,
    update,
)

from countingroom.core.apply_description.contents import ItemKind
from countingroom.core.apply_description.renames import Rename
from countingroom.storage import layout
from countingroom.storage.configuration_rows import (
    current_configurations,
    delete_configuration,
    present_schema,
    save_configuration,
    save_schema,
)
from countingroom.storage.run_tables import run, run_note, run_sequence
from countingroom.storage.tables import configuration, detector, partition, partition_excluded, partition_wanted
from countingroom.storage.tags import current_tags, delete_tag, get_tag, save_tag


def rename(connection: Connection, one: Rename, *, by: str, now_ns: int) -> None:
    """Do one rename. The old name exists and the new one does not."""
    match one.what:
        case "system":
            _system(connection, one.old, one.new, by, now_ns)
        case ItemKind.CONFIGURATION:
            system, _, old = one.old.partition(".")
            _configuration(connection, (system, old), (system, one.new.partition(".")[2]), by, now_ns)
        case ItemKind.TAG:
            present = get_tag(connection, one.old)
            save_tag(connection, one.new, present.systems, by=by, comment=f"was {one.old}", now_ns=now_ns)
            connection.execute(update(partition).where(partition.c.tag == one.old).values(tag=one.new))
            delete_tag(connection, one.old, by=by, comment=f"renamed to {one.new}", now_ns=now_ns)
        case _:
            _partition(connection, one.old, one.new, by, now_ns)


def _configuration(connection: Connection, old: tuple[str, str], new: tuple[str, str], by: str, now_ns: int) -> None:
    """Save it under its new system and tag, let tags and selections name that, and delete the old one."""
    wanted = (configuration.c.system == old[0]) & (configuration.c.tag == old[1])
    (present,) = current_configurations(connection, wanted)
    said = f"was {old[1]}" if old[0] == new[0] else f"was {old[1]} of {old[0]}"
    save_configuration(connection, *new, present.parameters, by=by, comment=said, now_ns=now_ns, hold=False)
    for tag in current_tags(connection):
        if tag.systems.get(old[0]) == old[1]:
            systems = {**_without(tag.systems, old[0]), new[0]: new[1]}
            save_tag(connection, tag.name, systems, by=by, comment=f"{'.'.join(old)} is renamed", now_ns=now_ns)
    chosen = (partition_wanted.c.system == old[0]) & (partition_wanted.c.configuration == old[1])
    connection.execute(update(partition_wanted).where(chosen).values(system=new[0], configuration=new[1]))
    gone = f"renamed to {'.'.join(new)}"
    delete_configuration(connection, *old, by=by, comment=gone, now_ns=now_ns, with_tags=False)


def _without(systems: Mapping[str, str], one: str) -> dict[str, str]:
    return {system: tag for system, tag in systems.items() if system != one}


def _system(connection: Connection, old: str, new: str, by: str, now_ns: int) -> None:
    schema = present_schema(connection, old)
    if schema and schema.schema is not None:
        save_schema(connection, new, schema.schema, by=by, comment=f"was {old}", now_ns=now_ns)
        save_schema(connection, old, None, by=by, comment=f"renamed to {new}", now_ns=now_ns)
    for one in current_configurations(connection, configuration.c.system == old):
        _configuration(connection, (old, one.tag), (new, one.tag), by, now_ns)
    member = cast(run.c.members, Text).contains(f'"{old}"', autoescape=True)
    _note_in_runs(connection, member, f"the system {old} is named {new} now", by, now_ns, system=new)
    excluded = partition_excluded
    connection.execute(update(excluded).where(excluded.c.system == old).values(system=new))
    renamed = connection.execute(update(detector).where(detector.c.name == old).values(name=new))
    if renamed.rowcount:
        detail = {"from": old}
        layout.record(connection, "rename_detector", by=by, now_ns=now_ns, system=new, detail=detail)


def _note_in_runs(
    connection: Connection, wanted: ColumnElement[bool], text: str, by: str, now_ns: int, *, system: str = ""
) -> None:
    """Add this note to the runs that are wanted, in one statement: there may be very many."""
    note = {"time_ns": literal(now_ns, BigInteger), **_texts(kind="rename", text=text, author=by, system=system)}
    runs = select(run.c.number, *note.values()).where(wanted)
    connection.execute(insert(run_note).from_select(["run", *note], runs))


def _texts(**values: str) -> dict[str, BindParameter[str]]:
    return {name: literal(value, Text) for name, value in values.items()}


def _partition(connection: Connection, old: str, new: str, by: str, now_ns: int) -> None:
    _note_in_runs(connection, run.c.partition == old, f"the partition {old} is named {new} now", by, now_ns)
    row = connection.execute(select(partition).where(partition.c.name == old)).mappings().one()
    connection.execute(insert(partition).values(**{**row, "name": new}))
    for table in (partition_wanted, partition_excluded, detector):
        connection.execute(update(table).where(table.c.partition == old).values(partition=new))
    going = (run_sequence.c.partition == old) & (run_sequence.c.end == "")
    connection.execute(update(run_sequence).where(going).values(partition=new))
    connection.execute(delete(partition).where(partition.c.name == old))
    layout.record(connection, "rename_partition", by=by, now_ns=now_ns, partition=new, detail={"from": old})

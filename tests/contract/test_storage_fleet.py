"""On every database revisions of the fleet only grow, and one keeper at a time changes what is remembered."""

from __future__ import annotations

import pytest

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.fleet.record import Change, FleetRecord, Phase, SetAside
from countingroom.core.fleet.specs import ResourceLimits, Revision, ServiceSpec, Volume, WantedNode, WantedService
from countingroom.storage.database import Database

WANTED = Revision(
    number=0,
    nodes=(WantedNode(name="gfa1", address="sdss-gfa1", labels={"site": "APO"}),),
    services=(
        WantedService(
            name="camera",
            spec=ServiceSpec(
                image="hub:5000/camera:2",
                environment={"ä": "1"},
                volumes=(Volume(source="/data", target="/data"),),
                limits=ResourceLimits(cpus=3.5, memory_bytes=6 << 30),
            ),
            nodes=("gfa1",),
            depends_on=("bus",),
        ),
    ),
    by="anna",
    comment="camera 2",
)
RECORD = FleetRecord(
    revision=2,
    changes={"camera": Change(target=2, fallback=1, phase=Phase.ROLLING_BACK, cause=Cause(code="x", message="y"))},
    cordons={"gfa1": SetAside(reason="fan", by="ben", since_ns=1, until_ns=2)},
)


async def test_revisions_are_numbered_and_come_back_as_they_were(database: Database) -> None:
    first = await database.fleet.add(WANTED)
    second = await database.fleet.add(WANTED)
    assert (first.number, second.number) == (1, 2)
    assert await database.fleet.revision(2) == second
    assert [(one.number, one.by, one.comment) for one in await database.fleet.revisions()] == [
        (2, "anna", "camera 2"),
        (1, "anna", "camera 2"),
    ]
    with pytest.raises(NotFound, match="no revision 3"):
        await database.fleet.revision(3)


async def test_what_is_remembered_is_saved_over_the_version_that_was_read_and_no_other(database: Database) -> None:
    assert await database.fleet.record() == (0, FleetRecord())
    assert await database.fleet.save(RECORD, 0) == 1
    assert await database.fleet.record() == (1, RECORD)
    assert await database.fleet.save(FleetRecord(), 1) == 2
    for outdated in (0, 1):
        with pytest.raises(Conflict, match="another process"):
            await database.fleet.save(RECORD, outdated)
    assert await database.fleet.record() == (2, FleetRecord())

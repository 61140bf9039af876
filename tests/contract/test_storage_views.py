"""On every database a saved view belongs to the user who created it, and no change of another one is overwritten."""

from __future__ import annotations

import pytest

from countingroom.core.errors import Conflict, Denied, NotFound, OutOfRange
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

QUERY = "point=caen.0.hv_vMon&point2=co2.TT05_CO2&log2=1&span=3600"


async def test_a_view_is_read_back_by_everyone_and_sorted_by_name(stand: Stand) -> None:
    database = await stand.open()
    await database.trend_views.save("cooling, last night", f"?{QUERY}", "anna")
    await stand.clock.advance(5)
    saved = await database.trend_views.save(" Änderung ", "point=a.b&span=60", "bert")
    assert (saved.name, saved.owner, saved.revision, saved.changed_ns) == (
        "Änderung",
        "bert",
        1,
        stand.clock.now_ns(),
    )
    assert (await database.trend_views.get("cooling, last night")).query == QUERY
    assert [one.name for one in await database.trend_views.list()] == ["cooling, last night", "Änderung"]


async def test_its_owner_overwrites_it_by_the_revision_that_was_seen(stand: Stand) -> None:
    database = await stand.open()
    made = await database.trend_views.save("HV", QUERY, "anna")
    with pytest.raises(Conflict, match="exists"):
        await database.trend_views.save("HV", "point=a.b", "anna")
    await stand.clock.advance(5)
    changed = await database.trend_views.save("HV", "point=a.b", "anna", expected=made.revision)
    assert (changed.revision, changed.query, changed.created_ns) == (2, "point=a.b", made.created_ns)
    with pytest.raises(Conflict, match="revision 2"):
        await database.trend_views.save("HV", QUERY, "anna", expected=made.revision)
    assert await database.trend_views.get("HV") == changed


async def test_another_user_neither_overwrites_nor_deletes_it_but_an_administrator_does(database: Database) -> None:
    await database.trend_views.save("HV", QUERY, "anna")
    with pytest.raises(Denied, match="anna"):
        await database.trend_views.save("HV", "point=a.b", "bert", expected=1)
    with pytest.raises(Denied):
        await database.trend_views.delete("HV", "bert")
    changed = await database.trend_views.save("HV", "point=a.b", "root", expected=1, administers=True)
    assert (changed.owner, changed.changed_by) == ("anna", "root")
    assert await database.trend_views.delete("HV", "root", administers=True) == changed
    assert await database.trend_views.list() == ()
    with pytest.raises(NotFound):
        await database.trend_views.delete("HV", "anna")
    with pytest.raises(NotFound, match="deleted"):
        await database.trend_views.save("HV", QUERY, "anna", expected=2)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\\b", "a\nb", "x" * 61, "a\u202eb"])
async def test_a_name_that_cannot_be_linked_to_is_refused(database: Database, name: str) -> None:
    with pytest.raises(OutOfRange):
        await database.trend_views.save(name, QUERY, "anna")


@pytest.mark.parametrize(
    "query", ["", "javascript:alert(1)", "point=a.b&next=//evil", "point5=a.b", "point=" + "a" * 4000]
)
async def test_what_is_no_query_of_trends_is_refused(database: Database, query: str) -> None:
    with pytest.raises(OutOfRange):
        await database.trend_views.save("HV", query, "anna")


async def test_there_is_a_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.storage.trend_views.MOST", 2)
    for name in ("a", "b"):
        await database.trend_views.save(name, QUERY, "anna")
    with pytest.raises(Conflict, match="2 views"):
        await database.trend_views.save("c", QUERY, "anna")
    await database.trend_views.save("a", "point=a.b", "anna", expected=1)

"""Notes of the experiment on the public site: what counts now, the history, and each place that tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from countingroom.core.times import format_time
from countingroom.mirror.store.values import FreshDay, RecordRow
from countingroom.site.drawing import DrawnShape
from countingroom.site.notes_view import AHEAD_S, NoteView, notes, present_notes
from countingroom.site.uptime import noted_days, strip, uptimes
from countingroom.site.zones import grouped
from tests.unit.test_public_site import stand

NOW_S = 1_796_000_000.0


def row(number: int, **body: Any) -> RecordRow:
    given = {"note": number, "sort": "incident", "state": "open", "title": f"Note {number}", "from": NOW_S - 600}
    return RecordRow(kind="note", key=str(number), sequence=number, at=0, body={**given, **body})


def view(**body: Any) -> NoteView:
    (found,) = notes([row(1, **body)], NOW_S)
    return found


@pytest.mark.parametrize(
    ("body", "phase"),
    [
        ({}, "open"),
        ({"state": "ended", "ended": NOW_S - 60}, "ended"),
        ({"sort": "maintenance"}, "under way"),
        ({"sort": "maintenance", "to": NOW_S + 60}, "under way"),
        ({"sort": "maintenance", "to": NOW_S - 60}, "overdue"),
        ({"sort": "maintenance", "from": NOW_S + 60}, "planned"),
        ({"sort": "note", "from": NOW_S + 60}, "planned"),
        ({"sort": "note"}, "open"),
    ],
)
def test_a_note_has_a_phase(body: dict[str, Any], phase: str) -> None:
    assert view(**body).phase == phase


def test_what_is_open_or_planned_soon_is_shown_now_the_most_urgent_first() -> None:
    rows = [
        row(1, sort="note"),
        row(2, sort="maintenance", **{"from": NOW_S + 7200}),
        row(3, sort="maintenance", **{"from": NOW_S + 3600}),
        row(4, sort="maintenance"),
        row(5),
        row(6, state="ended", ended=NOW_S),
        row(7, sort="maintenance", **{"from": NOW_S + AHEAD_S + 60}),
        row(8, **{"from": NOW_S - 60}),
        RecordRow(kind="note", key="9", sequence=9, at=0, body=None),
    ]
    every = notes(rows, NOW_S)
    assert [one.number for one in every] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [one.number for one in present_notes(every, NOW_S)] == [8, 5, 4, 3, 2, 1]


def test_a_policy_that_lets_little_out_leaves_a_note_that_can_be_read() -> None:
    (found,) = notes([RecordRow(kind="note", key="7", sequence=1, at=0, body={"title": "Hello"})], NOW_S)
    assert (found.number, found.sort, found.phase, found.parts, found.updates) == (7, "note", "open", (), ())
    assert found.span(NOW_S) is None
    odd = {"title": "x", "parts": "y", "updates": [1, {"text": "z"}], "from": "never"}
    (found,) = notes([RecordRow(kind="note", key="x", sequence=1, at=0, body=odd)], NOW_S)
    assert (found.number, found.parts, [one.text for one in found.updates]) == (0, (), ["z"])


def test_days_with_an_incident_or_maintenance_are_marked_in_the_uptime() -> None:
    day = 86_400.0
    every = notes(
        [
            row(1, **{"from": NOW_S - 2 * day}, state="ended", ended=NOW_S - day),
            row(2, sort="maintenance"),
            row(3, sort="note"),
            row(4, sort="maintenance", **{"from": NOW_S + 60}),
            row(5, **{"from": NOW_S - 1000 * day}, state="ended", ended=NOW_S - 900 * day),
        ],
        NOW_S,
    )
    found = noted_days(every, NOW_S)
    today = int(NOW_S // day)
    assert [[one.number for one in told] for _, told in sorted(found.items())] == [[1], [1], [2]]
    assert sorted(found) == [format_time((today - back) * 86_400 * 10**9)[:10] for back in (2, 1, 0)]
    (uptime,) = uptimes(_fresh(), NOW_S)
    looks = [one.look for one in strip(uptime, found).parts if isinstance(one, DrawnShape)]
    assert looks == ["f-stuck", "f-stuck", "k1"]


def _fresh() -> Any:
    today = int(NOW_S // 86_400)
    return [FreshDay(kind="feed", day=today, begun=today * 86_400_000_000, until=round(NOW_S * 1e6), fresh=1000)]


async def test_each_place_tells_them(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        page = (await one.get("/")).text
        shown = page[page.index('class="card notes"') : page.index('class="grid g-top"')]
        assert shown.index("The cooling is off") < shown.index("A long work") < shown.index("Gas bottles")
        assert "The magnet was off" not in shown and "affects PHYSICS, gas" in shown
        assert "it takes another hour" in shown and "Maintenance, overdue" in shown and "Maintenance, planned" in shown
        assert 'href="/dqm/notes#note-3"' in shown
        wall = (await one.get("/wall")).text
        assert "The cooling is off" in wall
        history = (await one.get("/notes")).text
        assert history.count('id="note-') == 4 and "The magnet was off" in history
        assert (await one.get("/notes?before=3")).text.count('id="note-') == 2
        data = (await one.get("/api/v1/notes?limit=3")).json
        assert [(note["number"], note["phase"]) for note in data["notes"]] == [
            (4, "overdue"),
            (3, "open"),
            (2, "planned"),
        ]
        assert data["next_before"] == 2 and data["notes"][1]["updates"][0]["text"].startswith("The pump")
        assert [note["number"] for note in (await one.get("/api/v1/uptime")).json["notes"]] == [4, 3, 1]
        assert "The cooling is off</a>" in (await one.get("/uptime")).text
        rss = (await one.get("/rss")).text
        assert "Incident: The cooling is off" in rss and "The magnet was off: ended" in rss
        assert "another hour" in rss and rss.count("<guid") == len(set(rss.split("<guid")[1:]))
        assert "1 open" in (await one.get("/badge/incidents.svg")).text
        assert {body["key"] for body in (await one.get("/api/v1/now")).json["note"]}
        await one.site.export(tmp_path / "copy", 1)
        assert "The cooling is off" in (tmp_path / "copy" / "notes" / "index.html").read_text()
        assert (tmp_path / "copy" / "api" / "v1" / "notes" / "index.json").exists()


async def test_how_much_was_withheld_is_told_by_kind(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        told = (await one.get("/api/v1/sources")).json
        assert [row for row in told["withheld"] if row["name"] in ("alarms", "events")] == [
            {"name": "alarms", "records": 7, "lines": 0, "lines_withheld": 0},
            {"name": "events", "records": 1203, "lines": 36, "lines_withheld": 12},
        ]
        assert (told["records_withheld"], told["lines_withheld"]) == (1210, 12)
        page = (await one.get("/computers")).text
        assert f"{grouped(1210)} records, 12 of {grouped(told['lines'])} log lines" in page
        assert "12 of them" in (await one.get("/about")).text

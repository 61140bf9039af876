"""Points become records with units, limits and words; readings become values with severity, status and time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.pvs.description import PvsSection
from countingroom.pvs.table import INVALID, MAJOR, MINOR, SILENT_S, PvRow, PvTable, environment, pv_record

TEMPLATE = "{experiment}:{device}:{point}"
POINTS = (
    Point(name="0.vMon", channel="0", unit="V", precision=1, limits=Limits(warning_high=50.0, alarm_high=60.0)),
    Point(name="mode", type=Type.INT, codes={"0": "off", "1": "on"}),
    Point(name="status", type=Type.INT, codes={"100": "IDLE"}),
    Point(name="ok", type=Type.BOOL),
    Point(name="note", type=Type.STRING, label="Note"),
    Point(name="start", type=Type.BOOL, writable=True, command_only=True),
)


def table(*patterns: str, points: tuple[Point, ...] = POINTS) -> PvTable:
    made = PvTable("lab", TEMPLATE, patterns or ("*",))
    catalogue = Catalogue(device="psu", title="", driver="fake", group="", points=points)
    assert made.catalogue("psu", catalogue) and not made.catalogue("psu", catalogue)
    return made


def readings(
    points: dict[str, Scalar], quality: Quality = Quality.GOOD, alarms: dict[str, int] | None = None
) -> Readings:
    names = list(points)
    count = len(names)
    return Readings(
        device="psu",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=1,
        points=names,
        values=list(points.values()),
        qualities=[int(quality)] * count,
        device_ns=[2_500_000_000] * count,
        received_ns=[1] * count,
        alarms=alarms or {},
    )


def test_a_point_is_a_record_with_unit_limits_and_words() -> None:
    records = {record.name: record for record in table().records()}
    assert records.keys() == {"lab:psu:0:vMon", "lab:psu:mode", "lab:psu:status", "lab:psu:ok", "lab:psu:note"}
    volts = records["lab:psu:0:vMon"].fields
    assert (volts["EGU"], volts["PREC"], volts["HIGH"], volts["HIHI"]) == ("V", 1, 50.0, 60.0)
    assert (volts["HSV"], volts["HHSV"]) == ("MINOR", "MAJOR") and "LOW" not in volts
    kinds = {name.rpartition(":")[2]: (record.kind, record.words) for name, record in records.items()}
    assert kinds["mode"] == ("words", ("off", "on"))
    assert kinds["status"] == ("int", ()), "words of EPICS count from 0"
    assert kinds["note"][0] == "text" and records["lab:psu:note"].fields["DESC"] == "Note"
    low = pv_record("x", Point(name="x", type=Type.INT, write_low=-5.0, write_high=5.0, unit="g" * 40)).fields
    assert (low["LOPR"], low["HOPR"], len(str(low["EGU"]))) == (-5, 5, 15)
    assert {record.name for record in table("psu.0.*").records()} == {"lab:psu:0:vMon"}


def test_two_points_of_one_name_and_too_long_names_are_left_out_and_told() -> None:
    same = (Point(name="a.b", channel="a"), Point(name="a:b"), Point(name="x" * 60))
    made = table(points=same)
    assert [record.name for record in made.records()] == ["lab:psu:a:b"]
    assert made.left_out == ("psu.a:b", f"psu.{'x' * 60}")
    made.readings(readings({"a.b": 1.5, "a:b": 7.5}))
    assert [row.value for row in made.take_waiting()] == [1.5] == [row.value for row in made.all(1)]


@pytest.mark.parametrize(
    ("quality", "alarm", "severity"),
    [
        (Quality.GOOD, 0, 0),
        (Quality.GOOD, 3, MINOR),
        (Quality.UNCERTAIN, 2, MAJOR),
        (Quality.UNCERTAIN, 0, MINOR),
        (Quality.BAD, 0, INVALID),
        (Quality.STALE, 3, INVALID),
    ],
)
def test_quality_and_alarm_are_the_severity(quality: Quality, alarm: int, severity: int) -> None:
    made = table()
    assert made.readings(readings({"0.vMon": 12.5}, quality, {"0.vMon": alarm} if alarm else {}))
    (row,) = made.take_waiting()
    assert (row.name, row.value, row.severity, row.time_s) == ("lab:psu:0:vMon", 12.5, severity, 2.5)
    assert made.take_waiting() == []


def test_what_a_record_cannot_take_is_no_value() -> None:
    made = table()
    odd: dict[str, Scalar] = {"0.vMon": "text", "mode": 7, "ok": 3, "note": "é" * 200, "start": True, "other": 1}
    made.readings(readings(odd))
    waiting = made.take_waiting()
    rows = {row.name.rpartition(":")[2]: row.value for row in waiting}
    assert rows == {"vMon": None, "mode": None, "ok": None, "note": "é" * 127}
    without = {row.severity for row in waiting if row.value is None}
    assert without == {INVALID}, "the value of before stays in the record and must not look like the present one"


def test_texts_of_a_record_have_at_most_so_many_bytes() -> None:
    point = Point(name="x", type=Type.INT, label="ä" * 40, codes={"0": "ö" * 20, "1": "b"})
    record = pv_record("x", point)
    assert (record.fields["DESC"], record.words) == ("ä" * 20, ("ö" * 12, "b"))


def test_values_of_a_former_record_are_not_given_to_the_new_one() -> None:
    made = table()
    made.readings(readings({"mode": 1, "ok": True}))
    text = tuple(Point(name="mode", type=Type.STRING) if point.name == "mode" else point for point in POINTS)
    assert made.catalogue("psu", Catalogue(device="psu", title="", driver="fake", group="", points=text))
    assert {row.name: row.value for row in made.take_waiting()} == {"lab:psu:ok": True, "lab:psu:mode": None}
    assert {row.name: row.severity for row in made.all(1)} == {"lab:psu:ok": 0, "lab:psu:mode": INVALID}
    assert made.catalogue("psu", None)
    assert not made.readings(readings({"ok": True})) and made.all(1) == []
    assert made.catalogue("psu", Catalogue(device="psu", title="", driver="fake", group="", points=text))
    assert [row.value for row in made.all(1)] == [True], "what came before the catalogue is not sent again"


def test_values_of_a_silent_host_are_invalid_until_it_beats_again() -> None:
    made = table()
    made.beat(["psu"], 0.0)
    made.readings(readings({"mode": 1}))
    made.take_waiting()
    assert not made.age(SILENT_S, 9, is_bus_there=True)
    assert made.age(SILENT_S + 0.1, 9_000_000_000, is_bus_there=True)
    assert made.take_waiting() == [PvRow("lab:psu:mode", None, INVALID, 9, 9.0)]
    assert not made.readings(readings({"mode": 0})), "late readings are not believed before the host beats"
    assert made.beat(["psu"], 7.0)
    assert [(row.value, row.severity) for row in made.take_waiting()] == [(0, 0)]
    assert made.leave(["psu"], 1) and made.take_waiting()[0].severity == INVALID
    made.beat(["psu"], 8.0)
    assert made.age(8.0, 1, is_bus_there=False)
    assert [row.severity for row in made.all(1)] == [0, INVALID]
    assert made.catalogue("psu", None) and made.records() == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("{device}", "without {point}"),
        ("{device}:{point}:{unit}", "{unit} is not known"),
        ("{device} {point}", "letters"),
    ],
)
def test_a_template_that_cannot_work_is_told(names: str, told: str) -> None:
    problems = list(PvsSection(points=["*"], names=names).problems())
    assert any(told in message for _, message in problems)


def test_the_section_is_in_use_with_points_alone() -> None:
    assert not PvsSection().in_use and PvsSection(points=["*"]).in_use
    assert list(PvsSection(port=7000, pva_port=7000).problems())
    assert list(PvsSection(port=7000, pva_search_port=7000).problems())
    assert not list(PvsSection(interface="0.0.0.0").problems())
    for unread in ("", "localhst", "::1", "10.0.0.1 0.0.0.0"):  # the servers would take every address in its place
        ((path, message),) = PvsSection(interface=unread).problems()
        assert path == ("interface",) and "no IPv4 address" in message
    bad: dict[str, Any] = {"port": 0}
    with pytest.raises(ValidationError):
        PvsSection.model_validate(bad)
    ports = {"ca": 1, "pva": 2, "pva_search": 3}
    assert environment("10.0.0.1", ports)["EPICS_CAS_INTF_ADDR_LIST"] == "10.0.0.1"
    assert "EPICS_CAS_INTF_ADDR_LIST" not in environment("0.0.0.0", ports)

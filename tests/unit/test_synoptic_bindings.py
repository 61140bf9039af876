"""Elements are bound by their ids or by the description; what does not exist is told with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from countingroom.cli.check_devices import build_devices
from countingroom.cli.check_synoptics import synoptic_problems
from countingroom.console.present import synoptic_views
from countingroom.core.points import Point, Type
from countingroom.core.synoptics.bindings import Binding, Fill, Target, TargetKind, bind
from countingroom.core.synoptics.known_names import KnownDevice, KnownNames, wrong_bindings
from countingroom.experiment import Invalid, load_located, load_with_problems
from countingroom.synoptics.description import BindingSection
from tests.unit.test_synoptic_drawing import read

KNOWN = KnownNames(
    devices={
        "chiller": KnownDevice(
            title="Chiller",
            points={"bath": Point(name="bath", unit="degC"), "status": Point(name="status", type=Type.STRING)},
            channels=("0",),
        )
    },
    areas=frozenset({"cooling"}),
    partitions=frozenset({"mCBM"}),
    systems=frozenset({"STS"}),
    synoptics=frozenset({"hall"}),
)


def bound(inside: str, **described: Binding) -> tuple[dict[str, Binding], list[str]]:
    drawing = read(inside)
    found, wrong = bind(drawing, described, KNOWN.devices)
    told = [f"{one.line} {one.element}: {one.message}" for one in (*wrong, *wrong_bindings(drawing, found, KNOWN))]
    return {one.element: one for one in found}, told


def test_ids_name_points_and_states_and_the_same_one_several_times() -> None:
    found, wrong = bound(
        '<text id="chiller.bath">0</text><rect id="chiller.bath--2"/><g id="device:chiller"/><g id="area:cooling"/>\n'
        '<rect id="partition:mCBM"/><rect id="system:STS"/><rect id="synoptic:hall"/><rect id="channel:chiller.0"/>'
        '<rect id="rect12"/><rect id="page:/logout"/><path id="version.2"/>'
    )
    assert wrong == []
    assert {element: str(one.target) for element, one in found.items()} == {
        "chiller.bath": "point chiller.bath",
        "chiller.bath--2": "point chiller.bath",
        "device:chiller": "device chiller",
        "area:cooling": "area cooling",
        "partition:mCBM": "partition mCBM",
        "system:STS": "system STS",
        "synoptic:hall": "synoptic hall",
        "channel:chiller.0": "channel chiller.0",
    }
    assert (found["chiller.bath"].text, found["chiller.bath--2"].text) == ("{value} {unit}", "")


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ('<rect id="chiller.bat"/>', "2 chiller.bat: chiller has no point bat; did you mean bath?"),
        ('\n<rect id="device:chille"/>', "3 device:chille: there is no device chille; did you mean chiller?"),
        ('<rect id="channel:chiller.7"/>', "2 channel:chiller.7: chiller has no channel 7; known here: 0"),
        (
            '<text id="chilller.bath">21.5</text>',
            "2 chilller.bath: there is no device chilller; did you mean chiller?",
        ),
        ('<rect id="area:power"/>', "2 area:power: there is no area power; known here: cooling"),
        (
            '<defs><rect id="chiller.bath"/></defs>',
            "2 chiller.bath: it is part of a definition (<defs>, <symbol>, a pattern …), which is not drawn by itself",
        ),
    ],
)
def test_what_does_not_exist_is_told_with_its_line(inside: str, told: str) -> None:
    assert bound(inside)[1] == [told]


def test_the_description_says_more_than_an_id_and_its_mistakes_are_told() -> None:
    point = Target(TargetKind.POINT, "chiller.bath")
    found, wrong = bound(
        '<rect id="tank"/><rect id="chiller.bath"/><rect id="word"/>',
        tank=Binding(element="tank", target=point, level=Fill(low=0, high=1), described=True),
        tonk=Binding(element="tonk", target=point, described=True),
        word=Binding(element="word", target=Target(TargetKind.POINT, "chiller.status"), precision=1, described=True),
        **{"chiller.bath": Binding(element="chiller.bath", target=point, text="{value}", described=True)},
    )
    assert found["tank"].level
    assert sorted(wrong) == [
        "0 tonk: the drawing has no element with the id tonk; did you mean tank?",
        "2 chiller.bath: text is written into <text>; this is <rect>",
        "2 word: chiller.status is string, not a number",
    ]


def test_each_target_leads_to_its_page() -> None:
    assert [
        synoptic_views.address(Target(TargetKind(kind), name), {"mCBM": ["STS"]})
        for kind, name in (
            ("point", "caen.0.hv_vMon"),
            ("device", "caen"),
            ("channel", "caen.0"),
            ("area", "cooling/chiller"),
            ("partition", "mCBM"),
            ("system", "STS"),
            ("system", "MUCH"),
            ("synoptic", "hall"),
            ("page", "/trends?view=x"),
        )
    ] == [
        "/devices/caen#0.hv_vMon",
        "/devices/caen",
        "/devices/caen#0",
        "/alarms?area=cooling/chiller",
        "/partitions/mCBM",
        "/partitions/mCBM",
        "/detectors",
        "/synoptics/hall",
        "/trends?view=x",
    ]


def described(tmp_path: Path, synoptics: dict[str, Any]) -> Path:
    (tmp_path / "hall.svg").write_bytes(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">\n<rect id="a"/></svg>'
    )
    file = tmp_path / "experiment.yaml"
    chiller = {"driver": "julabo", "port": "/dev/null"}
    file.write_text(
        yaml.safe_dump({"experiment": {"name": "x"}, "devices": {"chiller": chiller}, "synoptics": synoptics})
    )
    return file


@pytest.mark.parametrize(
    ("binding", "told"),
    [
        ({}, "name one of point, device"),
        ({"point": "chiller.x", "device": "chiller"}, "got point and device"),
        ({"device": "heater"}, "there is no device heater"),
        ({"device": "chiller", "level": {"high": 1}}, "a device has no number; level needs a point"),
        ({"point": "chiller.x", "level": {"low": 2, "high": 1}}, "high must be above low"),
        ({"point": "chiller.x", "text": "{value} {watts}"}, "a text holds {value}, {unit} and {name}"),
        ({"page": "https://evil/"}, "a page is a path of this console"),
        ({"page": "//evil/"}, "a page is a path of this console"),
        ({"synoptic": "attic"}, "there is no synoptic attic"),
        ({"point": "chiller.x", "visible": {}}, "say when it is seen"),
    ],
)
def test_a_wrong_binding_of_the_description_is_refused(tmp_path: Path, binding: dict[str, Any], told: str) -> None:
    file = described(tmp_path, {"hall": {"file": "hall.svg", "bind": {"a": binding}}})
    with pytest.raises(Invalid) as error:
        load_located(file)
    assert told in str(error.value)
    assert "synoptics.hall.bind.a" in str(error.value)


def test_check_reads_the_drawings_and_tells_where_a_binding_is_wrong(tmp_path: Path) -> None:
    hall: dict[str, Any] = {"file": "hall.svg", "overview": True, "bind": {"a": {"point": "chiller.internal_tmp"}}}
    file = described(tmp_path, {"hall": hall, "gone": {"file": "gone.svg"}, "b": {"file": "bad.svg"}})
    (tmp_path / "bad.svg").write_text("<svg>\n<")
    loaded = load_with_problems(file)
    hosted, _ = build_devices(loaded)
    told = [str(one) for one in synoptic_problems(loaded, hosted)]
    assert any(
        "synoptics.hall.bind.a: chiller has no point internal_tmp; did you mean internal_temp?" in one for one in told
    )
    assert any("synoptics.gone.file" in one and "No such file" in one for one in told)
    assert any("synoptics.b.file" in one and "bad.svg:" in one for one in told)
    assert len(told) == 3


def test_a_text_may_be_switched_off_and_on() -> None:
    texts = [BindingSection(point="a.b", text=text).binding("e").text for text in (None, False, True, "T {value}")]
    assert texts == [None, "", "{value} {unit}", "T {value}"]

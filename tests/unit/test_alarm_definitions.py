"""Each alarm is defined by its area, the areas above it and what names it; the nearest counts."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.core.alarms.definition import AlarmDefinition, Count, Guidance
from countingroom.core.messages import Catalogue
from countingroom.core.points import Limits, Point

BATH = Point(name="internal_temp", label="Bath", limits=Limits(warning_high=30, alarm_high=35))
FLAG = Point(name="low_level", label="Low level", severity=1)
PLAIN = Point(name="setpoint", label="Setpoint")
CHILLER = Catalogue(device="chiller", title="Julabo chiller", driver="julabo", group="", points=(BATH, FLAG, PLAIN))
CAEN = Catalogue(
    device="caen",
    title="CAEN mainframe",
    driver="caen",
    group="",
    channels=("0", "spare"),
    points=tuple(
        Point(name=f"{channel}.{name}", channel=channel, column=name, label=label, limits=Limits(alarm_high=1))
        for channel in ("0", "spare")
        for name, label in (("hv_iMon", "HV I"), ("lv_temp", ""))
    ),
)


def defined(section: dict[str, Any], *, own_areas: dict[str, str] | None = None) -> dict[str, AlarmDefinition]:
    made = Definitions(AlarmsSection.model_validate(section), own_areas)
    found = [
        *made.of_device(CHILLER),
        *made.of_device(CAEN),
        *made.of_partition("mCBM", ["STS", "QA"], "Beam test"),
        *made.of_role("history"),
        *made.of_customs(),
    ]
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def areas(section: dict[str, Any], **more: Any) -> dict[str, str]:
    return {of: one.area for of, one in defined(section, **more).items() if one.area}


def test_without_a_section_every_limit_state_and_link_is_an_alarm_of_the_usual_priority() -> None:
    found = defined({})
    assert {of: one.title for of, one in found.items()} == {
        "device.chiller.state": "Julabo chiller",
        "device.chiller.link": "Julabo chiller / link",
        "point.chiller.internal_temp": "Julabo chiller / Bath",
        "point.chiller.low_level": "Julabo chiller / Low level",
        "device.caen.state": "CAEN mainframe",
        "device.caen.link": "CAEN mainframe / link",
        "channel.caen.0": "CAEN mainframe ch 0",
        "channel.caen.spare": "CAEN mainframe spare",
        "point.caen.0.hv_iMon": "CAEN mainframe ch 0 / HV I",
        "point.caen.0.lv_temp": "CAEN mainframe ch 0 / lv_temp",
        "point.caen.spare.hv_iMon": "CAEN mainframe spare / HV I",
        "point.caen.spare.lv_temp": "CAEN mainframe spare / lv_temp",
        "partition.mCBM.owner": "Beam test / owner",
        "partition.mCBM.goal": "Beam test",
        "member.mCBM.STS": "Beam test / STS",
        "member.mCBM.QA": "Beam test / QA",
        "role.history": "process history",
    }
    assert {one.priorities for one in found.values()} == {(1, 2, 3, 4)}
    assert {one.area for one in found.values()} == {""}
    assert not any(one.guidance.is_given or one.latching or one.count for one in found.values())
    point = found["point.caen.0.hv_iMon"]
    assert (point.device, point.channel, point.point) == ("caen", "0", "0.hv_iMon")
    member = found["member.mCBM.STS"]
    assert (member.partition, member.system) == ("mCBM", "STS")


def test_the_guidance_of_an_area_is_completed_by_the_areas_above_it() -> None:
    section = {
        "contact": "control room, 4711",
        "links": {"Rules": "https://example.org/rules"},
        "guidance": {"if_not": "The run is lost."},
        "areas": {
            "cooling": {
                "guidance": {"meaning": "Cooling is lost.", "do": "call", "time_to_act": "10 min"},
                "areas": {
                    "chiller": {
                        "devices": "chiller",
                        "guidance": {"do": ["fill the bath", "start it"], "time_to_act": "5 min"},
                        "contact": "cooling on call",
                        "links": {"How to fill": "/docs/fill"},
                    }
                },
            }
        },
    }
    one = defined(section)["point.chiller.internal_temp"]
    assert one.area == "cooling/chiller"
    assert one.guidance == Guidance(
        meaning="Cooling is lost.", do=("fill the bath", "start it"), time_to_act_s=300, if_not="The run is lost."
    )
    assert one.contact == "cooling on call"
    assert one.links == {"Rules": "https://example.org/rules", "How to fill": "/docs/fill"}
    other = defined(section)["device.caen.link"]
    assert (other.area, other.guidance, other.contact) == (
        "",
        Guidance(if_not="The run is lost."),
        "control room, 4711",
    )


def test_priorities_are_changed_by_kind_by_number_and_by_a_shift() -> None:
    section = {
        "areas": {
            "cooling": {
                "devices": "chiller",
                "priority": {"alarm": 1, "fault": 2},
                "shift": 1,
            },
            "power": {"devices": "caen", "priority": 4, "areas": {"hv": {"points": "caen.*.hv_*", "shift": -1}}},
            "runs": {"partitions": "mCBM", "shift": -3},
        }
    }
    found = {of: one.priorities for of, one in defined(section).items()}
    assert found["point.chiller.internal_temp"] == (2, 1, 4, 4)
    assert found["point.chiller.low_level"] == (2, 2, 2, 2)
    assert found["device.chiller.link"] == (2, 3, 4, 4)
    assert found["channel.caen.0"] == found["point.caen.0.hv_iMon"] == (4, 4, 4, 4)
    assert found["member.mCBM.STS"] == (1, 1, 1, 1)
    one = defined(section)["point.chiller.internal_temp"]
    assert [one.priority(level) for level in (1, 2, 3, 4)] == [2, 1, 4, 4]


def test_a_point_comes_before_its_channel_its_device_and_a_name_before_a_pattern() -> None:
    section = {
        "areas": {
            "all": {"devices": "*", "points": "caen.*.lv_temp"},
            "power": {"devices": "caen", "areas": {"spares": {"channels": "caen.sp*"}}},
            "hv": {"points": ["caen.0.hv_iMon"]},
            "runs": {"partitions": "m*", "roles": "history", "areas": {"qa": {"systems": ["QA"]}}},
        }
    }
    assert areas(section) == {
        "device.chiller.state": "all",
        "device.chiller.link": "all",
        "point.chiller.internal_temp": "all",
        "point.chiller.low_level": "all",
        "device.caen.state": "power",
        "device.caen.link": "power",
        "channel.caen.0": "power",
        "channel.caen.spare": "power/spares",
        "point.caen.0.hv_iMon": "hv",
        "point.caen.0.lv_temp": "all",
        "point.caen.spare.hv_iMon": "power/spares",
        "point.caen.spare.lv_temp": "all",
        "partition.mCBM.owner": "runs",
        "partition.mCBM.goal": "runs",
        "member.mCBM.STS": "runs",
        "member.mCBM.QA": "runs/qa",
        "role.history": "runs",
    }


def test_of_two_patterns_the_one_of_the_deeper_area_counts() -> None:
    section = {"areas": {"a": {"devices": "*", "areas": {"b": {"devices": "chil*"}}}}}
    found = areas(section)
    assert (found["device.chiller.link"], found["device.caen.link"]) == ("a/b", "a")


def test_a_thing_that_names_its_area_is_in_it() -> None:
    section: dict[str, Any] = {"areas": {"a": {"devices": "*", "systems": "*"}, "b": {}}}
    own = {"device.chiller": "b", "system.STS": "b", "partition.mCBM": "b"}
    found = areas(section, own_areas=own)
    assert found["point.chiller.internal_temp"] == found["member.mCBM.STS"] == found["partition.mCBM.goal"] == "b"
    assert found["device.caen.link"] == found["member.mCBM.QA"] == "a"


def test_an_override_changes_the_alarms_that_it_names_and_the_last_one_counts() -> None:
    section = {
        "areas": {"spare": {"guidance": {"meaning": "Nothing is connected there."}}},
        "overrides": {
            "point.caen.0.hv_iMon": {"on_delay": "3 s", "priority": 1, "title": "HV current"},
            "point.caen.*": {"latching": True, "on_delay": "1 s", "hysteresis": 0.5, "count": {"n": 2, "of": 3}},
            "*.caen.spare*": {"area": "spare"},
            "device.chiller.*": {"off": True},
            "device.chiller.state": {"off": False},
        },
    }
    found = defined(section)
    one = found["point.caen.0.hv_iMon"]
    assert (one.latching, one.on_delay_s, one.off_delay_s, one.hysteresis) == (True, 3, 0, 0.5)
    assert (one.count, one.title, one.priorities) == (Count(n=2, of=3), "HV current", (1, 1, 1, 1))
    spare = found["point.caen.spare.hv_iMon"]
    assert (spare.area, spare.guidance.meaning, spare.on_delay_s) == ("spare", "Nothing is connected there.", 1)
    assert found["channel.caen.spare"].area == "spare"
    assert not found["channel.caen.0"].latching
    assert "device.chiller.state" in found
    assert "device.chiller.link" not in found


def test_a_point_without_a_usable_value_is_an_alarm_where_an_override_names_it() -> None:
    section = {"overrides": {"value.chiller.*": {"priority": 2}, "value.chiller.setpoint": {"off": True}}}
    values = {of: one.priorities for of, one in defined(section).items() if of.startswith("value.")}
    assert values == dict.fromkeys(("value.chiller.internal_temp", "value.chiller.low_level"), (2, 2, 2, 2))


def test_a_point_without_limits_can_be_defined_for_an_alarm_of_its_device() -> None:
    made = Definitions(AlarmsSection.model_validate({"overrides": {"point.chiller.low_level": {"off": True}}}))
    one = made.of_point(CHILLER, PLAIN)
    assert one
    assert (one.id, one.title) == ("point.chiller.setpoint", "Julabo chiller / Setpoint")
    assert made.of_point(CHILLER, FLAG) is None


def test_an_alarm_of_its_own_is_in_the_area_of_its_point() -> None:
    section = {
        "areas": {"cooling": {"devices": "chiller", "contact": "cooling on call"}, "other": {}},
        "custom": {
            "too_fast": {"rate": {"point": "chiller.internal_temp", "rise": 2}, "priority": 2, "latching": True},
            "dew": {
                "expression": {"text": "t > 1", "names": {"t": "chiller.internal_temp"}},
                "area": "other",
                "title": "Dew point",
            },
            "idle": {"state": {"of": "partition.mCBM", "in": ["Idle"]}},
        },
    }
    found = {of: one for of, one in defined(section).items() if one.custom}
    one = found["custom.too_fast"]
    assert (one.area, one.contact, one.priorities, one.latching) == ("cooling", "cooling on call", (2, 2, 2, 2), True)
    assert (one.custom, one.device, one.point) == ("too_fast", "chiller", "internal_temp")
    assert (found["custom.dew"].area, found["custom.dew"].title) == ("other", "Dew point")
    assert (found["custom.idle"].area, found["custom.idle"].title) == ("", "idle")


def test_an_alarm_knows_by_what_it_is_suppressed() -> None:
    idle = {"state": {"of": "partition.mCBM", "in": ["Idle"]}}
    section = {
        "areas": {"power": {"areas": {"hv": {"points": "caen.*.hv_*"}}}, "power2": {"devices": "chiller"}},
        "suppress": {
            "idle": {"when": idle, "areas": "power", "reason": "HV is off while mCBM is Idle"},
            "work": {"when": idle, "alarms": "point.caen.0.*", "reason": "work"},
        },
    }
    found = {of: one.suppressions for of, one in defined(section).items() if one.suppressions}
    assert found == {
        "point.caen.0.hv_iMon": ("work", "idle"),
        "point.caen.spare.hv_iMon": ("idle",),
        "point.caen.0.lv_temp": ("work",),
    }


def test_an_area_tells_what_its_alarms_inherit() -> None:
    section = {
        "contact": "control room",
        "areas": {"cooling": {"title": "Cooling", "areas": {"chiller": {"guidance": {"do": "fill"}}}}},
    }
    found = Definitions(AlarmsSection.model_validate(section)).areas
    assert {path: (one.title, one.contact, one.guidance.do) for path, one in found.items()} == {
        "": ("", "control room", ()),
        "cooling": ("Cooling", "control room", ()),
        "cooling/chiller": ("chiller", "control room", ("fill",)),
    }


@pytest.mark.parametrize(("given", "longest"), [({}, 3600), ({"longest_shelf": {"1": "10 min"}}, 600)])
def test_the_longest_shelf_of_a_priority_has_a_default(given: dict[str, Any], longest: float) -> None:
    found = Definitions(AlarmsSection.model_validate(given)).longest_shelf_s
    assert found == {1: longest, 2: 8 * 3600, 3: 24 * 3600, 4: 7 * 24 * 3600}


def test_the_alarms_of_the_fleet_bring_their_texts_and_delays_and_the_description_comes_before_them() -> None:
    section = {
        "areas": {"cameras": {"services": ["cam*"], "guidance": {"do": "call anna"}, "contact": "anna"}},
        "overrides": {"service.camera.unhealthy": {"on_delay": "30 s"}, "service.*.drift": {"off": True}},
        "priority": {"fleet": 3},
    }
    made = Definitions(AlarmsSection.model_validate(section))
    found = {one.id: one for one in (*made.of_service("camera"), *made.of_node("n1"), *made.of_keeper())}
    bad, loop = found["service.camera.unhealthy"], found["service.camera.crash_loop"]
    assert (bad.area, bad.on_delay_s, bad.off_delay_s, bad.contact) == ("cameras", 30.0, 10.0, "anna")
    assert (loop.guidance.do, loop.priorities) == (("call anna",), (3, 3, 3, 3)) and loop.guidance.meaning
    assert loop.links == {"Fleet": "/services/camera"} and loop.off_delay_s == 60.0
    assert loop.suppressions == ("fleet.changing/camera", "fleet.disabled/camera")
    assert "service.camera.drift" not in found
    assert all(one.guidance.is_given and one.guidance.if_not for one in found.values())

"""The section `alarms` is refused with the place of each mistake; a description without it is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.alarms.description import AlarmsSection
from countingroom.experiment import Invalid, load

HEAD = "experiment: {name: x}\nalarms:\n"


def mistakes(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "experiment.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        load(file)
    return [str(one).removeprefix(f"{file}:") for one in refused.value.problems]


def test_a_description_without_the_section_has_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("experiment: {name: x}\n", encoding="utf-8")
    section = load(file).section(AlarmsSection)
    assert (section.areas, section.overrides, section.custom, section.suppress) == ({}, {}, {}, {})


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("  priority: 5\n", "3: alarms.priority: "),
        (
            "  priority: {alarm: 2, warning: 1}\n",
            "3: alarms.priority.warning: a warning of priority 1 is more urgent than its alarm of priority 2",
        ),
        ("  areas:\n    a b: {}\n", "4: alarms.areas.a b: "),
        ("  areas:\n    a: {areas: {b: {device: x}}}\n", "4: alarms.areas.a.areas.b.device: unknown key"),
        ("  links: {Rules: 'javascript:x'}\n", "3: alarms.links.Rules: an address begins with https://"),
        ("  links: {Rules: //evil.example}\n", "3: alarms.links.Rules: an address begins with https://"),
        ("  guidance: {time_to_act: 0}\n", "3: alarms.guidance.time_to_act: "),
        (
            "  overrides:\n    points.a.b: {off: true}\n",
            "4: alarms.overrides.points.a.b: the identity of an alarm begins with point, value, device,",
        ),
        (
            "  overrides:\n    point.a.b: {count: {n: 3, of: 2}}\n",
            "4: alarms.overrides.point.a.b.count.n: 3 of the last 2 readings cannot be",
        ),
        (
            "  areas: {cooling: {areas: {chiller: {}}}}\n  overrides:\n    point.a.b: {area: cooling/chillr}\n",
            "5: alarms.overrides.point.a.b.area: there is no area cooling/chillr; did you mean cooling/chiller?",
        ),
        (
            "  custom:\n    a: {area: b, silence: {point: a.b, longer_than: 1}}\n",
            "4: alarms.custom.a.area: there is no",
        ),
        ("  custom:\n    a: {priority: 1}\n", "4: alarms.custom.a: give exactly one condition of limit, rate,"),
        (
            "  custom:\n    a: {quality: {point: a.b}, silence: {point: a.b, longer_than: 1}}\n",
            "4: alarms.custom.a: give exactly one condition of limit, rate, deviation, state, quality, silence, "
            "expression; found quality and silence",
        ),
        (
            "  custom:\n    a: {limit: {point: a.b, warning_high: 3, alarm_high: 2}}\n",
            "4: alarms.custom.a.limit.alarm_high: alarm_high 2 is below warning_high 3",
        ),
        ("  custom:\n    a: {limit: {point: a.b}}\n", "4: alarms.custom.a.limit: give at least one of alarm_low,"),
        ("  custom:\n    a: {limit: {point: bath}}\n", "4: alarms.custom.a.limit.point: "),
        ("  custom:\n    a: {rate: {point: a.b}}\n", "4: alarms.custom.a.rate: give rise, fall or both"),
        (
            "  custom:\n    a: {state: {of: device.a, in: [X], not_in: [Y]}}\n",
            "4: alarms.custom.a.state: give either in or not_in",
        ),
        ("  custom:\n    a: {state: {of: mainframe.a, in: [X]}}\n", "4: alarms.custom.a.state.of: "),
        (
            "  custom:\n    a: {count: {n: 1, of: 2}, silence: {point: a.b, longer_than: 1}}\n",
            "4: alarms.custom.a.count: readings that did not come cannot be counted",
        ),
        (
            "  custom:\n    a:\n      expression: {text: a.b + 2 ** 3 > 1}\n",
            "5: alarms.custom.a.expression.text: column 7: `2 ** 3` is not allowed; allowed: numbers,",
        ),
        (
            "  custom:\n    a: {expression: {text: x > 1, names: {y: a.b}}}\n",
            "4: alarms.custom.a.expression.text: column 1: `x` is no name of this expression; allowed: y",
        ),
        ("  custom:\n    a: {expression: {text: y > 1, names: {y: b}}}\n", "4: alarms.custom.a.expression.names.y: "),
        (
            "  suppress:\n    a: {when: {state: {of: partition.p, in: [Idle]}}, reason: x}\n",
            "4: alarms.suppress.a: give alarms or areas that are suppressed",
        ),
        (
            "  suppress:\n    a: {when: {state: {of: partition.p, in: [Idle]}}, reason: x, areas: [a]}\n",
            "4: alarms.suppress.a.areas[0]: there is no area a",
        ),
        ("  longest_shelf: {5: 1 h}\n", "3: alarms.longest_shelf.5: "),
        (
            "  areas: {a: {devices: [caen]}, b: {devices: [x, caen]}}\n",
            "3: alarms.areas.b.devices[1]: caen is in area a already",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(mistake)

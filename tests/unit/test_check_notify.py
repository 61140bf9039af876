"""`check` tells mistakes in `alarms.notify`, routes without alarms, and urgent alarms without a route."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_check_alarms import problems

CHANNELS = """\
  areas: {plant: {devices: [mill]}}
  notify:
    console: https://control.example.org/
    zone: Europe/Berlin
    channels:
      mail: {mail: {server: localhost, encryption: none, from: cr@example.org, to: a@example.org}}
      phone: {webhook: {address: "https://push.example.org/a"}}
"""
REST = """\
    people: {anna: {channels: [mail, phone]}, ben: {channels: mail}}
    calendars:
      shift:
        rota: [anna, ben]
        begins: 2026-01-05T08:00
        every: week
        overrides: [{from: 2026-03-01T00:00, to: 2026-03-02T12:00, person: ben}]
"""
ALL = "    routes: {all: {to: shift, escalate: [{after: 10 min, to: [anna]}]}}\n"


def test_a_section_without_a_mistake_is_right(tmp_path: Path) -> None:
    route = """\
    routes:
      plant:
        areas: plant
        priorities: [1, 2]
        after: 30 s
        to: [shift, mail]
        escalate: [{after: 5 min, to: [anna]}, {after: 10 min, to: [phone]}]
        group: 1 min
        remind: 30 min
        rate: {most: 20, per: 1 h}
        quiet: {from: "22:00", to: "07:00", priorities: [3, 4], zone: UTC}
      rest: {to: [mail]}
"""
    assert problems(tmp_path, CHANNELS + REST + route) == []


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (CHANNELS + REST.replace("[anna, ben]", "[anna, bob]") + ALL, "there is no person bob; known here: anna, ben"),
        (
            CHANNELS + REST.replace("[mail, phone]", "[mail, fone]") + ALL,
            "there is no channel fone; did you mean phone?",
        ),
        (
            CHANNELS + REST.replace("person: ben", "person: cara") + ALL,
            "there is no person cara; known here: anna, ben",
        ),
        (CHANNELS + REST.replace("[anna, ben]", "[]") + ALL, "no person has the duty; name at least one"),
        (CHANNELS + REST.replace("2026-01-05T08:00", "2026-01-05T08:00Z") + ALL, "give the local time without Z"),
        (CHANNELS + REST.replace("to: 2026-03-02T12:00", "to: 2026-02-02T12:00") + ALL, "which is not after its begin"),
        (CHANNELS + REST + ALL.replace("to: shift", "to: shft"), "there is no channel, person or calendar shft"),
        (CHANNELS + REST + ALL.replace("[anna]", "[anne]"), "there is no channel, person or calendar anne"),
        (
            CHANNELS + REST + ALL.replace("{all: {", "{all: {areas: [plan], "),
            "there is no area plan; did you mean plant?",
        ),
        (
            CHANNELS
            + REST
            + ALL.replace("[{after: 10 min, to: [anna]}]", "[{after: 9 s, to: ben}, {after: 9 s, to: ben}]"),
            "it does not come after the escalation before it",
        ),
        (
            CHANNELS + REST + ALL.replace("{all: {", '{all: {quiet: {from: "22:00", to: "22:00"}, '),
            "the quiet hours end when they begin",
        ),
        (
            CHANNELS + REST + ALL.replace("{all: {", '{all: {quiet: {from: "22:00", to: "07:00", priorities: [1]}, '),
            "alarms of priority 1 cannot wait",
        ),
        (CHANNELS.replace("Europe/Berlin", "Europe/Berlyn") + REST + ALL, "knows no time zone 'Europe/Berlyn'"),
        (CHANNELS.replace("https://control", "control") + REST + ALL, "begins with https:// or http://"),
        (
            CHANNELS + REST.replace("ben: {", "mail: {").replace("ben", "mail") + ALL,
            "mail is the name of a channel, too",
        ),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, section: str, told: str) -> None:
    found = [one for one in problems(tmp_path, section) if not one.startswith("warning: ")]
    assert len(found) >= 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (CHANNELS, ["warning: 3: alarms.notify: there are channels and no routes; no alarm is told"]),
        (
            CHANNELS + REST + ALL.replace("{all: {", "{all: {priorities: [4], "),
            [
                "warning: 16: alarms.notify.routes: 6 alarms of priority 1 are told by no route (",
                "warning: 16: alarms.notify.routes.all: no alarm of the description has its areas and priorities",
            ],
        ),
        (
            CHANNELS + REST.replace("2026-01-05", "2226-01-05") + ALL,
            ["warning: 13: alarms.notify.calendars.shift.begins: no person has the duty before 2226-01-05 08:00"],
        ),
        (
            CHANNELS + REST + ALL.replace("shift", "ben").replace("[anna]", "[ben]"),
            [
                "warning: 8: alarms.notify.channels.phone: no route or person that a route names uses it",
                "warning: 9: alarms.notify.people.anna: no route or calendar names this person",
                "warning: 11: alarms.notify.calendars.shift: no route names it",
            ],
        ),
    ],
)
def test_what_tells_nothing_is_a_warning(tmp_path: Path, section: str, told: list[str]) -> None:
    found = sorted(problems(tmp_path, section))
    assert len(found) == len(told)
    assert all(one.startswith(begin) for one, begin in zip(found, sorted(told), strict=True)), found


def test_a_link_that_several_receivers_of_a_mail_would_share_is_warned_of(tmp_path: Path) -> None:
    several = CHANNELS.replace("to: a@example.org", "to: [a@example.org, b@example.org]")
    people = "    people: {anna: {channels: [mail, phone]}}\n"
    (told,) = problems(tmp_path, several + people + "    routes: {all: {to: anna}}\n")
    assert "2 addresses share the link by which anna acknowledges" in told
    shared = "    people: {anna: {channels: [mail, phone]}, ben: {channels: mail}}\n"
    assert problems(tmp_path, several + shared + "    routes: {all: {to: [anna, ben]}}\n") == []
    nobody = "    people: {anna: {channels: [phone]}}\n"
    assert problems(tmp_path, several + nobody + "    routes: {all: {to: [anna, mail]}}\n") == []
    without = several.replace("    console: https://control.example.org/\n", "")
    assert problems(tmp_path, without + people + "    routes: {all: {to: anna}}\n") == []

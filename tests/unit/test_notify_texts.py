"""The words of messages about alarms."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from countingroom.core.alarms.definition import AlarmDefinition, Guidance
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.notify.messages import NotificationKind
from countingroom.core.notify.planned import Planned
from countingroom.core.notify.texts import Wording, compose
from countingroom.core.notify.tracks import Track

S = 1_000_000_000
BEGIN = 1_795_912_323 * S
ID = "point.chiller.internal_temp"
WORDS = Wording(experiment="bench", console="https://control.example.org", zone=ZoneInfo("Europe/Berlin"))
STATE = AlarmState(
    id=ID,
    area="cooling/chiller",
    title="Julabo chiller / Bath",
    base=BaseState.UNACKNOWLEDGED,
    priority=1,
    text="Bath 37.5 °C is above its alarm limit 35.0 °C",
    occurrence=3,
    since_ns=BEGIN,
    announced_ns=BEGIN + 5 * S,
    changed_ns=BEGIN,
)
DEFINITION = AlarmDefinition(
    id=ID,
    title="Julabo chiller / Bath",
    guidance=Guidance(
        meaning="The bath no longer cools.",
        do=("Fill the bath.", "Start it again."),
        time_to_act_s=600,
        if_not="HV is switched off.",
    ),
    contact="cooling on call, 4711",
    links={"Procedure": "https://wiki.example.org/chiller", "Trend": "/trends?points=chiller.internal_temp"},
)


def track(number: int = 0, **changes: object) -> Track:
    given: dict[str, object] = {
        "route": "cooling",
        "alarm": ID if not number else f"point.caen.{number}",
        "occurrence": 3,
        "announced_ns": BEGIN + 5 * S,
        "priority": 1,
        "area": "cooling/chiller",
        "title": "Julabo chiller / Bath" if not number else f"HV ch {number}",
        "text": "Bath 36 °C is above its alarm limit 35.0 °C" if not number else "trip",
    }
    return Track(**(given | changes))  # type: ignore[arg-type]


def planned(kind: NotificationKind, *tracks: Track, after_s: int = 60) -> Planned:
    return Planned(
        id="11" * 16,
        kind=kind,
        route="cooling",
        channel="mail",
        person="anna",
        tracks=tracks,
        step=0,
        thread="22" * 16,
        created_ns=BEGIN + after_s * S,
    )


def find(id: str) -> AlarmDefinition | None:
    return DEFINITION if id == ID else None


def test_a_first_message_says_what_since_when_and_what_to_do() -> None:
    message = compose(planned(NotificationKind.FIRST, track()), find, {ID: STATE}, WORDS)
    assert message.title == "[bench] Priority 1: Julabo chiller / Bath: Bath 37.5 °C is above its alarm limit 35.0 °C"
    assert message.text.splitlines() == [
        "What:      Julabo chiller / Bath: Bath 37.5 °C is above its alarm limit 35.0 °C",
        "Priority:  1 (high)",
        "Since:     2026-11-29 01:32:03 CET",
        "Area:      cooling/chiller",
        f"Alarm:     {ID}, occurrence 3",
        "",
        "What it means: The bath no longer cools.",
        "",
        "What to do:",
        "  1. Fill the bath.",
        "  2. Start it again.",
        "Time to do it: 10 min, until 2026-11-29 01:42:03 CET",
        "If nothing is done: HV is switched off.",
        "",
        "Call: cooling on call, 4711",
    ]
    assert message.alarms == ((ID, 3),)
    assert message.links == (
        AlarmLink(title="In the console", address=f"https://control.example.org/alarms#{ID}"),
        AlarmLink(title="Procedure", address="https://wiki.example.org/chiller"),
        AlarmLink(title="Trend", address="https://control.example.org/trends?points=chiller.internal_temp"),
    )
    assert (message.id, message.thread_id, message.person, message.priority) == ("11" * 16, "22" * 16, "anna", 1)


def test_the_subject_says_why_a_later_message_comes() -> None:
    told = track(first_ns=BEGIN, step=1)
    for kind, subject, head in (
        (NotificationKind.ESCALATION, "Not acknowledged, priority 1: ", "Not acknowledged for 10 min after"),
        (NotificationKind.REMINDER, "Still active, priority 1: ", "Still active and not acknowledged, 10 min after"),
    ):
        message = compose(planned(kind, told, after_s=600), find, {ID: STATE}, WORDS)
        assert message.title.startswith(f"[bench] {subject}Julabo chiller / Bath: Bath 37.5")
        assert message.text.startswith(head)
    again = compose(planned(NotificationKind.FIRST, track(is_again=True)), find, {ID: STATE}, WORDS)
    assert again.title.startswith("[bench] Again, priority 1: ")


def test_a_follow_up_says_when_it_returned_and_asks_for_nothing() -> None:
    over = track(returned_ns=BEGIN + 90 * S, acknowledged_by="anna")
    message = compose(planned(NotificationKind.FOLLOW_UP, over), find, {}, WORDS)
    assert message.title.startswith("[bench] Normal again: Julabo chiller / Bath: Bath 36 °C")
    assert "Returned:  2026-11-29 01:33:33 CET" in message.text
    assert "It was acknowledged by anna." in message.text
    assert "What to do" not in message.text


def test_a_flood_is_one_message_with_the_most_urgent_first() -> None:
    tracks = (track(), *(track(number, priority=3) for number in range(1, 40)))
    message = compose(planned(NotificationKind.GROUP, *tracks), find, {ID: STATE}, WORDS)
    assert message.title.startswith("[bench] Priority 1: 40 alarms, 1 of priority 1: Julabo chiller / Bath: ")
    lines = message.text.splitlines()
    assert lines[0] == "40 alarms, 1 of priority 1:"
    assert lines[2].startswith("- priority 1, 2026-11-29 01:32:08 CET: Julabo chiller / Bath: Bath 37.5")
    assert "- and 20 more" in lines
    assert "  1. Fill the bath." in lines
    assert len(message.alarms) == 40
    assert message.links[0].address == "https://control.example.org/alarms"


def test_a_subject_has_one_line_and_no_link_without_a_console() -> None:
    long = track(title="x" * 300, text="two\nlines")
    message = compose(planned(NotificationKind.FIRST, long), lambda _: DEFINITION, {}, Wording(experiment="bench"))
    assert len(message.title) == 160
    assert "\n" not in message.title
    assert [link.title for link in message.links] == ["Procedure"]

"""Admission of commands: every check has one code, and none of them has an effect."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core import admission
from countingroom.core.admission import SEEN_FOR_NS, SeenIds
from countingroom.core.errors import Conflict
from countingroom.core.messages import Command, decode
from countingroom.core.sender_clocks import DOUBT_S, SENDERS, Judgement, SenderClocks

NOW = 1_790_000_000_000_000_000


def command(**more: object) -> Command:
    given = {"id": "c", "action": "ramp", "issued_ns": NOW, "deadline_ns": NOW, **more}
    return Command(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen_state", "issued_ns", "code"),
    [
        ("ON", NOW, "state_changed"),
        ("OFF", NOW - SEEN_FOR_NS - 1, "too_old"),
        ("OFF", NOW + SEEN_FOR_NS + 1, "clock_ahead"),
    ],
)
def test_an_outdated_sight_is_refused(seen_state: str, issued_ns: int, code: str) -> None:
    with pytest.raises(Conflict) as caught:
        admission.check_seen_state(command(seen_state=seen_state, issued_ns=issued_ns), "OFF", NOW)
    assert caught.value.cause.code == code
    assert caught.value.cause.suggestion


@pytest.mark.parametrize("issued_ns", [NOW - SEEN_FOR_NS, NOW + SEEN_FOR_NS])
def test_a_sight_is_good_up_to_the_tolerance(issued_ns: int) -> None:
    admission.check_seen_state(command(seen_state="OFF", issued_ns=issued_ns), "OFF", NOW)


@pytest.mark.parametrize("issued_ns", [0, 2 * NOW])
def test_without_a_seen_state_the_clock_of_the_sender_does_not_matter(issued_ns: int) -> None:
    admission.check_seen_state(command(issued_ns=issued_ns), "OFF", NOW)


def test_a_command_is_admitted_up_to_its_deadline() -> None:
    admission.check_deadline(command(), NOW)
    with pytest.raises(Conflict) as caught:
        admission.check_deadline(command(), NOW + 2_500_000_000)
    assert caught.value.cause.code == "too_late"
    assert caught.value.cause.evidence == {"late_s": 2.5}


def test_an_id_that_was_seen_is_refused_and_the_memory_of_ids_is_bounded() -> None:
    seen = SeenIds(limit=2)
    for name in ("a", "b", "c"):
        admission.check_new(command(id=name), seen)
        seen.add(name)
    with pytest.raises(Conflict) as caught:
        admission.check_new(command(id="c"), seen)
    assert caught.value.cause.code == "repeated"
    admission.check_new(command(id="a"), seen)


def test_there_is_room_below_the_limit() -> None:
    admission.check_room(1, 2)
    with pytest.raises(Conflict) as caught:
        admission.check_room(2, 2)
    assert caught.value.cause.code == "busy"


def test_what_cannot_be_decoded_has_one_code() -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        decode(b"\xc1", Command)
    cause = admission.malformed("a command", caught.value, "runs.A")
    assert (cause.code, cause.source) == ("malformed", "runs.A")


def test_a_command_with_a_duration_gets_its_times_by_the_clock_here() -> None:
    given = command(issued_ns=5, deadline_ns=6, within_s=2.5, age_s=1.5)
    here = admission.received(given, NOW)
    assert (here.issued_ns, here.deadline_ns) == (NOW - 1_500_000_000, NOW + 2_500_000_000)
    assert admission.received(command(issued_ns=5, deadline_ns=6), NOW).deadline_ns == 6


def test_a_command_that_was_under_way_for_longer_than_it_gives_is_refused() -> None:
    admission.check_under_way(command(within_s=2.0), 2.0)
    admission.check_under_way(command(), 99.0)
    with pytest.raises(Conflict) as caught:
        admission.check_under_way(command(within_s=2.0), 2.5)
    assert caught.value.cause.code == "too_late"
    assert caught.value.cause.evidence == {"late_s": 2.5}


def test_a_sender_of_a_wrong_clock_is_told_once_and_again_when_it_is_right() -> None:
    clocks = SenderClocks()
    heard = [clocks.heard("ann", ahead_s, now_s) for now_s, ahead_s in enumerate((600.0, 600.1, 0.0, 0.0))]
    assert heard[0].difference.startswith("the clock of ann is 600.0 s ahead")
    assert heard[1] == Judgement()
    assert heard[2].late_s == pytest.approx(600.1)  # or its clock was set back: that shows when it stays so
    assert heard[3].late_s == pytest.approx(600.1)
    later = clocks.heard("ann", 0.0, 2 + DOUBT_S + 0.1)
    assert later == Judgement(difference="the clock of ann agrees with the one of this computer again")


def test_a_late_command_of_a_sender_does_not_make_the_next_one_late() -> None:
    clocks = SenderClocks()
    assert clocks.heard("ann", 0.0, 1.0).late_s == 0.0
    assert clocks.heard("ann", -30.0, 31.0).late_s == 30.0
    assert clocks.heard("ann", 0.0, 31.5) == Judgement()
    assert clocks.heard("ann", -20.0, 60.0).late_s == 20.0  # doubted from then on, not from 31


def test_the_senders_that_are_remembered_are_bounded() -> None:
    clocks = SenderClocks()
    clocks.heard("first", 0.0, 0.0)
    for number in range(SENDERS):
        clocks.heard(f"sender {number}", 0.0, 0.0)
    assert clocks.heard("first", -30.0, 0.0).late_s == 0.0  # forgotten

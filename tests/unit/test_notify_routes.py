"""Routes: which alarms they tell, to whom, and when after quiet hours."""

from __future__ import annotations

from datetime import UTC, time

import pytest

from countingroom.core.notify.routes import NotifyRoute, QuietHours, Recipient, Recipients

H = 3600 * 1_000_000_000
ROUTE = NotifyRoute(name="r", to=("mail",), areas=("cooling",), priorities=frozenset({2, 3}))


@pytest.mark.parametrize(
    ("area", "priority", "is_told"),
    [
        ("cooling", 2, True),
        ("cooling/chiller", 3, True),
        ("coolingwater", 2, False),
        ("hv", 2, False),
        ("cooling", 1, False),
    ],
)
def test_a_route_tells_its_areas_with_those_below(area: str, priority: int, is_told: bool) -> None:
    assert ROUTE.matches(area, priority) is is_told


@pytest.mark.parametrize(
    ("due_h", "now_h", "allowed_h"),
    [
        (12, 12, 12),
        (23, 23, 31),
        (23, 31, 31),
        (12, 23, 31),  # late, and quiet hours have begun
        (23, 47, 55),  # as late as the next quiet hours
        (30, 32, 31),
    ],
)
def test_a_message_waits_for_the_end_of_the_quiet_hours(due_h: int, now_h: int, allowed_h: int) -> None:
    quiet = QuietHours(begin=time(22), end=time(7), priorities=frozenset({3}), zone=UTC)
    route = NotifyRoute(name="r", to=("mail",), quiet=quiet)
    assert route.allowed_ns(3, due_h * H, now_h * H) == allowed_h * H
    assert route.allowed_ns(1, due_h * H, now_h * H) == due_h * H


def test_quiet_hours_of_no_length_never_hold() -> None:
    quiet = QuietHours(begin=time(22), end=time(22), priorities=frozenset({3}), zone=UTC)
    assert [quiet.end_ns(hour * H) for hour in (0, 21, 22, 23)] == [None] * 4


def test_a_channel_of_several_persons_is_told_once_for_the_first_of_them() -> None:
    directory = Recipients(
        channels=frozenset({"mail", "shared", "desk"}), people={"anna": ("mail", "shared"), "ben": ("shared",)}
    )
    assert directory.recipients(("anna", "ben", "desk", "mail", "gone"), 0) == (
        Recipient(channel="mail", person="anna"),
        Recipient(channel="shared", person="anna"),
        Recipient(channel="desk"),
    )
    assert directory.recipients(("shared",), 0) == (Recipient(channel="shared"),), "it belongs to no single person"
    assert directory.recipients(("mail",), 0) == (Recipient(channel="mail", person="anna"),)

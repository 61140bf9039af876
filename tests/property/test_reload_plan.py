"""The plan of a reload names exactly what differs, and touches only devices that must be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.plan import HIDDEN, Entails, ReloadAction, plan
from countingroom.core.reload.refusals import ReloadSituation, refusals

NAMES = st.sampled_from(("a", "b", "c", "d"))
NUMBERS = st.dictionaries(NAMES, st.integers(0, 2))


def described(poll: int, title: str, points: dict[str, int]) -> dict[str, Any]:
    return {"poll": poll, "title": title, "points": points}


DEVICE = st.builds(described, st.integers(1, 2), st.sampled_from(("", "x")), NUMBERS)


def sections(devices: Any, custom: Any, systems: Any, port: int, tick: int) -> dict[str, Any]:
    return {
        "devices": devices,
        "alarms": {"custom": custom},
        "runs": {"systems": systems},
        "console": {"port": port, "tick": tick},
    }


SECTIONS = st.builds(sections, st.dictionaries(NAMES, DEVICE), NUMBERS, NUMBERS, st.integers(1, 2), st.integers(1, 2))
READERS = {"alarms": ("alarms",), "runs": ("agents", "runs"), "console": ("console",)}


def content(sections: dict[str, Any], **more: Any) -> ReloadContent:
    return ReloadContent(digest=str(sections), sections=sections, readers=READERS, **more)


def poll(sections: dict[str, Any], name: str) -> float | None:
    return sections["devices"][name]["poll"] if name in sections["devices"] else None


@given(SECTIONS, SECTIONS)
def test_what_differs_is_named_and_nothing_else(old: dict[str, Any], new: dict[str, Any]) -> None:
    made = plan(content(old), content(new))
    assert made.differs == (old != new)
    assert {one.device: one.action for one in made.changes if one.device} == {
        name: ReloadAction.ADDED
        if name not in old["devices"]
        else ReloadAction.REMOVED
        if name not in new["devices"]
        else ReloadAction.CHANGED
        for name in old["devices"].keys() | new["devices"].keys()
        if old["devices"].get(name) != new["devices"].get(name)
    }
    must = {name for name in old["devices"].keys() | new["devices"].keys() if poll(old, name) != poll(new, name)}
    assert made.touched == must
    assert ("alarms" in made.restarts) == (old["alarms"] != new["alarms"])
    assert ("runs" in made.restarts) == (old["runs"] != new["runs"])
    assert bool(made.of(Entails.UP)) == (old["console"]["port"] != new["console"]["port"])


@given(SECTIONS, SECTIONS, st.sets(NAMES), st.sets(NAMES), st.booleans())
def test_nothing_that_a_run_or_an_interlock_needs_is_disturbed(
    old: dict[str, Any], new: dict[str, Any], commanded: set[str], interlocked: set[str], is_acting: bool
) -> None:
    before = content(
        old,
        commanded={f"system {name}": name for name in commanded},
        interlocked=dict.fromkeys(interlocked, ("lock",)),
    )
    made = plan(before, content(new))
    busy = {"A": tuple(f"system {name}" for name in commanded)}
    found = refusals(made, before, ReloadSituation(busy=busy, acting=("lock",) if is_acting else ()))
    may_be_done = not (
        made.of(Entails.UP)
        or "runs" in made.restarts
        or made.touched & (commanded | interlocked)
        or (is_acting and "alarms" in made.restarts)
    )
    assert (not found) == may_be_done
    assert all(one.suggestion for one in found)


def test_a_password_is_not_shown() -> None:
    old = content({"bus": {"password": "a"}})
    new = content({"bus": {"password": "b"}, "history": {"stores": {"s": {"token": "t", "url": "u"}}}})
    shown = [(key.before, key.after) for one in plan(old, new).changes for key in one.keys]
    assert shown == [(HIDDEN, HIDDEN)]


def test_what_follows_from_several_sections_needs_a_restart_of_up() -> None:
    old, new = content({}, fixed={"the users of the bus": "1"}), content({}, fixed={"the users of the bus": "2"})
    (change,) = plan(old, new).changes
    assert (change.path, change.entails) == ("the users of the bus", Entails.UP)


def test_a_short_silence_of_the_alarm_department_would_switch_off() -> None:
    old = content({"alarms": {"custom": {}}}, silent_s=5.0)
    new = content({"alarms": {"custom": {"a": 1}}}, silent_s=5.0)
    (cause,) = refusals(plan(old, new), old, ReloadSituation())
    assert "engine_silent.after" in cause.suggestion

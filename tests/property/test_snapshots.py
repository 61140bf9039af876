"""Comparison, order and plan of snapshots, for any values, rules and states of devices."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.cli.snapshot_shown import value_text
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.messages import Catalogue, CommandSpec, DeviceState, Link
from countingroom.core.points import Point, Type
from countingroom.core.policy import Permission
from countingroom.core.snapshots.compare import PointVerdict, compare, compared_rows
from countingroom.core.snapshots.exchange import from_file, to_file
from countingroom.core.snapshots.progress import (
    BAD,
    PointEnd,
    RestoreEnd,
    advanced,
    begun,
    ended,
    interrupted,
    upcoming,
)
from countingroom.core.snapshots.restore_plan import SET, DeviceNow, Refusals, RestorePlan, plan_restore
from countingroom.core.snapshots.rules import EXACT, PointRule, SnapshotRules, Tolerance
from countingroom.core.snapshots.values import LONGEST_NAME, SavedPoint, Snapshot, checked_name
from countingroom.core.values import Quality, Reading, Scalar

numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
scalars = numbers | st.booleans() | st.text(st.characters(categories=["L", "N", "P"]), max_size=5) | st.none()

SUPPLY = tuple(
    Point(
        name=f"{channel}.{column}",
        channel=channel,
        column=column,
        type=Type.BOOL if column.endswith("on") else Type.FLOAT,
        writable=True,
        write_low=None if column.endswith("on") else 0.0,
        write_high=None if column.endswith("on") else 100.0,
        dangerous=column == "i_max",
        commands={"true": f"{column[:2]}_on", "false": f"{column[:2]}_off"} if column.endswith("on") else {},
        restore_step=step,
    )
    for channel in ("0", "1")
    for column, step in (("i_max", 10), ("lv_set", 30), ("lv_on", 40), ("hv_set", 50), ("hv_on", 60))
)
COMMANDS = tuple(CommandSpec(name=name, scope="channel") for name in ("lv_on", "lv_off", "hv_on", "hv_off"))


def supply(
    values: dict[str, Scalar], *, alive: bool = True, refusals: dict[str, Cause | None] | None = None
) -> DeviceNow:
    """A supply with two channels that has these values."""
    state = DeviceState(device="caen", state="ON", link=Link.CONNECTED, since_ns=0, refusals=refusals or {})
    return DeviceNow(
        catalogue=Catalogue(
            device="caen", title="", driver="caen", group="", points=SUPPLY, channels=("0", "1"), commands=COMMANDS
        ),
        points={point.name: point for point in SUPPLY},
        readings={
            name: Reading(value=value, quality=Quality.GOOD, device_ns=0, received_ns=0)
            for name, value in values.items()
        },
        state=state,
        channels={"0": replace(state, channel="0"), "1": replace(state, channel="1")},
        is_alive=alive,
    )


def taken(values: dict[str, Scalar]) -> Snapshot:
    """A snapshot with these values."""
    points = tuple(SavedPoint(device="caen", point=name, value=value) for name, value in values.items())
    return Snapshot(name="s", scope=("caen",), reason="r", taken_by="anna", taken_ns=1, points=points)


def allow(device: str, permission: Permission) -> Cause | None:
    return None


settings = st.fixed_dictionaries(
    {point.name: st.booleans() if point.type is Type.BOOL else st.sampled_from([0.0, 5.0, 50.0]) for point in SUPPLY}
)


@given(scalars, scalars, st.floats(0, 10), st.floats(0, 0.1))
def test_equality_is_reflexive_for_values_and_never_joins_what_is_no_number(
    one: Scalar, other: Scalar, absolute: float, relative: float
) -> None:
    within = Tolerance(absolute=absolute, relative=relative)
    assert within.equal(one, one) is (one is not None)
    if isinstance(one, str | bool | None) or isinstance(other, str | bool | None):
        assert within.equal(one, other) is (type(one) is type(other) and one is not None and one == other)
    elif abs(one - other) > max(absolute, relative * abs(one)):
        assert not within.equal(one, other)
    assert not within.equal(math.nan, math.nan)


@given(st.dictionaries(st.sampled_from("abcdef"), scalars), st.dictionaries(st.sampled_from("abcdef"), scalars))
def test_every_point_of_both_sides_has_one_row_and_differing_ones_come_first(
    before: dict[str, Scalar], after: dict[str, Scalar]
) -> None:
    found = compare(taken(before).points, taken(after).points, lambda _: EXACT)
    assert sorted(row.point for row in found.rows) == sorted(before.keys() | after.keys())
    assert sum(found.counts.values()) == len(found.rows)
    order = [list(PointVerdict).index(row.verdict) for row in found.rows]
    assert order == sorted(order)
    for row in found.rows:
        if row.verdict is PointVerdict.EQUAL:
            assert before[row.point] == after[row.point]
        if row.verdict in (PointVerdict.MISSING, PointVerdict.ADDED):
            assert (row.point in before) != (row.point in after)


@given(settings, settings, st.permutations([("*.lv_*",), ("*.hv_*",)]) | st.just([]))
def test_a_plan_writes_what_differs_in_an_order_that_is_safe(
    saved: dict[str, Scalar], now: dict[str, Scalar], order: list[tuple[str, ...]]
) -> None:
    rules = SnapshotRules(order=tuple(order))
    plan = plan_restore(taken(saved), {"caen": supply(now)}, rules, allow)
    differing = {name for name in saved if saved[name] != now[name]}
    assert {one.point for one in plan.writes} == differing
    assert {one.point for one in plan.left} == saved.keys() - differing
    places = {one.point: index for index, one in enumerate(plan.writes)}
    off = [index for index, one in enumerate(plan.writes) if one.action != SET and not one.new]
    assert off == list(range(len(off)))  # what goes off goes first
    for channel in ("0", "1"):
        if f"{channel}.lv_set" in places and saved[f"{channel}.lv_on"] and f"{channel}.lv_on" in places:
            assert places[f"{channel}.lv_set"] < places[f"{channel}.lv_on"]
        switches = [f"{channel}.lv_on", f"{channel}.hv_on"]
        if not order and all(one in places for one in switches):
            lv, hv = (saved[one] for one in switches)
            if lv and hv:
                assert places[switches[0]] < places[switches[1]]
            if not lv and not hv:
                assert places[switches[1]] < places[switches[0]]
    # Carried out, nothing is left to do.
    done = dict(now) | {one.point: one.new for one in plan.writes}
    assert plan_restore(taken(saved), {"caen": supply(done)}, rules, allow).writes == ()


@given(settings, settings)
def test_what_the_user_may_not_write_is_left_with_the_reason(saved: dict[str, Scalar], now: dict[str, Scalar]) -> None:
    denied = Cause(code="denied", message="no", suggestion="ask")

    def permit(device: str, permission: Permission) -> Cause | None:
        return denied if permission is Permission.ENDANGER else None

    plan = plan_restore(taken(saved), {"caen": supply(now)}, SnapshotRules(), permit)
    assert not any(one.is_dangerous for one in plan.writes)
    left = {one.point for one in plan.left if one.cause is denied}
    assert left == {name for name in saved if name.endswith("i_max") and saved[name] != now[name]}


@given(settings)
def test_of_a_device_that_is_away_nothing_is_written(saved: dict[str, Scalar]) -> None:
    plan = plan_restore(taken(saved), {"caen": supply({}, alive=False)}, SnapshotRules(), allow)
    assert plan.writes == ()
    assert {one.cause.code for one in plan.left} == {"away"}


def test_limits_tolerances_and_rules_of_the_description_hold() -> None:
    now = supply({"0.lv_set": 5.0, "0.hv_set": 50.0, "1.hv_set": 50.0, "1.lv_set": 5.0})
    rules = SnapshotRules(
        points=(PointRule(match="caen.0.hv_set", absolute=1.0), PointRule(match="caen.1.hv_*", leave_out=True))
    )
    saved = taken({"0.lv_set": 500.0, "0.hv_set": 50.9, "1.hv_set": 10.0, "1.lv_set": None, "2.x": 1.0})
    plan = plan_restore(saved, {"caen": now}, rules, allow)
    assert plan.writes == ()
    assert {one.point: one.cause.code for one in plan.left} == {
        "0.lv_set": "out_of_range",
        "0.hv_set": "equal",
        "1.hv_set": "not_writable",
        "1.lv_set": "no_value",
        "2.x": "not_writable",
    }


def test_a_command_that_is_refused_now_is_left_unless_an_earlier_one_may_change_that() -> None:
    off: dict[str, Scalar] = {"0.lv_on": False, "0.hv_on": False}
    wrong = Cause(code="not_allowed", message="HV on is not possible in LV_OFF", suggestion="LV on")
    held = Cause(code="interlock", message="held", suggestion="reset it")
    both = taken({"0.lv_on": True, "0.hv_on": True})
    now = supply(off, refusals={"hv_on": wrong})
    assert [one.action for one in plan_restore(both, {"caen": now}, SnapshotRules(), allow).writes] == [
        "lv_on",
        "hv_on",
    ]
    alone = plan_restore(both, {"caen": now}, SnapshotRules(), allow, only=["caen.0.hv_on"])
    assert [one.cause for one in alone.left] == [wrong]
    interlocked = plan_restore(both, {"caen": supply(off, refusals={"hv_on": held})}, SnapshotRules(), allow)
    assert [one.cause for one in interlocked.left] == [held]


def test_a_value_that_is_refused_now_is_left_unless_an_earlier_command_may_change_that() -> None:
    now = supply({"0.lv_on": True, "0.lv_set": 1.0, "1.lv_set": 1.0})
    wrong = Cause(code="lv_on", message="LV is on", suggestion="switch it off")
    held = Cause(code="interlock", message="held", suggestion="reset it")

    def made(saved: dict[str, Scalar], **causes: Cause) -> tuple[list[str], dict[str, Cause]]:
        refusals = Refusals(causes={f"caen.{name.replace('_', '.', 1)}": cause for name, cause in causes.items()})
        plan = plan_restore(taken(saved), {"caen": now}, SnapshotRules(), allow, refusals=refusals)
        return [one.point for one in plan.writes], {one.point: one.cause for one in plan.left}

    assert made({"0.lv_set": 5.0, "1.lv_set": 5.0}, **{"0_lv_set": wrong}) == (["1.lv_set"], {"0.lv_set": wrong})
    goes_off: dict[str, Scalar] = {"0.lv_on": False, "0.lv_set": 5.0}
    assert made(goes_off, **{"0_lv_set": wrong}) == (["0.lv_on", "0.lv_set"], {})
    assert made(goes_off, **{"0_lv_set": held}) == (["0.lv_on"], {"0.lv_set": held})


def test_values_with_names_are_told_by_them() -> None:
    names = {"0": "off", "1": "slow", "2": "fast"}
    fan = Point(name="fan", type=Type.INT, writable=True, codes=names, choices=(0, 1, 2))
    now = supply({"fan": 1})
    now = replace(now, points={"fan": fan})
    (write,) = plan_restore(taken({"fan": 2}), {"caen": now}, SnapshotRules(), allow).writes
    assert write.words == {"1": "slow", "2": "fast"}
    (left,) = plan_restore(taken({"fan": 1}), {"caen": now}, SnapshotRules(), allow).left
    assert left.words == {"1": "slow"}
    before, after = taken({"fan": 2}).points, taken({"fan": 0}).points
    (row,) = compared_rows(before, after, lambda saved: EXACT, {"caen.fan": fan})
    assert row.words == {"2": "fast", "0": "off"}
    assert value_text(2, "", write.words) == "fast"
    assert value_text(7, "rpm", write.words) == "7 rpm"


def test_a_command_of_a_device_may_be_allowed_by_an_earlier_one_of_a_channel() -> None:
    box = Point(name="hv", type=Type.BOOL, writable=True, commands={"true": "hv_on"}, restore_step=90)
    now = supply({"0.lv_on": False, "hv": False}, refusals={"hv_on": Cause(code="few", message="m", suggestion="s")})
    now = replace(
        now,
        points={**now.points, "hv": box},
        catalogue=replace(now.catalogue, commands=(*COMMANDS, CommandSpec(name="hv_on"))),
    )
    saved = taken({"0.lv_on": True, "hv": True})
    assert [one.point for one in plan_restore(saved, {"caen": now}, SnapshotRules(), allow).writes] == ["0.lv_on", "hv"]
    alone = plan_restore(saved, {"caen": now}, SnapshotRules(), allow, only=["caen.hv"])
    assert [one.cause.code for one in alone.left] == ["few"]


@given(settings, settings, st.lists(st.sampled_from(list(PointEnd)[2:]), max_size=12), st.booleans())
def test_a_restore_tries_each_point_once_and_stops_after_a_failure(
    saved: dict[str, Scalar], now: dict[str, Scalar], ends: list[PointEnd], keeps_going: bool
) -> None:
    plan = plan_restore(taken(saved), {"caen": supply(now)}, SnapshotRules(), allow)
    restore = begun(plan, id="1", by="anna", reason="r", keeps_going=keeps_going, process="p", now_ns=1)
    tried: list[int] = []
    while (index := next(upcoming(restore), None)) is not None:
        assert index not in tried
        tried.append(index)
        end = ends[len(tried) - 1] if len(tried) <= len(ends) else PointEnd.RESTORED
        restore = advanced(restore, index, end, 2)
    over = ended(restore, 3)
    bad = [one.end for one in over.results if one.end in BAD]
    assert len(bad) <= 1  # there is one device
    assert (over.end is RestoreEnd.DONE) == (not bad)
    assert over.count(PointEnd.NOT_TRIED) == len(plan.writes) - len(tried)


def test_the_end_of_its_process_leaves_what_was_under_way_unknown() -> None:
    plan = plan_restore(taken({"0.lv_set": 1.0, "0.hv_set": 2.0}), {"caen": supply({})}, SnapshotRules(), allow)
    restore = begun(plan, id="1", by="anna", reason="r", keeps_going=False, process="p", now_ns=1)
    over = interrupted(advanced(restore, 0, PointEnd.UNDER_WAY, 2), 3)
    assert [one.end for one in over.results] == [PointEnd.UNKNOWN, PointEnd.NOT_TRIED]
    assert over.end is RestoreEnd.INTERRUPTED
    assert over.results[0].cause


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6), scalars, min_size=1, max_size=5
    ),
    st.booleans(),
)
def test_a_file_gives_the_same_snapshot_back(values: dict[str, Scalar], as_yaml: bool) -> None:
    snapshot = taken(values)
    assert from_file(to_file(snapshot, as_yaml=as_yaml)) == snapshot


def test_nested_aliases_of_a_file_expand_no_further_than_its_text() -> None:
    """400 bytes took 130 MB and 1.6 s, up to the limit of descriptions."""
    lines = ["a0: &a0 [x, x, x]", *(f"a{one}: &a{one} [*a{one - 1}, *a{one - 1}, *a{one - 1}]" for one in range(1, 12))]
    text = "\n".join(lines)
    with pytest.raises(OutOfRange, match=f"more than {len(text) + 1} values"):
        from_file(text)


def test_the_digest_is_of_what_is_written() -> None:
    def plan(saved: float, now: float) -> RestorePlan:
        return plan_restore(taken({"0.lv_set": saved}), {"caen": supply({"0.lv_set": now})}, SnapshotRules(), allow)

    assert plan(5.0, 1.0).digest == plan(5.0, 2.0).digest != plan(6.0, 1.0).digest


def test_the_write_that_was_under_way_at_the_end_of_a_restore_is_unknown_from_then_on() -> None:
    plan = plan_restore(
        taken({"0.lv_set": 5.0, "0.hv_set": 50.0}),
        {"caen": supply({"0.lv_set": 0.0, "0.hv_set": 0.0})},
        SnapshotRules(),
        allow,
    )
    restore = begun(plan, id="1", by="anna", reason="r", keeps_going=False, process="p", now_ns=1)
    over = ended(advanced(restore, 0, PointEnd.UNDER_WAY, 2), 7)
    assert [(one.end, one.time_ns) for one in over.results] == [(PointEnd.UNKNOWN, 7), (PointEnd.NOT_TRIED, 0)]
    assert over.results[0].cause and over.results[0].cause.code == "not_awaited"
    assert (over.end, over.ended_ns) == (RestoreEnd.INCOMPLETE, 7)


def test_the_name_of_a_snapshot_is_one_visible_word_or_more() -> None:
    assert checked_name("  before the beam ") == "before the beam"
    assert checked_name("x" * LONGEST_NAME)
    for bad in ("", " ", ".", "..", "a/b", "a\\b", "a\tb", "a\nb", "gol\u202eden", "x" * (LONGEST_NAME + 1)):
        with pytest.raises(OutOfRange):
            checked_name(bad)

"""For any sequence of events a partition stays within its chart, ends every goal and every run, and sends no order
that is not needed."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.partitions import Goal
from countingroom.core.systems import ACTIVE, ERROR, RECORDING, UNCONFIGURED
from countingroom.runs.planner.events import (
    GoalFailed,
    GoalMet,
    GoalSet,
    MembersSet,
    PartitionMoved,
    RunOver,
    SendOrder,
)
from countingroom.runs.planner.fingerprint import Chosen, with_fingerprints
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.legality import refusal
from countingroom.runs.planner.members import resolve_members
from countingroom.runs.planner.partition import PartitionModel
from tests.property.histories import OTHER
from tests.unit.plant import CBM, Plant, configuration, members

templates = st.sampled_from((CBM, OTHER))
states = st.integers(0, 5)


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    """A partition somewhere, at rest; everybody obeys, each in its own time."""
    template = draw(templates)
    detectors = [f"d{number}" for number in range(draw(st.integers(1, 4)))]
    spare = set(draw(st.lists(st.sampled_from(detectors)))) - {"d0"}
    who = [
        msgspec.structs.replace(member, critical=member.critical and member.system not in spare)
        for member in members(template, detectors)
    ]
    plant = Plant(template, who)
    for system in plant.systems.values():
        system.takes_s = draw(st.sampled_from((0.0, 0.1, 3.0)))
        system.names_orders = draw(st.booleans())
    plant.ask(draw(st.sampled_from(template.rests)))
    plant.run()
    plant.effects.clear()
    plant.orders.clear()
    return plant


@given(plants())
def test_there_is_nothing_to_do_where_goal_and_observed_agree(plant: Plant) -> None:
    assert plant.step() == ()
    plan = forecast(plant.partition, Goal(state=plant.partition.state), now_ns=plant.now_ns)
    assert (not plan.stages and plan.obstacle is None) or plant.partition.state == plant.partition.template.idle
    plant.ask(plant.partition.state)
    plant.run()
    assert plant.told == []
    assert [type(end) for end in plant.ends()] == [GoalMet]


@given(plants(), st.data())
def test_what_is_shown_is_what_is_done(plant: Plant, data: st.DataObject) -> None:
    for name, system in plant.systems.items():
        if system.common == ACTIVE and data.draw(st.integers(0, 9)) == 0:
            plant.step(plant.become(name, data.draw(st.sampled_from((UNCONFIGURED, ERROR)))))
    plant.run()
    plant.orders.clear()
    plant.effects.clear()
    goal = data.draw(st.sampled_from(plant.partition.template.rests))
    plan = forecast(plant.partition, Goal(state=goal), now_ns=plant.now_ns)
    plant.ask(goal)
    plant.run()
    shown = sorted((step.system, step.action.value) for stage in plan.stages for step in stage.steps)
    assert shown == sorted(plant.told)
    assert set(plan.kept) == set(plant.systems) - {system for system, _ in plant.told}
    met = not any(isinstance(end, GoalFailed) for end in plant.ends())
    assert met == (plan.obstacle is None)


@given(plants(), st.data())
def test_exactly_what_differs_is_changed_in_place_and_nothing_moves(plant: Plant, data: st.DataObject) -> None:
    template = plant.partition.template
    systems = list(plant.systems)
    able = set(data.draw(st.lists(st.sampled_from(systems), unique=True)))
    changed = set(data.draw(st.lists(st.sampled_from(systems), unique=True)))
    for system in plant.systems.values():
        system.base = "below"
        plant.step(*plant.heard(system))
    selected = tuple(
        msgspec.structs.replace(
            one,
            base="below" if one.system in able else "",
            wanted=configuration(one.system, "other") if one.system in changed else one.wanted,
        )
        for one in plant.partition.members
    )
    plant.step(MembersSet(members=selected, tag="other"))
    before = plant.partition
    differing = sorted(name for name in changed if plant.systems[name].common in (ACTIVE, RECORDING))
    cause = refusal(before, "reconfigure")
    assert (cause is None) == (bool(differing) and set(differing) <= able)
    goal = Goal(state=before.state, reconfigure=True)
    plan = forecast(before, goal, now_ns=plant.now_ns)
    plant.ask(before.state, reconfigure=True)
    plant.run()
    expected = [(name, "reconfigure") for name in differing if name in able]
    assert sorted(plant.told) == expected
    assert sorted((step.system, step.action.value) for stage in plan.stages for step in stage.steps) == expected
    assert (plan.obstacle is None) == (set(differing) <= able)
    assert plant.rows == []
    assert plant.runs() == []
    assert (plant.partition.state, plant.partition.run) == (before.state, before.run)
    assert {name for name in changed if plant.systems[name].tag == "other"} == set(differing) & able
    if before.state in template.rests[1:-1] and differing and set(differing) <= able:
        plant.ask(before.state)
        plant.run()
        assert sorted(plant.told) == expected, "what was changed in place is right"


@given(plants(), st.data())
def test_a_lost_expendable_member_takes_nothing_down(plant: Plant, data: st.DataObject) -> None:
    template = plant.partition.template
    levels = {level.name: level for level in template.levels}
    spare = [m for m in plant.partition.members if not m.critical and m.system not in template.recorders]
    if not spare:
        return
    member = data.draw(st.sampled_from(spare))
    peers = [m for m in plant.partition.members if m.level == member.level]
    if len(peers) <= levels[member.level].minimum or len(peers) == 1:
        return
    before = plant.partition.state
    plant.step(plant.die(member.system))
    plant.run()
    assert plant.partition.state == before
    assert plant.told == []


@given(plants(), st.data())
def test_a_lost_critical_member_takes_its_level_down_and_recording_is_stopped_first(
    plant: Plant, data: st.DataObject
) -> None:
    template = plant.partition.template
    critical = [m for m in plant.partition.members if m.critical and m.system not in template.recorders]
    if not critical:
        return
    member = data.draw(st.sampled_from(critical))
    index = [level.name for level in template.levels].index(member.level)
    height, recording = template.height(plant.partition.state), plant.partition.state == template.recording
    run = plant.partition.run
    effects = plant.step(plant.die(member.system))
    orders = [effect.step for effect in effects if isinstance(effect, SendOrder)]
    order = template.stop_order or template.recorders
    assert [(step.system, step.action.value) for step in orders] == ([(order[0], "stop")] if recording else [])
    plant.run()
    assert plant.told == ([(name, "stop") for name in order] if recording else [])
    assert template.height(plant.partition.state) <= max(index, 0) or height <= index
    if height > index:
        moved = [row for effect in effects if isinstance(effect, PartitionMoved) for row in effect.rows]
        assert [row[1] for row in moved] == [template.levels[index].loss]
    assert not any(system.common == RECORDING for system in plant.systems.values())
    overs = [effect for effect in plant.effects if isinstance(effect, RunOver)]
    assert [(over.run, over.end.value) for over in overs] == ([(run, "lost")] if recording else [])


@given(plants(), st.data())
def test_a_new_owner_takes_in_reports_and_does_nothing_while_it_looks(plant: Plant, data: st.DataObject) -> None:
    old = plant.partition
    plant.partition = plant.restart()
    names = list(plant.systems)
    for name in names[: data.draw(st.integers(0, len(names) - 1))]:
        assert plant.step(*plant.heard(plant.systems[name])) == ()
    assert plant.partition.state == old.state
    for system in plant.systems.values():
        plant.step(*plant.heard(system))
    assert plant.told == []
    assert plant.rows == []
    assert plant.runs() == []
    assert (plant.partition.state, plant.partition.run, plant.partition.began) == (old.state, old.run, old.began)


@given(st.lists(st.sampled_from(["TFC", "sts", "rich", "FLES", "DCS", "QA"]), unique=True))
def test_what_changed_and_all_above_it_has_another_key(changed: list[str]) -> None:
    who = resolve_members(CBM, ["sts", "rich"])
    old = with_fingerprints(CBM, who, {m.system: Chosen(tag="a") for m in who})
    new = with_fingerprints(CBM, who, {m.system: Chosen(tag="b" if m.system in changed else "a") for m in who})
    order = [level.name for level in CBM.levels]
    lowest = min((order.index(m.level) for m in who if m.system in changed), default=len(order))
    for a, b in zip(old, new, strict=True):
        above = order.index(a.level) > lowest
        assert (a.wanted != b.wanted) == (above or a.system in changed)


@given(st.text(max_size=20))
def test_a_goal_of_any_name_ends(state: str) -> None:
    plant = Plant()
    plant.step(GoalSet(goal=Goal(state=state, command_id="c"), run=1))
    plant.run()
    assert len(plant.ends()) == 1


def test_an_empty_partition_can_be_stepped_and_asked() -> None:
    plant = Plant(who=[])
    for state in CBM.rests:
        plant.ask(state)
        plant.run()
    assert [type(end).__name__ for end in plant.ends()] == ["GoalMet"] + ["GoalFailed"] * 5
    assert isinstance(plant.partition, PartitionModel)
    assert plant.partition.run == 0

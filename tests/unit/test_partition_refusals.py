"""Each refusal of a partition has its reason and a suggestion; what is permitted has neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration
from countingroom.core.systems import CONFIGURING, ERROR
from countingroom.runs.planner.events import LockSet, MembersSet, StartForbidden
from countingroom.runs.planner.legality import REASONS, Question, next_state, refusal, refusals
from countingroom.runs.planner.partition import PartitionModel
from tests.unit.plant import CBM, SECOND, Plant, members


def idle() -> PartitionModel:
    return Plant().partition


def top() -> PartitionModel:
    return Plant().reach("QA_Active").partition


def recording() -> PartitionModel:
    return Plant().reach("Recording").partition


def locked() -> PartitionModel:
    plant = Plant()
    plant.step(LockSet(locked=True))
    return plant.partition


def interlocked() -> PartitionModel:
    plant = Plant().reach("QA_Active")
    cause = Cause(code="interlocked", message="the interlock Cooling has tripped", suggestion="reset it")
    plant.step(StartForbidden(cause=cause))
    return plant.partition


def unexplained() -> PartitionModel:
    cause = Cause(
        code="no_template", message="the description has no template cbm", source="runs.beam", suggestion="add it"
    )
    return msgspec.structs.replace(recording(), unexplained=cause)


def selected() -> PartitionModel:
    """Another tag is selected than the one that its systems have."""
    plant = Plant().reach("QA_Active")
    plant.step(MembersSet(members=members(tag="noise"), tag="noise"))
    return plant.partition


def changed(*, state: str = "QA_Active", able: bool = True) -> PartitionModel:
    """Other parameters are selected for sts than it has."""
    in_place = ["sts"] if able else []
    plant = Plant(CBM, members(in_place=in_place)).reach(state)
    (other,) = [one for one in members(tag="noise", in_place=in_place) if one.system == "sts"]
    plant.step(
        MembersSet(members=tuple(other if m.system == "sts" else m for m in plant.partition.members), tag="custom")
    )
    return plant.partition


def changed_in_a_run() -> PartitionModel:
    return changed(state="Recording")


def changed_not_able() -> PartitionModel:
    return changed(able=False)


def busy() -> PartitionModel:
    plant = Plant()
    plant.ask("QA_Active")
    return plant.partition


def starting() -> PartitionModel:
    plant = Plant().reach("QA_Active")
    plant.ask("Recording")
    return plant.partition


def without_configuration() -> PartitionModel:
    plant = Plant()
    who = [msgspec.structs.replace(m, wanted=None) if m.system == "rich" else m for m in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag=""))
    return plant.partition


def without_systems() -> PartitionModel:
    plant = Plant()
    who = [msgspec.structs.replace(member, included=False) for member in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag=""))
    return plant.partition


def without_recorders() -> PartitionModel:
    template = msgspec.structs.replace(CBM, recorders=())
    return Plant(template).partition


def looking() -> PartitionModel:
    return Plant().restart()


def in_error() -> PartitionModel:
    plant = Plant().reach("QA_Active")
    plant.step(plant.become("sts", ERROR))
    return plant.partition


def dead() -> PartitionModel:
    plant = Plant()
    plant.step(plant.die("sts"))
    return plant.partition


def one_recorder() -> PartitionModel:
    plant = Plant().reach("Recording")
    who = [msgspec.structs.replace(m, included=m.system != "FLES") for m in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag="physics"))
    return plant.partition


def recorder_left_out() -> PartitionModel:
    plant = Plant().reach("Recording")
    who = [msgspec.structs.replace(m, included=m.system != "FLES") for m in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag="physics"))
    plant.run(60)
    return plant.partition


def halfway() -> PartitionModel:
    plant = Plant().reach("QA_Active")
    plant.step(plant.become("FLES", CONFIGURING))
    return plant.partition


MAY: dict[Callable[[], PartitionModel], str] = {
    idle: "goal configure configure_all exclude select select_one lock",
    top: "goal start abort exclude select select_one repeat sequence lock",
    recording: "goal stop abort exclude lock",
    locked: "unlock",
    selected: "goal configure configure_all abort exclude select select_one repeat lock",
    changed: "goal configure configure_all reconfigure abort exclude select select_one repeat lock",
    changed_in_a_run: "goal reconfigure stop abort exclude lock",
    changed_not_able: "goal configure configure_all abort exclude select select_one repeat lock",
    interlocked: "goal abort exclude select select_one lock",
    unexplained: "stop abort lock",
    busy: "goal abort exclude lock",
    starting: "goal stop abort exclude lock",
    without_configuration: "goal exclude select select_one lock",
    without_systems: "goal include select select_one lock",
    without_recorders: "goal configure configure_all exclude select select_one lock",
    looking: "stop abort",
    in_error: "goal configure configure_all abort reset exclude select select_one lock",
    dead: "goal configure configure_all exclude select select_one lock",
    halfway: "goal configure configure_all abort exclude select select_one lock",
}


@pytest.mark.parametrize("situation", MAY, ids=lambda situation: situation.__name__)
def test_what_may_be_done_and_what_may_not(situation: Callable[[], PartitionModel]) -> None:
    found = refusals(situation())
    allowed = set(MAY[situation].split()) | {"comment", "flag"}
    assert {command for command, cause in found.items() if cause is None} == allowed


@pytest.mark.parametrize("situation", MAY, ids=lambda situation: situation.__name__)
def test_every_refusal_has_a_code_a_sentence_and_a_suggestion(situation: Callable[[], PartitionModel]) -> None:
    for cause in refusals(situation()).values():
        if cause is not None:
            assert cause.code.isidentifier()
            assert cause.message
            assert cause.suggestion
            assert cause.source == "runs.beam"


# Every reason there is, with the command it stands against.
TABLE: list[tuple[Callable[[], PartitionModel], str, dict[str, Any], str]] = [
    (looking, "configure", {}, "looking"),
    (locked, "configure", {}, "locked"),
    (selected, "start", {}, "not_configured"),
    (interlocked, "start", {}, "interlocked"),
    (interlocked, "goal", {"state": "Recording"}, "interlocked"),
    (unexplained, "configure", {}, "no_template"),
    (top, "reconfigure", {}, "nothing_to_do"),
    (halfway, "reconfigure", {}, "wrong_state"),
    (changed_not_able, "reconfigure", {}, "not_in_place"),
    (changed_in_a_run, "reconfigure", {"while_recording": False}, "run_open"),
    (locked, "lock", {}, "nothing_to_do"),
    (idle, "unlock", {}, "nothing_to_do"),
    (busy, "configure", {}, "busy"),
    (recording, "start", {}, "run_open"),
    (recording, "select", {}, "run_open"),
    (without_systems, "configure", {}, "no_systems"),
    (without_systems, "goal", {"state": "QA_Active"}, "no_systems"),
    (without_configuration, "configure", {}, "no_configuration"),
    (without_configuration, "goal", {"state": "QA_Active"}, "no_configuration"),
    (top, "configure_all", {}, "nothing_to_do"),
    (idle, "goal", {"state": "Recordign"}, "not_found"),
    (top, "goal", {"state": "QA_Active"}, "nothing_to_do"),
    (without_recorders, "start", {}, "no_recorders"),
    (idle, "start", {}, "wrong_state"),
    (idle, "stop", {}, "nothing_to_do"),
    (idle, "abort", {}, "nothing_to_do"),
    (idle, "reset", {"system": "stss"}, "not_found"),
    (idle, "reset", {"system": "sts"}, "nothing_to_do"),
    (idle, "reset", {}, "nothing_to_do"),
    (dead, "reset", {"system": "sts"}, "not_connected"),
    (idle, "include", {"system": "sts"}, "nothing_to_do"),
    (without_systems, "exclude", {"system": "sts"}, "nothing_to_do"),
    (one_recorder, "exclude", {"system": "QA"}, "run_open"),
    (recorder_left_out, "include", {"system": "FLES"}, "run_open"),
    (idle, "dance", {}, "not_found"),
]


@pytest.mark.parametrize(("situation", "command", "arguments", "code"), TABLE)
def test_each_reason_is_given_where_it_holds(
    situation: Callable[[], PartitionModel], command: str, arguments: dict[str, Any], code: str
) -> None:
    cause = refusal(situation(), command, **arguments)
    assert cause is not None
    assert cause.code == code
    assert cause.suggestion


def outdated(tag: str, *changed: str) -> str:
    """Why no run starts where these systems, or all, were configured before this tag was selected for them."""
    plant = Plant().reach("QA_Active")
    now = [
        new if new.system in changed or not changed else old
        for old, new in zip(members(), members(tag=tag), strict=True)
    ]
    plant.step(MembersSet(members=tuple(now), tag=tag))
    cause = refusal(plant.partition, "start")
    assert cause and cause.code == "not_configured" and cause.suggestion == "configure first"
    return cause.message


def test_a_start_with_another_selection_names_the_first_systems_and_what_they_have() -> None:
    assert outdated("noise") == "selected noise, TFC, sts, rich, FLES, DCS … have physics: configure"
    assert outdated("noise", "sts") == "selected noise, sts has physics: configure"
    assert outdated("noise", "sts", "QA") == "selected noise, sts, QA have physics: configure"
    five = ("TFC", "sts", "rich", "FLES", "DCS")
    assert outdated("noise", *five) == "selected noise, TFC, sts, rich, FLES, DCS have physics: configure"
    assert outdated("", "sts") == "selected nothing, sts has physics: configure"


def test_a_start_with_a_changed_configuration_of_the_same_tag_names_the_systems_that_lag() -> None:
    plant = Plant().reach("QA_Active")
    newer = Configuration(tag="physics", key="sts/physics/2")
    now = [msgspec.structs.replace(one, wanted=newer) if one.system == "sts" else one for one in members()]
    plant.step(MembersSet(members=tuple(now), tag="physics"))
    cause = refusal(plant.partition, "start")
    expected = "parameters or systems have changed since sts was configured with physics: configure"
    assert cause and cause.message == expected


def test_the_table_shows_every_reason_there_is() -> None:
    shown: set[object] = set()
    for situation, command, arguments, _ in TABLE:
        partition = situation()
        found = partition.survey()
        question = Question(partition=partition, found=found, **arguments)
        shown |= {next((reason for reason in REASONS.get(command, ()) if reason(question)), None)}
    assert shown - {None} == {reason for column in REASONS.values() for reason in column}


def test_a_system_in_error_may_be_reset_and_an_excluded_one_included() -> None:
    assert refusal(in_error(), "reset", system="sts") is None
    assert refusal(one_recorder(), "include", system="FLES") is None
    assert refusal(one_recorder(), "exclude", system="sts") is None
    assert refusal(busy(), "goal", state="Idle") is None


def test_configure_leads_one_level_up() -> None:
    plant = Plant()
    seen: list[str] = []
    while (state := next_state(plant.partition)) != plant.partition.state:
        seen.append(state)
        plant.reach(state)
    assert seen == ["TFC_Active", "Detectors_Active", "FLES_and_DCS_Active", "QA_Active"]
    assert next_state(recording()) == "Recording"


def test_a_new_owner_that_has_looked_may_be_commanded() -> None:
    plant = Plant()
    plant.partition = plant.restart()
    assert refusal(plant.partition, "configure") is not None
    plant.now_ns += 2 * SECOND
    plant.step()
    assert refusal(plant.partition, "configure") is None
    assert plant.partition.state == "Idle"


def test_a_goal_that_would_start_a_run_is_forbidden_as_the_start_is() -> None:
    partition = interlocked()
    cause = refusal(partition, "goal", state="Recording")
    assert cause is not None
    assert cause.code == "interlocked"
    assert refusal(partition, "goal", state="Idle") is None

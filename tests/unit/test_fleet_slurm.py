"""Batch jobs of Slurm: what sbatch is given, what squeue and sacct say, and mistakes in the description."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.clock import SystemClock
from countingroom.core.fleet.batch_jobs import JobOptions
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.resolver import Resolver
from countingroom.core.fleet.specs import ActorPort, InstanceId, ResourceLimits, ServiceSpec, digest
from countingroom.fleet.actors.node_actors import NodeActors
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.port import EngineInstance, MakeOrder
from countingroom.fleet.engines.slurm_jobs import Job, Mark
from countingroom.fleet.health import HealthChecks
from countingroom.fleet.wanted import wanted

ONE = InstanceId("daq", "farm")
MARK = Mark(experiment="m CBM", node="farm", service="daq", token="a1", index=0, revision=2, change="r2-0", crashes=2)
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NS = 1_000_000_000


def line(**changed: str) -> bytes:
    said = {"JobArrayID": "12", "JobID": "12", "State": "RUNNING", "Reason": "None", "BatchHost": "n1"}
    said |= {"SubmitTime": "100", "StartTime": "110", "EndTime": "N/A", "exit_code": "0"}
    said |= {"Comment": forms.mark_text(MARK), **changed}
    return b"".join(said[name].encode().ljust(width) for name, width in forms.COLUMNS.items()) + b"\n"


def job(**changed: str) -> Job:
    (found,) = forms.read_jobs(line(**changed), "m CBM", "farm")
    return found


def order(*command: str, **more: Any) -> MakeOrder:
    spec = ServiceSpec(command=command, **more)
    return MakeOrder(id=ONE, spec=spec, digest=digest(spec), revision=1, change="r1-0")


@settings(max_examples=30)
@given(st.lists(WORD, min_size=1, max_size=3), WORD)
def test_a_script_runs_the_words_as_they_are(words: list[str], value: str) -> None:
    made = order("printf", "%s\n", *words, environment={"NAME": value})
    text = forms.script({4: made}, {4: "/"}, "python3")
    done = subprocess.run(["sh", "-c", text + "\n"], capture_output=True, check=True, timeout=20)
    assert done.stdout == "".join(f"{word}\n" for word in words).encode()
    assert forms.orders_of(text)[4].spec == made.spec


def test_jobs_are_known_by_their_mark_alone() -> None:
    array = msgspec.structs.replace(MARK, index=None)
    others = line(Comment="countingroom {}") + line(Comment="mine") + line(Comment="countingroom nothing") + b"x\n\n"
    task = line(JobArrayID="12_3", JobID="15", Comment=forms.mark_text(array))
    (found,) = forms.read_jobs(others + task, "m CBM", "farm")
    assert (found.id, found.name, found.number) == (InstanceId("daq", "farm", 3), "12_3", 15)
    assert not forms.read_jobs(line(), "other", "farm") and not forms.read_jobs(line(), "m CBM", "other")


@pytest.mark.parametrize(
    ("state", "raw", "status", "reason"),
    [
        ("COMPLETED", "0", 0, ""),
        ("FAILED", "768", 3, ""),
        ("FAILED", "11", 139, ""),
        ("FAILED", "3:0", 3, ""),  # as Slurm 24 writes it
        ("FAILED", "127:0", 127, ""),
        ("FAILED", "0:11", 139, ""),
        ("FAILED", "127/0", None, "it failed, with a status that this version of Slurm writes in an unknown form"),
        ("FAILED", "0:53", 126, "its host could not write its log"),
        ("FAILED", "53", 126, "its host could not write its log"),
        ("TIMEOUT", "15", None, "its time limit was reached"),
        ("NODE_FAIL", "0", None, "its host n1 failed"),
        ("CANCELLED", "15", None, "it was cancelled in Slurm"),
        ("OUT_OF_MEMORY", "9", 137, "it used more memory than its limit"),
        ("PREEMPTED", "15", None, "another job took its place"),
    ],
)
def test_each_end_has_its_status_and_reason(state: str, raw: str, status: int | None, reason: str) -> None:
    ended = job(State=state, exit_code=raw, EndTime="115")
    assert not ended.is_live
    found = forms.outcome(ended)
    assert found.status == status and found.reason.startswith(reason) and bool(found.reason) == bool(reason)
    assert (found.since_ns, found.crashes) == (115 * NS, 3)
    assert forms.outcome(job(State=state, exit_code=raw, EndTime="120")).crashes == 1


def test_what_the_controller_has_forgotten_is_told_by_the_accounting() -> None:
    failed = forms.accounted("FAILED|7:0|115\n", 1)
    assert failed and (failed.status, failed.since_ns, failed.crashes) == (7, 115 * NS, 2)
    cancelled = forms.accounted("CANCELLED by 0|0:15|115\n", 0)
    assert cancelled and (cancelled.status, cancelled.reason) == (None, "it was cancelled in Slurm")
    assert forms.accounted("", 0) is None and forms.accounted("RUNNING|0:0|Unknown\n", 0) is None


def test_a_job_that_waits_says_for_what() -> None:
    assert job(State="PENDING", Reason="Priority").is_waiting
    assert forms.waits_for(job(State="PENDING", Reason="Priority")).startswith(
        "it waits behind jobs of higher priority"
    )
    assert forms.waits_for(job(State="PENDING", Reason="Licenses")) == "it waits in the queue (Licenses)"
    assert forms.waits_for(job(State="SUSPENDED")) and job(State="SUSPENDED").is_running
    assert "not free" in forms.waits_for(job(State="COMPLETING")) and not job(State="COMPLETING").is_live
    assert forms.waits_for(job(State="PENDING")) == "it waits in the queue (not tried yet)"


def test_an_instance_that_waits_is_starting_and_is_not_started_again() -> None:
    one = EngineInstance(
        id=ONE, digest="d", revision=1, change="", is_running=False, since_ns=5, waits=True, reason="r"
    )
    checks = HealthChecks(None, None, "", None, None)  # type: ignore[arg-type]
    assert (checks.health(one).health, checks.health(one).reason) == (Health.STARTING, "r")


def test_what_sbatch_is_asked() -> None:
    options = JobOptions(partition="main", account="cbm", time_limit_s=61, constraint="avx2", exclusive=True)
    spec = ServiceSpec(command=("daq",), slurm=options, limits=ResourceLimits(cpus=1.5, memory_bytes=1 << 30))
    asked = forms.asked(spec)
    assert {"--partition=main", "--account=cbm", "--time=2", "--constraint=avx2", "--exclusive"} <= {*asked}
    assert {"--cpus-per-task=2", "--mem=1048576K", "--nodes=1"} <= {*asked}
    assert forms.left_out(JobOptions(hosts=("a", "b"), exclude=("x",)), ["a", "b", "c"]) == ["c", "x"]
    assert forms.is_one_array([order("a"), order("b")])
    assert not forms.is_one_array([order("a"), order("a", slurm=options)])


def fleet(node: dict[str, Any], **service: Any) -> FleetSection:
    given = {"nodes": ["farm"], "command": ["daq"], **service}
    return FleetSection.model_validate({"nodes": {"farm": node}, "services": {"daq": given}})


def said_by(section: FleetSection) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, node in section.nodes.items():
        for path, text in node.problems():
            yield ("nodes", name, *path), text
    yield from section.problems()


SLURM = {"engine": "slurm", "slurm": {"partition": "main", "conf": "slurm.conf"}}


@pytest.mark.parametrize(
    ("node", "service", "place", "said"),
    [
        (SLURM, {"image": "camera:1"}, "image", "farm runs programs, not images"),
        (SLURM, {"user": "7"}, "user", "is for containers"),
        (SLURM, {"environment": {"MY-NAME": "a"}}, "MY-NAME", "letters, digits and _ only"),
        (SLURM, {"devices": ["usb:A50285BI"]}, 0, "name the host in slurm.hosts, and give the program a path"),
        (SLURM, {"slurm": {"hosts": ["a"], "exclude": ["a"]}}, "exclude", "a is in hosts too"),
        (SLURM | {"url": "tcp://a:1"}, {}, "url", "only docker and podman"),
        (SLURM | {"engine": "process"}, {}, "slurm", "it is for a node with engine: slurm"),
        ({}, {"slurm": {"partition": "main"}}, "slurm", "none of its nodes has engine: slurm"),
        ({}, {"limits": {"cpus": 2}}, "limits", "is for containers"),
    ],
)
def test_a_mistake_is_told_at_its_key(
    node: dict[str, Any], service: dict[str, Any], place: str | int, said: str
) -> None:
    (problem,) = set(said_by(fleet(node, **service)))
    assert problem[0][-1] == place and said in problem[1]


def test_a_service_has_the_options_of_its_node_where_it_says_nothing() -> None:
    section = fleet(SLURM, slurm={"hosts": ["n{index}"]}, limits={"cpus": 2}, copies=2)
    assert not list(said_by(section))
    revision = wanted(section)
    found = Resolver(revision).resolve(revision.services[0], InstanceId("daq", "farm", 1)).spec
    assert found.slurm == JobOptions(partition="main", hosts=("n1",)) and found.limits.cpus == 2
    assert revision.nodes[0].slurm.conf == "slurm.conf"


def test_words_of_a_command_are_filled_for_each_instance() -> None:
    section = fleet({}, command=["agent", "--id={service}-{index}"], health={"exec": ["test", "{index}"]})
    revision = wanted(section)
    found = Resolver(revision).resolve(revision.services[0], InstanceId("daq", "farm", 1)).spec
    assert (found.command, found.health.command) == (("agent", "--id=daq-1"), ("test", "1"))


async def test_an_actor_is_spoken_to_where_its_job_runs() -> None:
    one = EngineInstance(id=ONE, digest="d", revision=1, change="", is_running=True, since_ns=5, host="n7")
    actors = NodeActors(SystemClock(), "")
    actors.follow([one])
    assert actors.client(ONE, ActorPort(port="19991")).address.host == "n7"
    await actors.close()


def test_what_is_not_said_of_slurm_is_no_part_of_the_digest() -> None:
    assert b"slurm" not in msgspec.json.encode(wanted(fleet({})).services[0].spec)

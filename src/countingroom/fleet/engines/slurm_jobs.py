"""Batch jobs of Slurm as countingroom makes and reads them: the mark of a job, its script, its states. Pure.

The mark is the comment of the job: of which instance it is, and for what it was made. Its script has the specs, so that
a keeper that has no files of the one before it finds what runs, and from what it was made.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from countingroom.core.fleet.batch_jobs import JobOptions
from countingroom.core.fleet.specs import InstanceId, ServiceSpec
from countingroom.fleet.engines.port import MakeOrder

_NS = 1_000_000_000
_MARK = "countingroom "
_SCRIPT_MARK = "# countingroom "
_NO_LOG = 128 + 53
"""With this signal Slurm ends a job whose output cannot be opened."""
STEADY_NS = 10 * _NS
"""A job that ran for so long has not ended in a row with the one before."""
NOT_STARTED = (126, 127)
"""What the script ends with where the working folder or the program is not there, or may not be run."""
COLUMNS = {
    "JobArrayID": 32,
    "JobID": 16,
    "State": 16,
    "Reason": 64,
    "BatchHost": 64,
    "SubmitTime": 16,
    "StartTime": 16,
    "EndTime": 16,
    "exit_code": 12,
    "Comment": 1024,
}
"""What squeue is asked, with the width of each column: a text may hold any separator."""
_WAITING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
_RUNNING = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"})
_ENDS = {
    "TIMEOUT": "its time limit was reached",
    "CANCELLED": "it was cancelled in Slurm",
    "PREEMPTED": "another job took its place",
    "DEADLINE": "its deadline was reached",
    "BOOT_FAIL": "its host did not start",
    "REVOKED": "another cluster runs it",
    "OUT_OF_MEMORY": "it used more memory than its limit",
}
_REASONS = {
    "Resources": "it waits for free resources",
    "Priority": "it waits behind jobs of higher priority",
    "Dependency": "it waits for the end of the job before it",
    "JobHeldUser": "it is held: scontrol release",
    "JobHeldAdmin": "an administrator of the cluster holds it",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "PartitionTimeLimit": "its time limit is longer than that of its partition",
    "PartitionConfig": "its partition cannot run it: see its limits",
    "ReqNodeNotAvail": "the hosts that it asks for are not available",
    "BadConstraints": "no host has what it asks for",
    "Reservation": "it waits for its reservation",
}


class Mark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The comment of a job."""

    experiment: str
    node: str
    service: str
    token: str
    """Of one submission."""
    index: int | None = None
    """None: the index of its task in an array of jobs."""
    revision: int = 0
    change: str = ""
    crashes: int = 0
    """Ends in a row before it."""


class Job(Struct, frozen=True, kw_only=True):
    """One job, or one task of an array of jobs, as squeue shows it."""

    id: InstanceId
    mark: Mark
    name: str
    """For scancel: `12` or `12_3`."""
    number: int
    """For srun; of a task it is not that of its array."""
    state: str
    reason: str = ""
    host: str = ""
    submitted_ns: int = 0
    started_ns: int = 0
    ended_ns: int = 0
    wait_status: int | None = 0
    """As the kernel gives it; None: what Slurm says is not understood."""

    @property
    def is_running(self) -> bool:
        """Its program runs."""
        return self.state in _RUNNING

    @property
    def is_waiting(self) -> bool:
        """It has not begun yet."""
        return self.state in _WAITING

    @property
    def is_live(self) -> bool:
        """It runs or will run."""
        return self.is_running or self.is_waiting

    @property
    def is_ending(self) -> bool:
        """It has ended, and its host is not free of it yet: how it ended is not told before."""
        return self.state == "COMPLETING"


class JobEnd(Struct, frozen=True, kw_only=True):
    """How a job ended."""

    since_ns: int = 0
    status: int | None = None
    """As a shell has it; None: it has none, for a cause outside of its program."""
    crashes: int = 1
    reason: str = ""


class KeptOrder(Struct, frozen=True, kw_only=True):
    """The part of the order of an instance that is kept in the script."""

    digest: str
    spec: ServiceSpec


def mark_text(mark: Mark) -> str:
    """The comment of a job."""
    return _MARK + msgspec.json.encode(mark).decode()


def read_jobs(output: bytes, experiment: str, node: str) -> list[Job]:
    """The jobs of one node of one experiment in what squeue says. All others are left out."""
    found: list[Job] = []
    for line in output.split(b"\n"):
        fields: dict[str, str] = {}
        place = 0
        for name, width in COLUMNS.items():
            fields[name] = line[place : place + width].decode(errors="replace").strip()
            place += width
        if (job := _job(fields)) and (job.mark.experiment, job.mark.node) == (experiment, node):
            found.append(job)
    return found


def _job(fields: Mapping[str, str]) -> Job | None:
    comment = fields["Comment"]
    if not comment.startswith(_MARK):
        return None
    try:
        mark = msgspec.json.decode(comment.removeprefix(_MARK), type=Mark)
        number = int(fields["JobID"])
        index = mark.index if mark.index is not None else int(fields["JobArrayID"].partition("_")[2])
    except (msgspec.DecodeError, ValueError):
        return None
    return Job(
        id=InstanceId(mark.service, mark.node, index),
        mark=mark,
        name=fields["JobArrayID"],
        number=number,
        state=fields["State"].partition(" ")[0],
        reason="" if fields["Reason"] == "None" else fields["Reason"],
        host=fields["BatchHost"] if fields["BatchHost"] != "n/a" else "",
        submitted_ns=_time_ns(fields["SubmitTime"]),
        started_ns=_time_ns(fields["StartTime"]),
        ended_ns=_time_ns(fields["EndTime"]),
        wait_status=_raw_status(fields["exit_code"]),
    )


def _raw_status(text: str) -> int | None:
    """The status that the kernel gives, of a column exit_code: `32512` up to Slurm 23.11, later `127:0` (status and
    signal). None where it is neither."""
    status, colon, signal = text.partition(":")
    if not status.isdigit() or not (signal.isdigit() or not colon):
        return None
    return int(status) << 8 | int(signal) if colon else int(status)


def preferred(jobs: Sequence[Job]) -> Job:
    """Of the jobs of one instance that run or wait, that which stands for it: one that runs, else the oldest."""
    return min(jobs, key=lambda job: (not job.is_running, job.number))


def waits_for(job: Job) -> str:
    """Why it does not run; empty: it runs."""
    if job.is_ending:
        return "it has ended, and its host is not free of it yet (COMPLETING)"
    if job.is_running:
        return "" if job.state == "RUNNING" else f"it does not go on ({job.state})"
    said = _REASONS.get(job.reason.partition(",")[0], "")
    return f"{said} ({job.reason})" if said else f"it waits in the queue ({job.reason or 'not tried yet'})"


def outcome(job: Job) -> JobEnd:
    """How it ended. The last line of its output is not known here."""
    status = None if job.wait_status is None else wait_status(job.wait_status)
    reason = _ENDS.get(job.state, "")
    if job.state == "NODE_FAIL":
        reason = f"its host {job.host} failed"
    if job.state == "CANCELLED" and not job.host:
        reason = "it was cancelled in Slurm before it began"
    is_own = job.state in ("COMPLETED", "FAILED", "OUT_OF_MEMORY", "COMPLETING")
    if job.state == "FAILED" and status is None:
        reason = "it failed, with a status that this version of Slurm writes in an unknown form"
    elif job.state == "FAILED" and status in (0, _NO_LOG):
        status, reason = NOT_STARTED[0], "its host could not write its log: is the folder of the node shared with it?"
    return JobEnd(
        since_ns=job.ended_ns or job.submitted_ns,
        status=status if is_own else None,
        crashes=_crashes(job, job.ended_ns),
        reason=reason,
    )


def gone(job: Job, now_ns: int, why: str) -> JobEnd:
    """The end of a job that the controller shows as running although its program is gone."""
    return JobEnd(since_ns=now_ns, crashes=_crashes(job, now_ns), reason=why)


def _crashes(job: Job, ended_ns: int) -> int:
    """Ends in a row, with this one."""
    ran_ns = ended_ns - job.started_ns if job.started_ns else 0
    return 1 if ran_ns >= STEADY_NS else job.mark.crashes + 1


def wait_status(raw: int) -> int:
    """The status that a shell would give, of the one that the kernel gives."""
    return 128 + (raw & 0x7F) if raw & 0x7F else raw >> 8


def accounted(output: str, crashes: int) -> JobEnd | None:
    """How a job ended that the controller has forgotten, of a line `State|ExitCode|End` of sacct; None: not told."""
    state, _, rest = output.strip().partition("\n")[0].partition("|")
    code, _, end = rest.partition("|")
    state = state.partition(" ")[0]
    found = re.fullmatch(r"(\d+):(\d+)", code)
    if not found or state in _RUNNING | _WAITING or not state:
        return None
    status = 128 + int(found[2]) if int(found[2]) else int(found[1])
    is_own = state in ("COMPLETED", "FAILED", "OUT_OF_MEMORY")
    return JobEnd(
        since_ns=_time_ns(end),
        status=status if is_own else None,
        crashes=crashes + 1,
        reason="its host failed" if state == "NODE_FAIL" else _ENDS.get(state, ""),
    )


def script(orders: Mapping[int, MakeOrder], directory: Mapping[int, str], python: str) -> str:
    """The batch script of some instances of a service. Every word of the description is quoted: none is read by the
    shell. Secrets are not in it. `directory`: of each instance, absolute."""
    kept = {str(index): KeptOrder(digest=order.digest, spec=order.spec) for index, order in orders.items()}
    lines = ["#!/bin/sh", _SCRIPT_MARK + msgspec.json.encode(kept).decode(), 'case "${SLURM_ARRAY_TASK_ID-one}" in']
    for index, order in orders.items():
        words = [python if word == "{python}" else word for word in order.spec.command]
        lines.append(f"{index if len(orders) > 1 else '*'})")
        lines += [f"export {name}={shlex.quote(value)}" for name, value in order.spec.environment.items()]
        lines += [f"cd -- {shlex.quote(directory[index])} || exit 126", f"set -- {shlex.join(words)}", ";;"]
    return "\n".join([*lines, "esac", 'exec "$@"', ""])


def orders_of(text: str) -> dict[int, KeptOrder]:
    """What a script was made from; nothing where it is not of countingroom."""
    for line in text.split("\n")[:5]:
        if line.startswith(_SCRIPT_MARK):
            try:
                kept = msgspec.json.decode(line.removeprefix(_SCRIPT_MARK), type=dict[str, KeptOrder])
            except msgspec.DecodeError:
                return {}
            return {int(index): order for index, order in kept.items() if index.isdigit()}
    return {}


def asked(spec: ServiceSpec) -> list[str]:
    """The arguments of sbatch for the options and limits of a service. Its hosts are left to the caller."""
    options = spec.slurm or JobOptions()
    found = ["--ntasks=1", "--nodes=1"]
    for name in ("partition", "account", "qos", "reservation", "constraint", "gres"):
        if value := getattr(options, name):
            found.append(f"--{name}={value}")
    if options.time_limit_s:
        found.append(f"--time={math.ceil(options.time_limit_s / 60)}")
    if options.exclusive:
        found.append("--exclusive")
    if spec.limits.cpus:
        found.append(f"--cpus-per-task={math.ceil(spec.limits.cpus)}")
    if spec.limits.memory_bytes:
        found.append(f"--mem={math.ceil(spec.limits.memory_bytes / 1024)}K")
    return found


def left_out(options: JobOptions, all_hosts: Iterable[str]) -> list[str]:
    """The hosts on which a job must not run, so that it runs on one of its `hosts`. Slurm's own list of hosts wants all
    of them at once."""
    known = set(all_hosts)
    return sorted({*options.exclude, *(known - set(options.hosts) if options.hosts else ())})


def is_one_array(orders: Sequence[MakeOrder]) -> bool:
    """Whether they can be tasks of one array: what they ask of the cluster is the same."""
    first = orders[0]
    return all(
        (asked(one.spec), one.spec.slurm, one.secrets) == (asked(first.spec), first.spec.slurm, first.secrets)
        for one in orders
    )


def _time_ns(text: str) -> int:
    return int(text) * _NS if text.isdigit() else 0

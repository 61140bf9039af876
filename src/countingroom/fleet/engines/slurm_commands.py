"""Runs the programs of Slurm, each within a deadline and without a shell, and tells what they refuse."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from countingroom.core.clock import timeout
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError
from countingroom.fleet.engines.environment import kept_environment
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.engines.log_files import TAIL_BYTES
from countingroom.fleet.engines.slurm_jobs import COLUMNS

CALL_S = 15.0
"""The programs give up after 10 s by themselves (`MessageTimeout`)."""
_UNREACHED = (
    "unable to contact slurm controller",
    "unable to establish",
    "socket timed out",
    "zero bytes were transmitted",
    "connect failure",
    "connection refused",
    "not responding",
    "in standby mode",
    "authentication",
    "munge",
    "unable to process configuration",
    "cannot stat file",
)
_OVER = ("invalid job id", "already completing", "already completed", "job/step already", "not running")
"""What scancel says of a job that has ended."""
_HINTS = {
    "partition": "list the partitions: sinfo -s",
    "account": "list your accounts: sacctmgr show associations user=$USER",
    "qos": "list them: sacctmgr show qos",
    "reservation": "list them: scontrol show reservations",
    "memory": "see what the hosts have: sinfo -N -o '%N %c %m'",
    "feature": "see what the hosts have: sinfo -N -o '%N %f'",
    "generic resource": "see what the hosts have: sinfo -N -o '%N %G'",
    "node": "see what the hosts have: sinfo -N -o '%N %c %m %f %G'",
    "time limit": "see the limits of the partitions: sinfo -s",
}


class SlurmCommands:
    """The programs of one cluster."""

    def __init__(self, conf: str, source: str) -> None:
        """`conf`: the file slurm.conf; empty: that of this computer."""
        self._source = source
        self._environment = kept_environment() | ({"SLURM_CONF": conf} if conf else {})
        self.may_act: MayAct = lambda: True
        """Asked before a job is submitted or ended."""

    def check_lease(self) -> None:
        """LinkError where this process does not keep the fleet."""
        check_lease(self.may_act, self._source)

    async def version(self) -> str:
        """`22.05.8`."""
        said = await self._asked("squeue", "--version")
        return said.strip().rpartition(" ")[2]

    async def jobs(self) -> bytes:
        """All jobs of this user that the controller remembers, one line for each task."""
        columns = ",".join(f"{name}:{width}" for name, width in COLUMNS.items())
        words = ("--me", "--noheader", "--array", "--states=all", f"--Format={columns}")
        status, output, wrong = await self._run("squeue", *words, more={"SLURM_TIME_FORMAT": "%s"})
        if status:
            raise self._unreached("squeue", wrong)
        return output

    async def submit(self, arguments: Sequence[str], script: str, secrets: Mapping[str, str]) -> str:
        """The number of a new job. `secrets`: further variables of its environment. DeviceError where Slurm refuses it;
        after LinkError it may be there or not."""
        self.check_lease()
        words = ("--parsable", "--no-requeue", "--export=ALL", "--open-mode=append", *arguments)
        status, output, wrong = await self._run("sbatch", *words, given=script.encode(), more=secrets)
        if status:
            raise self._refused("sbatch", wrong, "the job was refused")
        number = output.decode(errors="replace").strip().partition(";")[0]
        if not number.isdigit():
            raise LinkError(f"sbatch said {number[:80]!r} in place of a number", source=self._source)
        return number

    async def script(self, number: int) -> str:
        """The script of a job; empty where the controller does not have it any more."""
        status, output, wrong = await self._run("scontrol", "write", "batch_script", str(number), "-")
        if status and _is_unreached(wrong):
            raise self._unreached("scontrol", wrong)
        return "" if status else output.decode(errors="replace")

    async def cancel(self, names: Sequence[str], signal_name: str = "") -> None:
        """End jobs, or send a signal to all of their processes. What has ended is no error."""
        self.check_lease()
        words = (f"--signal={signal_name}", "--full") if signal_name else ()
        status, _, wrong = await self._run("scancel", *words, *names)
        if status and not all(any(one in line for one in _OVER) for line in wrong.lower().strip().split("\n")):
            raise self._refused("scancel", wrong, f"job {', '.join(names)} could not be ended")

    async def hosts(self) -> list[str]:
        """Those of the cluster."""
        said = await self._asked("sinfo", "--noheader", "--Node", "--format=%N")
        return sorted(set(said.split()))

    async def accounted(self, name: str) -> str:
        """What the accounting has of a job; empty where there is none."""
        words = ("--noheader", "--parsable2", "--allocations", f"--jobs={name}", "--format=State,ExitCode,End")
        status, output, _ = await self._run("sacct", *words, more={"SLURM_TIME_FORMAT": "%s"})
        return "" if status else output.decode(errors="replace")

    async def batch_steps(self, numbers: Sequence[int]) -> tuple[frozenset[int], frozenset[int]]:
        """(those that their host has, those that it has not) of jobs on one host, as its slurmd says. A job of which
        nothing is told is in none of them."""
        steps = ",".join(f"{number}.batch" for number in numbers)
        words = ("--noheader", "--parsable2", "--pidformat", f"--jobs={steps}")
        status, output, wrong = await self._run("sstat", *words)
        told = (line.partition(".batch|")[0] for line in output.decode(errors="replace").split("\n"))
        there = frozenset(int(number) for number in told if number.isdigit())
        if status or any("not found running" not in line for line in wrong.strip().split("\n") if line):
            return there, frozenset()
        return there, frozenset(numbers) - there

    async def host_starts(self, name: str) -> tuple[int, int]:
        """When a host was booted, and when its slurmd was started, ns since the epoch; 0: not known."""
        _, output, _ = await self._run("scontrol", "--oneliner", "show", "node", name, more={"SLURM_TIME_FORMAT": "%s"})
        facts = dict(word.split("=", 1) for word in output.decode(errors="replace").split() if "=" in word)
        booted, served = (facts.get(key, "") for key in ("BootTime", "SlurmdStartTime"))
        return _time_ns(booted), _time_ns(served)

    async def run_beside(
        self, number: int, command: Sequence[str], directory: str, environment: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str]:
        """(status, output) of a command on the host of a job."""
        words = (f"--jobid={number}", "--overlap", "--ntasks=1", "--nodes=1", f"--chdir={directory}", "--quiet")
        try:
            status, output, wrong = await self._run("srun", *words, *command, more=environment, deadline_s=timeout_s)
        except TimeoutError:
            return 124, f"it did not end within {timeout_s:g} s"
        told = [line for line in wrong.split("\n") if line and not line.startswith("srun: ")]
        if status and not output and not told:
            told = [line.removeprefix("srun: error: ") for line in wrong.strip().split("\n")]
        return status, output[-TAIL_BYTES:].decode(errors="replace") + "\n".join(told)

    async def _asked(self, program: str, *words: str) -> str:
        status, output, wrong = await self._run(program, *words)
        if status:
            raise self._unreached(program, wrong)
        return output.decode(errors="replace")

    async def _run(
        self,
        program: str,
        *words: str,
        given: bytes = b"",
        more: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
    ) -> tuple[int, bytes, str]:
        """(status, output, errors). LinkError after CALL_S; TimeoutError after a deadline that was given."""
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *words,
                env={**self._environment, **(more or {})},
                cwd="/",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise LinkError(
                f"{program} cannot be run on this computer: {error.strerror}",
                source=self._source,
                code="no_slurm",
                suggestion="install the client programs of Slurm (Debian: slurm-client) where the role fleet runs",
            ) from None
        try:
            async with timeout(deadline_s or CALL_S):
                output, wrong = await process.communicate(given)
        except TimeoutError:
            if deadline_s:
                raise
            raise LinkError(f"{program} did not answer within {CALL_S:g} s", source=self._source) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode or 0, output, wrong.decode(errors="replace")

    def _refused(self, program: str, wrong: str, what: str) -> CountingRoomError:
        if _is_unreached(wrong):
            return self._unreached(program, wrong)
        said = _said(program, wrong)
        hint = next((hint for word, hint in _HINTS.items() if word in said.lower()), "")
        return DeviceError(
            f"{what}: {said}",
            source=self._source,
            code="refused_by_slurm",
            suggestion=hint or "correct slurm and limits of the service",
        )

    def _unreached(self, program: str, wrong: str) -> LinkError:
        return LinkError(
            f"Slurm does not answer: {_said(program, wrong)}",
            source=self._source,
            suggestion="see whether its controller runs: scontrol ping",
        )


def _time_ns(text: str) -> int:
    return int(text) * 1_000_000_000 if text.isdigit() else 0


def _is_unreached(wrong: str) -> bool:
    return any(one in wrong.lower() for one in _UNREACHED)


def _said(program: str, wrong: str) -> str:
    """The last line of errors, without what is the same in all of them."""
    last = wrong.strip().rpartition("\n")[2].removeprefix(f"{program}: ").removeprefix("error: ")
    return last.removeprefix("Batch job submission failed: ")[:300] or f"{program} failed without a word"

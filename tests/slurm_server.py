"""A cluster of our own for tests: Slurm with two hosts, both this computer, on free ports of loopback."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from tests.container_engines import free_port, only_root, running, temporary_folder
from tests.hosts import Host, programs
from tests.patience import PATIENCE_S

_CONF = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge/s
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1000,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=0
ReturnToService=2
KillWait=2
BatchStartTimeout=1
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=32 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=32 RealMemory=1000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE
"""
_IN_SERVICE = ("idle", "mixed", "allocated", "completing")
"""Also with jobs that it had when it was killed: one of them makes it wholly allocated until they are ended."""


class SlurmServer:
    """A running cluster."""

    def __init__(self, folder: Path, controller: subprocess.Popen[bytes]) -> None:
        self.conf = folder / "slurm.conf"
        self.controller = controller
        self.hosts: dict[str, Host] = {}

    def kill(self, name: str) -> None:
        """A whole host: its slurmd, and the steps of jobs that run there."""
        found: list[psutil.Process] = []
        for one in self.programs(name):
            found += [*_steps_above(one), one]
        self.hosts[name].kill(found)

    def kill_steps(self, name: str) -> None:
        """Each slurmstepd of a host: the programs of its jobs are left."""
        for step in {step for one in self.programs(name) for step in _steps_above(one)}:
            step.kill()

    def programs(self, name: str) -> Iterator[psutil.Process]:
        """Those of the jobs of a host."""
        return programs(lambda _, environment: self._is_of_job(environment, name))

    def start(self, name: str) -> None:
        """A host that was killed, as a computer that has booted: its jobs are gone. By what slurmd tells at its start,
        the controller keeps those that are young, and those of which a step was begun since, as running."""
        self.hosts[name].start()
        end = time.monotonic() + PATIENCE_S
        while not self.is_in_service(name):
            assert time.monotonic() < end, self.state(name)
            time.sleep(0.02)

    def is_in_service(self, name: str) -> bool:
        """Whether the controller gives jobs to a host, as far as it has room."""
        try:
            return self.client("sinfo", "--noheader", f"--nodes={name}", "--format=%T").strip("*\n ") in _IN_SERVICE
        except RuntimeError:
            return False

    def state(self, name: str) -> str:
        """What the controller says of a host, and of all jobs."""
        asked = ("sinfo", "--noheader", f"--nodes={name}", "--format=%N is %T (%E)"), ("squeue", "--noheader")
        with suppress(RuntimeError):
            return "; ".join(" ".join(self.client(*words).split()) for words in asked)
        return "the controller does not answer"

    def _is_of_job(self, environment: Mapping[str, str], host: str) -> bool:
        return environment.get("SLURM_CONF") == str(self.conf) and environment.get("SLURMD_NODENAME") == host

    def client(self, *words: str) -> str:
        """The output of one of its programs."""
        environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        done = subprocess.run(
            words, check=False, capture_output=True, env=environment, timeout=PATIENCE_S, text=True, cwd="/"
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        return done.stdout


def _steps_above(program: psutil.Process) -> list[psutil.Process]:
    """The slurmstepd of a program, and what stands between, from above."""
    with suppress(psutil.NoSuchProcess):
        return [step for step in reversed(program.parents()) if step.name() == "slurmstepd"]
    return []


@contextmanager
def slurm_server(needs: Callable[..., str]) -> Generator[SlurmServer]:
    """A controller and two hosts. Skips where there is none or it may not run."""
    munged, slurmctld, slurmd = needs("munged"), needs("slurmctld"), needs("slurmd")
    only_root()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        folder.chmod(0o755)
        for name in ("munge", "state", "n1", "n2"):
            (folder / name).mkdir(mode=0o755)
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        conf = folder / "slurm.conf"
        conf.write_text(_CONF.format(folder=folder, ports=[free_port() for _ in range(3)]))
        place = folder / "munge"
        command = [munged, "--foreground", "--force", f"--socket={place / 's'}", f"--key-file={key}"]
        command += [f"--pid-file={place / 'pid'}", f"--log-file={place / 'log'}", f"--seed-file={place / 'seed'}"]
        stack.enter_context(running(command, folder / "munged.log", {}, (place / "s").is_socket))
        controller = stack.enter_context(
            running([slurmctld, "-D", "-f", str(conf)], folder / "slurmctld.log", {}, lambda: True)
        )
        server = SlurmServer(folder, controller)
        for host in ("n1", "n2"):
            command = [slurmd, "-D", "-f", str(conf), "-N", host]
            ready, state = partial(server.is_in_service, host), partial(server.state, host)
            begin = partial(running, command, folder / f"{host}.log", {}, ready, state)
            server.hosts[host] = stack.enter_context(Host(begin))
        yield server
        server.client("scancel", "--me", "--signal=KILL", "--full")
        server.client("scancel", "--me")

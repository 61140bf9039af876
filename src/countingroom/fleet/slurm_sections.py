"""The parts of the section `fleet` that are about batch jobs of Slurm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from countingroom.core.fleet.batch_jobs import ClusterAccess, JobOptions
from countingroom.core.yaml.section import Seconds, Section
from countingroom.fleet.container_sections import Problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = r"^[A-Za-z0-9._{}\-]+$"
Host = Annotated[str, Field(pattern=_HOST)]
Word = Annotated[str, Field(pattern=r"^[^\s-]\S*$|^$")]


class JobSection(Section):
    """What a service asks of a cluster with Slurm, beside its `limits`. What is not said is as the cluster has it."""

    partition: Word = ""
    account: Word = ""
    qos: Word = ""
    reservation: Word = ""
    time_limit: Annotated[Seconds, Field(ge=0)] = 0.0
    """Slurm ends the job after it, in whole minutes; the keeper then starts it again as `restart` says."""
    hosts: list[Host] = []
    """It runs on one of these hosts of the cluster."""
    exclude: list[Host] = []
    """It runs on none of these."""
    constraint: Word = ""
    """Features that its host has: `infiniband&avx2`."""
    gres: Word = ""
    """Generic resources: `gpu:1`."""
    exclusive: bool = False
    """Nothing else runs on its host."""

    @property
    def options(self) -> JobOptions:
        """As the engine takes them."""
        return JobOptions(
            partition=self.partition,
            account=self.account,
            qos=self.qos,
            reservation=self.reservation,
            time_limit_s=self.time_limit,
            hosts=tuple(self.hosts),
            exclude=tuple(self.exclude),
            constraint=self.constraint,
            gres=self.gres,
            exclusive=self.exclusive,
        )

    def problems(self) -> Iterator[Problem]:
        """Hosts that contradict each other."""
        for name in sorted({*self.hosts} & {*self.exclude}):
            yield ("exclude",), f"{name} is in hosts too"


class ClusterSection(JobSection):
    """How a cluster is reached, and what all services on it ask for where they do not say otherwise."""

    conf: str = ""
    """The file slurm.conf, relative to the description; empty: that of the computer of the role `fleet`."""
    folder: str = ""
    """For the output of the services: a folder that the hosts of the cluster see under the same path. Empty: in the
    data folder, which they must see then."""

    @property
    def access(self) -> ClusterAccess:
        """As the engine takes it."""
        return ClusterAccess(conf=self.conf, folder=self.folder, options=self.options)


def variable_problems(key: str, names: Iterable[str]) -> Iterator[Problem]:
    """Variables that a batch job cannot have."""
    for name in names:
        if not _VARIABLE.fullmatch(name):
            yield (key, name), f"a variable of a batch job has letters, digits and _ only; got {name!r}"

"""Submits batch jobs to Slurm."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from countingroom.core.errors import DeviceError
from countingroom.core.fleet.batch_jobs import JobOptions
from countingroom.core.fleet.specs import ServiceSpec
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.port import MakeOrder
from countingroom.fleet.engines.slurm_commands import SlurmCommands
from countingroom.fleet.engines.slurm_jobs import Job, Mark
from countingroom.fleet.engines.slurm_records import JobRecords, MadeJob


class Submission:
    """For one node of one experiment."""

    def __init__(self, slurm: SlurmCommands, records: JobRecords, experiment: str, node: str, directory: Path) -> None:
        """`directory`: of the description, for relative paths."""
        self._slurm = slurm
        self._records = records
        self._experiment = experiment
        self._node = node
        self._directory = directory.absolute()
        self._source = f"fleet.{node}"

    async def submit(
        self, orders: Sequence[MakeOrder], *, after: Sequence[Job] = (), crashes: int = 0
    ) -> list[MadeJob]:
        """One job, or an array. `after`: jobs of the instance that must have ended before it begins."""
        first, spec = orders[0], orders[0].spec
        is_array = len(orders) > 1
        mark = Mark(
            experiment=self._experiment,
            node=self._node,
            service=first.id.service,
            token=uuid4().hex[:12],
            index=None if is_array else first.id.index,
            revision=first.revision,
            change=first.change,
            crashes=crashes,
        )
        for order in orders:
            await self._records.prepare(order.id)
        index = "%a" if is_array else str(first.id.index)
        arguments = [
            f"--job-name={self._experiment}-{first.id.service}",
            f"--comment={forms.mark_text(mark)}",
            f"--output={self._records.output(first.id.service, index)}",
            f"--chdir={self._directory}",
            *forms.asked(spec),
            *await self._hosts(spec),
        ]
        if is_array:
            arguments.append(f"--array={','.join(str(order.id.index) for order in orders)}")
        if after:
            arguments.append(f"--dependency=afterany:{':'.join(job.name for job in after)}")
        by_index = {order.id.index: order for order in orders}
        directories = {index: str(self._directory / order.spec.directory) for index, order in by_index.items()}
        script = forms.script(by_index, directories, sys.executable)
        number = await self._slurm.submit(arguments, script, first.secrets)
        return [
            MadeJob(
                id=order.id,
                digest=order.digest,
                revision=order.revision,
                change=order.change,
                spec=order.spec,
                token=mark.token,
                job=f"{number}_{order.id.index}" if is_array else number,
                crashes=crashes,
            )
            for order in orders
        ]

    async def _hosts(self, spec: ServiceSpec) -> list[str]:
        """The arguments of sbatch for the hosts on which it may run."""
        options = spec.slurm or JobOptions()
        arguments = [f"--nodelist={options.hosts[0]}"] if len(options.hosts) == 1 else []
        known = await self._slurm.hosts() if len(options.hosts) > 1 else ()
        if unknown := sorted({*options.hosts} - {*known}) if known else []:
            raise DeviceError(
                f"Slurm has no host {', '.join(unknown)}",
                source=self._source,
                code="no_host",
                suggestion="list its hosts: sinfo -N",
            )
        out = forms.left_out(options, known)
        return [*arguments, f"--exclude={','.join(out)}"] if out else arguments

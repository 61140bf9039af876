"""What a service asks of a cluster that runs it as a batch job. Pure."""

from __future__ import annotations

from msgspec import Struct


class JobOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Beside `ServiceSpec.limits`. Empty: what the cluster gives."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    time_limit_s: float = 0.0
    """The cluster ends the job after it; 0: the limit of the partition."""
    hosts: tuple[str, ...] = ()
    """It runs on one of these."""
    exclude: tuple[str, ...] = ()
    """It runs on none of these."""
    constraint: str = ""
    gres: str = ""
    """Generic resources: `gpu:1`."""
    exclusive: bool = False
    """Nothing else runs on its host."""

    def over(self, defaults: JobOptions) -> JobOptions:
        """These settings, completed with those of the node."""
        names = self.__struct_fields__
        return JobOptions(**{name: getattr(self, name) or getattr(defaults, name) for name in names})


class ClusterAccess(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a cluster is used by a node of the fleet."""

    conf: str = ""
    """The file slurm.conf; empty: that of the computer."""
    folder: str = ""
    """For logs, seen by the hosts of the cluster under the same path; empty: in the data folder."""
    options: JobOptions = JobOptions()
    """For services that do not say otherwise."""

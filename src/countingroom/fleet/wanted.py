"""What a section `fleet` wants, as a revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET, structs

from countingroom.core.fleet.specs import (
    ActorPort,
    HealthCheck,
    NodePower,
    Reach,
    RegistryLogin,
    ResourceLimits,
    Revision,
    ServiceSpec,
    SshReach,
    UpdatePolicy,
    Volume,
    WantedNode,
    WantedService,
)
from countingroom.core.values import Scalar
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.fleet.container_sections import CONTAINER_ENGINES, TCP
from countingroom.fleet.description import FleetSection, HealthSection, NodeSection, ServiceSection
from countingroom.fleet.own_programs import OwnProgram
from countingroom.fleet.slurm_sections import JobSection
from countingroom.fleet.ssh_section import PowerSection, SshSection


def wanted(
    section: FleetSection,
    programs: Mapping[str, Sequence[OwnProgram]] | None = None,
    *,
    number: int = 0,
    by: str = "",
    time_ns: int = 0,
    comment: str = "",
) -> Revision:
    """The revision that the description would be. `programs`: service with `run` -> the services that are made of it.
    `number`: 0 where it is not saved."""
    made = programs or {}
    logins = tuple(
        RegistryLogin(
            host=host,
            user=one.user,
            password=_place(one.password) if one.password else "",
            ca=str(one.ca or ""),
            insecure=one.insecure,
        )
        for host, one in section.registries.items()
    )
    return Revision(
        number=number,
        nodes=tuple(
            WantedNode(
                name=name,
                address=node.address or _host(node.url),
                engine=node.engine,
                labels=node.every_label,
                reach=_reach(node),
                ssh=_ssh(node.ssh),
                has_ssh=node.engine == "ssh" or node.ssh is not None,
                power=_power(node.power),
                registries=logins if node.engine in CONTAINER_ENGINES else (),
                slurm=node.slurm.access,
            )
            for name, node in section.nodes.items()
        ),
        services=tuple(
            one for name, service in section.services.items() for one in _services(section, name, service, made)
        ),
        by=by,
        time_ns=time_ns,
        comment=comment,
    )


def _services(
    section: FleetSection, name: str, service: ServiceSection, made: Mapping[str, Sequence[OwnProgram]]
) -> Iterator[WantedService]:
    """A service of the description; of one with `run` all that are made of it."""
    one = WantedService(
        name=name,
        spec=_spec(service),
        nodes=tuple(section.placed(service)),
        copies=service.copies,
        update=UpdatePolicy(
            max_parallel=service.update.max_parallel,
            canary=service.update.canary,
            min_healthy=service.update.min_healthy,
            healthy_for_s=service.update.healthy_for,
            rollback=service.update.rollback,
        ),
        depends_on=tuple(
            needed
            for other in service.depends_on
            for needed in ([program.name for program in made[other]] if other in made else [other])
        ),
        category=service.category,
        title=service.title,
        restart_unhealthy_s=service.health.restart_after or 0.0,
    )
    if not service.run:
        yield one
    for program in made.get(name, ()) if service.run else ():
        spec = structs.replace(
            one.spec,
            command=program.command,
            environment={**program.environment, **one.spec.environment},
            secrets={**one.spec.secrets, **program.secrets},
            health=one.spec.health if one.spec.health.kind else _PRESENT,
        )
        yield structs.replace(
            one, name=program.name, spec=spec, nodes=program.nodes, runs=program.runs, title=program.title
        )


_PRESENT = HealthCheck(kind="presence", interval_s=1.0)


def _spec(service: ServiceSection) -> ServiceSpec:
    return ServiceSpec(
        image=service.image,
        command=tuple(service.command),
        environment={name: _text(value) for name, value in service.environment.items()},
        secrets={name: _place(one) for name, one in service.secrets.items()},
        volumes=tuple(
            Volume(
                source=one.source,
                target=one.target,
                read_only=one.read_only,
                driver=one.driver,
                options=dict(one.options),
            )
            for one in service.volumes
        ),
        devices=tuple(service.devices),
        privileged=service.privileged,
        network=service.network,
        ports=tuple(service.ports),
        user=service.user,
        limits=ResourceLimits(cpus=service.limits.cpus, memory_bytes=service.limits.memory),
        directory=service.directory,
        restart=service.restart,
        health=_health(service.health),
        actor=ActorPort(port=str(service.actor.port), form=service.actor.form) if service.actor else UNSET,
        start_period_s=service.start_period,
        grace_s=service.grace,
        slurm=service.slurm.options if service.slurm != JobSection() else UNSET,
    )


def _reach(node: NodeSection) -> Reach:
    tls = node.tls
    return Reach(
        url=node.url,
        ca=str(tls.ca) if tls else "",
        certificate=str(tls.certificate) if tls else "",
        key=str(tls.key) if tls else "",
        insecure=node.insecure,
    )


def _ssh(node: SshSection | None) -> SshReach:
    if node is None:
        return SshReach()
    return SshReach(
        user=node.user,
        port=node.port,
        key=str(node.key) if node.key else "",
        passphrase=_place(node.passphrase) if node.passphrase else "",
        agent=node.agent,
        known_hosts=str(node.known_hosts) if node.known_hosts else "",
        host_key=node.host_key,
        connect_s=node.connect,
        keepalive_s=node.keepalive,
        folder=node.folder,
        python=node.python,
        reboot=tuple(node.reboot),
        boot_s=node.boot,
    )


def _power(node: PowerSection | None) -> NodePower | None:
    if node is None:
        return None
    return NodePower(
        device=node.device,
        point=node.point,
        off_value=node.off_value,
        on_value=node.on_value,
        channel=node.channel,
        off_command=node.off_command,
        on_command=node.on_command,
    )


def _host(url: str) -> str:
    """The computer of `tcp://host:2376`; empty: this one."""
    return url.removeprefix(TCP).rpartition(":")[0].strip("[]") if url.startswith(TCP) else ""


def _place(secret: SecretReference) -> str:
    return f"file:{secret.file}" if secret.file else f"env:{secret.env}"


def _health(check: HealthSection) -> HealthCheck:
    port, _, path = check.http.partition("/")
    return HealthCheck(
        kind="exec" if check.exec else "tcp" if check.tcp else "http" if check.http else "actor" if check.actor else "",
        command=(check.actor,) if check.actor else tuple(check.exec),
        port=check.tcp or (int(port) if port else 0),
        path=f"/{path}",
        interval_s=check.interval,
        timeout_s=check.timeout,
        failures=check.failures,
    )


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

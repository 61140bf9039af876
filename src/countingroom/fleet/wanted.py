"""What a section `fleet` wants, as a revision."""

from __future__ import annotations

from countingroom.core.fleet.specs import HealthCheck, Revision, ServiceSpec, UpdatePolicy, WantedNode, WantedService
from countingroom.core.values import Scalar
from countingroom.fleet.description import FleetSection, HealthSection, ServiceSection


def wanted(section: FleetSection, *, number: int = 0, by: str = "", time_ns: int = 0, comment: str = "") -> Revision:
    """The revision that the description would be. `number`: 0 where it is not saved."""
    return Revision(
        number=number,
        nodes=tuple(
            WantedNode(
                name=name,
                address=node.address,
                engine=node.engine,
                labels={"category": node.category, **node.labels} if node.category else dict(node.labels),
            )
            for name, node in section.nodes.items()
        ),
        services=tuple(
            WantedService(
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
                depends_on=tuple(service.depends_on),
                category=service.category,
            )
            for name, service in section.services.items()
        ),
        by=by,
        time_ns=time_ns,
        comment=comment,
    )


def _spec(service: ServiceSection) -> ServiceSpec:
    return ServiceSpec(
        command=tuple(service.command),
        environment={name: _text(value) for name, value in service.environment.items()},
        secrets={name: f"file:{one.file}" if one.file else f"env:{one.env}" for name, one in service.secrets.items()},
        directory=service.directory,
        restart=service.restart,
        health=_health(service.health),
        start_period_s=service.start_period,
        grace_s=service.grace,
    )


def _health(check: HealthSection) -> HealthCheck:
    port, _, path = check.http.partition("/")
    return HealthCheck(
        kind="exec" if check.exec else "tcp" if check.tcp else "http" if check.http else "",
        command=tuple(check.exec),
        port=check.tcp or (int(port) if port else 0),
        path=f"/{path}",
        interval_s=check.interval,
        timeout_s=check.timeout,
        failures=check.failures,
    )


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

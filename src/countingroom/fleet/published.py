"""The published states of the fleet, from what is seen and remembered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.core.fleet.observed import Health, Observed, ObservedInstance, ObservedNode
from countingroom.core.fleet.record import FleetRecord
from countingroom.core.fleet.resolver import Resolvers
from countingroom.core.fleet.specs import (
    PLACEHOLDER,
    InstanceId,
    Revision,
    ServiceSpec,
    WantedNode,
    WantedService,
    split_image,
)
from countingroom.core.fleet.states import InstanceState, NodeReboot, NodeState, ServiceState
from countingroom.fleet.engines.port import EngineFacts
from countingroom.fleet.reconciler.actions import Delay
from countingroom.fleet.reconciler.survey import FleetView, ServiceSurvey


def node_state(
    node: ObservedNode,
    wanted: WantedNode,
    facts: EngineFacts | None,
    record: FleetRecord,
    reboot: NodeReboot | None = None,
) -> NodeState:
    """The state of a node. `facts`: of its engine, where it did answer already."""
    ways = (("soft", wanted.has_ssh), ("hard", wanted.power is not None))
    return NodeState(
        node=node.name,
        address=wanted.address,
        engine=facts.engine if facts else wanted.engine,
        url=f"ssh://{wanted.address}:{wanted.ssh.port}" if wanted.engine == "ssh" else wanted.reach.url,
        category=wanted.labels.get("category", ""),
        labels=dict(wanted.labels),
        is_reachable=node.is_reachable,
        since_ns=node.since_ns,
        cause=node.cause,
        cordon=record.cordons.get(node.name),
        instances=len(node.instances),
        healthy=sum(one.health is Health.HEALTHY for one in node.instances.values()) if node.is_reachable else 0,
        warning=f"{wanted.reach.url} is without TLS: every computer that reaches it can administer the node"
        if wanted.reach.insecure
        else "",
        pulls=node.pulls,
        usb=node.usb or (),
        boot=facts.boot if facts else "",
        restarts=tuple(name for name, can in ways if can),
        reboot=reboot,
    )


class ServiceStates:
    """Makes the states of all services of one step."""

    def __init__(
        self,
        record: FleetRecord,
        revisions: Mapping[int, Revision],
        observed: Observed,
        doing: Mapping[InstanceId, str],
        waiting: Iterable[Delay],
        titles: Mapping[str, str],
        resolvers: Resolvers | None = None,
    ) -> None:
        self._fleet = FleetView(record, revisions, observed, resolvers)
        self._doing = doing
        self._waiting = list(waiting)
        self._titles = titles

    def all(self, logs: Mapping[str, tuple[str, ...]]) -> dict[str, ServiceState]:
        """Service -> its state. `logs`: the last steps of each."""
        return {name: self._state(name, logs.get(name, ())) for name in self._fleet.names}

    def _state(self, name: str, log: tuple[str, ...]) -> ServiceState:
        survey = self._fleet.survey(name)
        change, service = survey.change, survey.service
        return ServiceState(
            service=name,
            title=(service.title if service else "") or self._titles.get(name, ""),
            category=service.category if service else "",
            runs=service.runs if service else "",
            is_actor=bool(service and service.spec.actor),
            is_wanted=service is not None,
            version=_version(service) if service else "",
            phase=change.phase,
            target=change.target,
            revision=change.effective,
            since_ns=change.since_ns,
            cause=change.cause,
            disabled=self._fleet.record.disabled.get(name),
            instances=tuple(self._instances(survey)),
            waiting=tuple(
                f"{one.node}: {one.why}" if one.node else one.why for one in self._waiting if one.service == name
            ),
            volumes=_volumes(service.spec) if service else {},
            log=log,
        )

    def _instances(self, survey: ServiceSurvey) -> Iterable[InstanceState]:
        current = {one.id for one in survey.current}
        ids = {
            *(one.id for one in (*survey.missing, *survey.outdated, *survey.current)),
            *(one.id for one in survey.extra),
            *survey.busy,
            *survey.ending,
            *survey.lost,
            *survey.cordoned,
        }
        for id in sorted(ids):
            node = self._fleet.observed.nodes.get(id.node)
            seen = node.instances.get(id) if node else None
            aside = self._fleet.record.cordons.get(id.node)
            if seen is None and aside and aside.drain:
                continue  # it is not wanted there until the node is used again
            yield self._instance(
                id, seen, is_known=node is not None and node.is_reachable, is_current=id in current or id in survey.busy
            )

    def _instance(
        self, id: InstanceId, seen: ObservedInstance | None, *, is_known: bool, is_current: bool
    ) -> InstanceState:
        doing = self._doing.get(id, "")
        if seen is None:
            return InstanceState(node=id.node, index=id.index, is_known=is_known, is_current=is_current, doing=doing)
        return InstanceState(
            node=id.node,
            index=id.index,
            health=seen.health,
            is_known=is_known,
            since_ns=seen.since_ns,
            revision=seen.revision,
            is_current=is_current,
            version=_version(self._fleet.service(id.service, seen.revision)),
            crashes=seen.crashes,
            exit_status=seen.exit_status,
            is_over=_is_over(self._fleet.service(id.service, seen.revision), seen),
            reason=seen.reason,
            drift=seen.drift,
            doing=doing,
            engine_id=seen.engine_id,
            host=seen.host,
        )


def _is_over(service: WantedService | None, seen: ObservedInstance) -> bool:
    if service is None or seen.health is not Health.EXITED:
        return False
    restart = service.spec.restart
    return restart == "never" or (restart == "on-failure" and seen.exit_status == 0)


def _volumes(spec: ServiceSpec) -> dict[str, str]:
    devices = {one.source: one.options.get("device", "") for one in spec.volumes if not one.source.startswith("/")}
    return {name: "" if PLACEHOLDER.search(device) else device for name, device in devices.items()}


def _version(service: WantedService | None) -> str:
    if service is None:
        return ""
    return split_image(service.spec.image)[1] if service.spec.image else ""

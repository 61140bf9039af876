"""Compares the instances of one service that are wanted with those that are seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.core.fleet.observed import Health, Observed, ObservedInstance
from countingroom.core.fleet.record import Change, FleetRecord, Phase
from countingroom.core.fleet.resolver import ResolvedSpec, Resolvers
from countingroom.core.fleet.specs import InstanceId, Revision, WantedService

_NS = 1_000_000_000


class WantedInstance(Struct, frozen=True, gc=False):
    """One instance that is wanted, and what is there."""

    id: InstanceId
    resolved: ResolvedSpec
    seen: ObservedInstance | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether it works at present, in whatever version."""
        return self.seen is not None and self.seen.health is Health.HEALTHY


class ServiceSurvey(Struct, frozen=True, kw_only=True, gc=False):
    """The instances of a service by what is to be done with them. Each is in one of the groups."""

    service: WantedService | None
    """None: no revision wants it any more."""
    change: Change
    missing: tuple[WantedInstance, ...] = ()
    outdated: tuple[WantedInstance, ...] = ()
    """Made from another spec, or changed by hand."""
    current: tuple[WantedInstance, ...] = ()
    extra: tuple[ObservedInstance, ...] = ()
    """Not wanted (any more)."""
    busy: tuple[InstanceId, ...] = ()
    ending: tuple[InstanceId, ...] = ()
    """Not wanted, and an action works on them."""
    lost: tuple[InstanceId, ...] = ()
    """Wanted, or last seen, on a node that does not answer."""
    interrupted: tuple[InstanceId, ...] = ()
    """Those of `lost` that were being changed then, or whose node was not seen yet; on nodes that are not set aside."""
    cordoned: tuple[InstanceId, ...] = ()
    """Wanted or seen on a node that is set aside."""

    @property
    def healthy(self) -> int:
        """How many work at present, in whatever version."""
        return sum(one.is_healthy for one in (*self.outdated, *self.current))

    @property
    def changing(self) -> tuple[WantedInstance, ...]:
        """The current ones that were made by the present change."""
        return tuple(one for one in self.current if one.seen and one.seen.change == self.change.token)

    def settled(self, now_ns: int) -> tuple[WantedInstance, ...]:
        """Those of `changing` that have been healthy for long enough."""
        for_ns = int((self.service.update.healthy_for_s if self.service else 0.0) * _NS)
        return tuple(
            one for one in self.changing if one.is_healthy and one.seen and now_ns - one.seen.since_ns >= for_ns
        )


class FleetView:
    """What is wanted and seen, sorted by service. Made once for each step."""

    def __init__(
        self,
        record: FleetRecord,
        revisions: Mapping[int, Revision],
        observed: Observed,
        resolvers: Resolvers | None = None,
    ) -> None:
        """`resolvers`: what was resolved before; it only saves time."""
        resolvers = resolvers or Resolvers()
        self.record = record
        self.observed = observed
        self._services = {
            number: {service.name: service for service in revision.services} for number, revision in revisions.items()
        }
        self._resolvers = {number: resolvers.of(revision) for number, revision in revisions.items()}
        self._seen: dict[str, list[ObservedInstance]] = {}
        for node in observed.nodes.values():
            for instance in node.instances.values():
                self._seen.setdefault(instance.id.service, []).append(instance)

    @property
    def names(self) -> list[str]:
        """All services that are wanted, remembered or seen."""
        return sorted({*self.record.changes, *self._seen})

    def service(self, name: str, revision: int) -> WantedService | None:
        """The service as a revision has it."""
        return self._services.get(revision, {}).get(name)

    def survey(self, name: str, change: Change | None = None) -> ServiceSurvey:
        """Its instances, as a change wants them; without one: as the record has it."""
        change = change or self.record.changes.get(name) or Change(target=0, phase=Phase.DONE)
        service = self.service(name, change.effective)
        missing: list[WantedInstance] = []
        outdated: list[WantedInstance] = []
        current: list[WantedInstance] = []
        busy: list[InstanceId] = []
        ending: list[InstanceId] = []
        lost: list[InstanceId] = []
        cordoned: list[InstanceId] = []
        ids = () if service is None or name in self.record.disabled else tuple(service.instances())
        wanted = set(ids)
        puts_right = change.phase in (Phase.ROLLING, Phase.ROLLING_BACK)
        for id in ids:
            node = self.observed.nodes.get(id.node)
            if id in self.observed.busy:
                busy.append(id)
            elif node is None or not node.is_reachable:
                lost.append(id)
            elif aside := self.record.cordons.get(id.node):
                cordoned.append(id)
                if aside.drain:
                    wanted.discard(id)
            elif service:
                resolved = self._resolvers[change.effective].resolve(service, id)
                one = WantedInstance(id, resolved, node.instances.get(id))
                if one.seen is None:
                    missing.append(one)
                elif one.seen.digest != resolved.digest or (one.seen.drift and puts_right):
                    outdated.append(one)
                else:
                    current.append(one)
        seen = self._seen.get(name, ())
        extra = self._extra(seen, wanted, lost, cordoned, ending) if any(one.id not in wanted for one in seen) else ()
        return ServiceSurvey(
            service=service,
            change=change,
            missing=tuple(missing),
            outdated=tuple(outdated),
            current=tuple(current),
            extra=tuple(extra),
            busy=tuple(busy),
            ending=tuple(ending),
            lost=tuple(lost),
            interrupted=tuple(
                id
                for id in lost
                if id.node not in self.record.cordons and (id in self.observed.interrupted or self._is_awaited(id.node))
            ),
            cordoned=tuple(cordoned),
        )

    def _is_awaited(self, node: str) -> bool:
        """Whether it has not answered yet, and is not known to be lost: the keeper before may have left it anyhow."""
        seen = self.observed.nodes.get(node)
        return seen is not None and not seen.is_reachable and seen.cause is None

    def _extra(
        self,
        seen: Iterable[ObservedInstance],
        wanted: set[InstanceId],
        lost: list[InstanceId],
        cordoned: list[InstanceId],
        ending: list[InstanceId],
    ) -> Iterable[ObservedInstance]:
        for instance in seen:
            if instance.id in wanted:
                continue
            node = self.observed.nodes[instance.id.node]
            aside = self.record.cordons.get(instance.id.node)
            if instance.id in self.observed.busy:
                ending.append(instance.id)
            elif not node.is_reachable:
                lost.append(instance.id)
            elif aside and not aside.drain:
                cordoned.append(instance.id)
            elif instance.digest:  # what countingroom has not made is never ended by it
                yield instance

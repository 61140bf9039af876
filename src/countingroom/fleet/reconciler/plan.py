"""What would happen if a revision were applied: shown before anything is done. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.fleet.observed import Observed
from countingroom.core.fleet.plan import FleetPlan, PlannedChange, PlannedGate, PlannedNote
from countingroom.core.fleet.record import FleetRecord
from countingroom.core.fleet.resolver import Resolvers
from countingroom.core.fleet.specs import Revision, differences
from countingroom.core.fleet.usb import refused_usb
from countingroom.fleet.reconciler.apply import apply
from countingroom.fleet.reconciler.survey import FleetView, ServiceSurvey, WantedInstance


def plan(
    record: FleetRecord,
    revision: Revision,
    revisions: Mapping[int, Revision],
    observed: Observed,
    now_ns: int,
    resolvers: Resolvers | None = None,
) -> FleetPlan:
    """`revision`: the one that would be applied; it may have no number yet (0). `revisions`: those of the record.
    `resolvers`: what was resolved before; it only saves time."""
    resolvers = resolvers or Resolvers()
    wanted = apply(record, revision, now_ns)
    fleet = FleetView(wanted, {**revisions, revision.number: revision}, observed, resolvers)
    before = _Before(revisions, resolvers)
    changes: list[PlannedChange] = []
    notes: list[PlannedNote] = []
    gates: list[PlannedGate] = []
    stays = 0
    for name in fleet.names:
        if name not in wanted.changes:
            notes.append(PlannedNote(kind="left", service=name, text="it was not made by countingroom"))
            continue
        survey = fleet.survey(name)
        if rows := _rows(survey, before, observed):
            changes += rows
            gates += _gate(survey)
        notes += _notes(name, survey, wanted, observed)
        stays += len(survey.current)
    return FleetPlan(
        revision=revision.number,
        present=record.revision,
        changes=tuple(sorted(changes, key=lambda one: (_ORDER[one.kind], one.service, one.node, one.index))),
        notes=tuple(notes),
        gates=tuple(gates),
        stays=stays,
    )


_LONGEST_COMMAND = 60
_ORDER = {"replace": 0, "again": 1, "right": 2, "create": 3, "remove": 4}


class _Before:
    """Finds the spec that a running instance was made from."""

    def __init__(self, revisions: Mapping[int, Revision], resolvers: Resolvers) -> None:
        self._resolvers = {number: resolvers.of(one) for number, one in revisions.items()}
        self._services = {
            number: {service.name: service for service in one.services} for number, one in revisions.items()
        }

    def changes(self, one: WantedInstance) -> tuple[str, ...]:
        """What differs between what runs and what is wanted."""
        seen = one.seen
        if seen is None:
            return ()
        service = self._services.get(seen.revision, {}).get(one.id.service)
        if service is None:
            return (f"made from r{seen.revision}, which is not kept",) if seen.digest else ("made by hand",)
        old = self._resolvers[seen.revision].resolve(service, one.id)
        if old.digest != seen.digest:
            return ("made from another description",)
        return differences(old.spec, one.resolved.spec)


def _rows(survey: ServiceSurvey, before: _Before, observed: Observed) -> list[PlannedChange]:
    rows: list[PlannedChange] = []
    for one in survey.missing:
        rows.append(_row("create", one, (_short(one),), "it is not there", observed))
    for one in survey.outdated:
        what = before.changes(one)
        drift = one.seen.drift if one.seen else ()
        if drift and not what:
            rows.append(_row("right", one, drift, "changed by hand", observed))
        else:
            kind = "replace" if any(text.startswith("image ") for text in what) else "again"
            rows.append(_row(kind, one, (*what, *drift), "the revision differs", observed))
    for seen in survey.extra:
        row = PlannedChange(kind="remove", service=seen.id.service, node=seen.id.node, index=seen.id.index)
        rows.append(row if survey.service is None else _with_why(row, "not wanted there any more"))
    return rows


def _gate(survey: ServiceSurvey) -> list[PlannedGate]:
    """None for a service that is only removed."""
    service = survey.service
    if service is None:
        return []
    update, count = service.update, sum(1 for _ in service.instances())
    least = update.min_healthy
    return [
        PlannedGate(
            service=service.name,
            instances=count,
            max_parallel=update.max_parallel,
            min_healthy=max(count - update.max_parallel, 0) if least is None else least,
            canary=update.canary,
            healthy_for_s=update.healthy_for_s,
            start_period_s=service.spec.start_period_s,
            failures=service.spec.health.failures if service.spec.health.kind else 0,
            rollback=update.rollback,
        )
    ]


def _row(kind: str, one: WantedInstance, what: tuple[str, ...], why: str, observed: Observed) -> PlannedChange:
    image = one.resolved.spec.image
    return PlannedChange(
        kind=kind,
        service=one.id.service,
        node=one.id.node,
        index=one.id.index,
        what=what,
        why=why,
        pulls=image if image and image not in observed.nodes[one.id.node].images else "",
    )


def _with_why(row: PlannedChange, why: str) -> PlannedChange:
    return PlannedChange(kind=row.kind, service=row.service, node=row.node, index=row.index, why=why)


def _short(one: WantedInstance) -> str:
    spec = one.resolved.spec
    said = spec.image or " ".join(spec.command)
    return said if len(said) <= _LONGEST_COMMAND else f"{said[: _LONGEST_COMMAND - 1]}…"


def _notes(name: str, survey: ServiceSurvey, record: FleetRecord, observed: Observed) -> list[PlannedNote]:
    notes: list[PlannedNote] = []
    for id in survey.lost:
        node = observed.nodes.get(id.node)
        text = "its node does not answer; it is changed when it is back" if node else "its node is not known"
        notes.append(PlannedNote(kind="waits", service=name, node=id.node, text=text))
    for id in survey.cordoned:
        aside = record.cordons[id.node]
        notes.append(
            PlannedNote(kind="left", service=name, node=id.node, text=f"set aside by {aside.by}: {aside.reason}")
        )
    for one in (*survey.missing, *survey.outdated):
        node = observed.nodes[one.id.node]
        if cause := refused_usb(one.resolved.spec.devices, node.usb, node.name):
            notes.append(PlannedNote(kind="fails", service=name, node=node.name, text=cause.message))
    if aside := record.disabled.get(name):
        notes.append(PlannedNote(kind="left", service=name, text=f"disabled by {aside.by}: {aside.reason}"))
    return notes

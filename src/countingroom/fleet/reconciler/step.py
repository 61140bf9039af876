"""One step of the keeper: what is to be done now so that the fleet comes nearer to what is wanted. Pure.

The step is computed from what is seen, not from what was ordered before: a keeper that is killed at any moment, and
the one that takes over, go on from the same facts. A service is changed in this order: its image is pulled on all
nodes that need it, while everything goes on; then a canary where one is wanted; then at most `max_parallel` instances
at a time, and only while at least `min_healthy` stay healthy. A changed instance that fails ends the change, and where
the service wants it the earlier revision is brought back in the same way. Nodes that do not answer are left alone and
are changed when they are back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Attempt, Health, Observed
from countingroom.core.fleet.record import Change, FleetRecord, Phase, SetAside
from countingroom.core.fleet.resolver import ResolvedSpec, Resolvers
from countingroom.core.fleet.specs import (
    CRASHES_OF_A_LOOP,
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    InstanceId,
    Revision,
    ServiceSpec,
    WantedService,
)
from countingroom.core.fleet.usb import refused_usb
from countingroom.fleet.reconciler.actions import Delay, FleetAction, FleetActionKind, FleetStep
from countingroom.fleet.reconciler.survey import FleetView, ServiceSurvey, WantedInstance

_NS = 1_000_000_000
_CHANGING = (Phase.ROLLING, Phase.ROLLING_BACK)
_NOTHING = ResolvedSpec(ServiceSpec(), "")


def step(
    record: FleetRecord,
    revisions: Mapping[int, Revision],
    observed: Observed,
    now_ns: int,
    resolvers: Resolvers | None = None,
) -> FleetStep:
    """What to do now. `revisions`: all that the record names. `resolvers`: what was resolved before; it only saves
    time."""
    record = _without_expired(record, now_ns)
    one = _Step(FleetView(record, revisions, observed, resolvers), now_ns)
    changes = {name: changed for name in one.fleet.names if (changed := one.change_of(name))}
    return FleetStep(
        record=msgspec.structs.replace(record, changes=changes),
        actions=tuple(one.actions),
        waiting=tuple(one.waiting),
        due_ns=min(one.due, default=None),
    )


def backoff_s(crashes: int) -> float:
    """The time before an instance is started again that ended so many times in a row."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(crashes, 20), LONGEST_BACKOFF_S)


class _Step:
    """Collects what is to be done."""

    def __init__(self, fleet: FleetView, now_ns: int) -> None:
        self.fleet = fleet
        self.now_ns = now_ns
        self.actions: list[FleetAction] = []
        self._touched: set[InstanceId] = set()
        self.waiting: list[Delay] = []
        self.due: list[int] = [
            aside.until_ns
            for aside in (*fleet.record.cordons.values(), *fleet.record.disabled.values())
            if aside.until_ns is not None
        ]

    def change_of(self, name: str) -> Change | None:
        """The change of a service after this step; None: it is wanted and seen no more."""
        change = self.fleet.record.changes.get(name)
        if change is None:
            return None  # made by a fleet that this record does not know: it is shown, and left alone
        survey = self.fleet.survey(name)
        if change.phase in _CHANGING and (cause := self._failure(survey)):
            change = self._given_up(change, survey, cause)
            survey = self.fleet.survey(name, change)
        self._remove_extra(survey)
        if survey.service is None:
            is_gone = not (survey.extra or survey.ending or survey.lost or survey.cordoned)
            return None if is_gone else change
        if change.phase is not Phase.HELD and change.phase is not Phase.FAILED:
            self._change(survey, survey.service, change)
        self._start_again(survey)
        if change.phase not in _CHANGING:
            self._make_again(survey, survey.service, change)
        return self._after(survey, survey.service, change)

    # Failures.

    def _failure(self, survey: ServiceSurvey) -> Cause | None:
        """Why the change of a service has failed."""
        if survey.service is None:
            return None
        observed = self.fleet.observed
        for one in (*survey.missing, *survey.outdated):
            if attempt := observed.failed_pulls.get((one.id.node, one.resolved.spec.image)):
                return _because(
                    "pull_failed", f"{one.resolved.spec.image} could not be pulled on {one.id.node}", attempt
                )
            if attempt := observed.failed_actions.get(one.id):
                return _because("not_made", f"{one.id} could not be made", attempt)
            if survey.change.phase is Phase.ROLLING and (cause := self._without_device(one)):
                return msgspec.structs.replace(cause, message=f"{one.id} cannot be made: {cause.message}")
        for one in survey.changing:
            if (seen := one.seen) is None:
                continue
            if seen.health is Health.UNHEALTHY:
                return Cause(
                    code="unhealthy",
                    message=f"{one.id} failed its health check" + (f": {seen.reason}" if seen.reason else ""),
                    source=f"fleet.{one.id}",
                    since_ns=seen.since_ns,
                    suggestion=f"see its log: countingroom fleet logs {one.id}",
                )
            if seen.crashes >= CRASHES_OF_A_LOOP:
                status = "" if seen.exit_status is None else f", last with status {seen.exit_status}"
                return Cause(
                    code="crash_loop",
                    message=f"{one.id} ended {seen.crashes} times{status}"
                    + (f": {seen.reason}" if seen.reason else ""),
                    source=f"fleet.{one.id}",
                    since_ns=seen.since_ns,
                    suggestion=f"see its log: countingroom fleet logs {one.id}",
                )
        return None

    def _given_up(self, change: Change, survey: ServiceSurvey, cause: Cause) -> Change:
        service = survey.service
        can_go_back = (
            change.phase is Phase.ROLLING
            and change.fallback
            and service is not None
            and service.update.rollback
            and self.fleet.service(service.name, change.fallback) is not None
        )
        if change.phase is Phase.ROLLING_BACK:
            cause = msgspec.structs.replace(cause, causes=(change.cause,) if change.cause else ())
        phase = Phase.ROLLING_BACK if can_go_back else Phase.FAILED
        return msgspec.structs.replace(change, phase=phase, since_ns=self.now_ns, cause=cause)

    # Actions.

    def _remove_extra(self, survey: ServiceSurvey) -> None:
        for seen in survey.extra:
            if not self._retry_waits(self.fleet.observed.failed_actions.get(seen.id)):
                why = (
                    "its node is drained" if seen.id.node in self.fleet.record.cordons else "it is not wanted any more"
                )
                if seen.id.service in self.fleet.record.disabled:
                    why = "its service is disabled"
                self._add(FleetActionKind.REMOVE, WantedInstance(seen.id, _NOTHING, seen), why)

    def _start_again(self, survey: ServiceSurvey) -> None:
        for one in (*survey.current, *survey.outdated):
            seen, spec = one.seen, one.resolved.spec
            if seen is None or seen.health is not Health.EXITED or spec.restart == "never" or one.id in self._touched:
                continue
            if spec.restart == "on-failure" and seen.exit_status == 0:
                continue
            due_ns = seen.since_ns + int(backoff_s(seen.crashes) * _NS)
            if due_ns > self.now_ns:
                self.due.append(due_ns)
                self.waiting.append(
                    Delay(one.id.service, f"it is started again after {seen.crashes} ends", one.id.node)
                )
            else:
                status = "" if seen.exit_status is None else f" with status {seen.exit_status}"
                self._add(FleetActionKind.START, one, f"it ended{status}")

    def _make_again(self, survey: ServiceSurvey, service: WantedService, change: Change) -> None:
        """Make again what has been unhealthy for longer than its service allows. Not during a change: what that makes
        must show by itself whether it works."""
        if not service.restart_unhealthy_s:
            return
        room = service.update.max_parallel - len(survey.busy)
        for one in survey.current:
            seen = one.seen
            if seen is None or seen.health is not Health.UNHEALTHY or one.id in self._touched:
                continue
            due_ns = seen.since_ns + int(service.restart_unhealthy_s * _NS)
            if due_ns > self.now_ns:
                self.due.append(due_ns)
            elif cause := self._without_device(one):
                self.waiting.append(Delay(service.name, cause.message, one.id.node))
            elif room <= 0:
                self.waiting.append(Delay(service.name, "others are being made again", one.id.node))
            elif self._has_image(one, is_changing=False) and not self._retry_waits(
                self.fleet.observed.failed_actions.get(one.id)
            ):
                room -= 1
                why = f"it was unhealthy for {service.restart_unhealthy_s:g} s" + (
                    f": {seen.reason}" if seen.reason else ""
                )
                self._add(FleetActionKind.REPLACE, one, why, change)

    def _change(self, survey: ServiceSurvey, service: WantedService, change: Change) -> None:
        """Make what is missing and replace what is outdated, as far as it may be done now."""
        is_changing = change.phase in _CHANGING
        candidates = sorted(
            (*survey.missing, *survey.outdated), key=lambda one: (one.seen is not None, one.is_healthy, one.id)
        )
        if not candidates:
            return
        ready = [one for one in candidates if self._has_image(one, is_changing=is_changing)]
        if is_changing and len(ready) < len(candidates):
            self.waiting.append(Delay(service.name, f"{ready_text(len(ready), len(candidates))} have its image"))
            return
        if change.phase is not Phase.ROLLING_BACK and (missing := self._dependency(survey)):
            self.waiting.append(Delay(service.name, missing))
            return
        settled = survey.settled(self.now_ns)
        self._due_when_settled(survey, service.update.healthy_for_s)
        under_way = len(survey.busy) + len(survey.changing) - len(settled)
        only_one = change.phase is Phase.ROLLING and service.update.canary and not settled
        room = (1 if only_one else service.update.max_parallel) - under_way
        # One that was lost while it was changed may not run: it counts until its node answers or is set aside.
        known = len((*survey.missing, *survey.outdated, *survey.current, *survey.busy, *survey.interrupted))
        least = service.update.min_healthy
        if least is None:
            least = max(known - service.update.max_parallel, 0)
        healthy = survey.healthy
        for one in ready:
            takes_away = one.seen is not None
            if cause := self._without_device(one):
                self.waiting.append(Delay(service.name, cause.message, one.id.node))
                continue
            if (takes_away or only_one) and room <= 0:
                self.waiting.append(Delay(service.name, "others are being changed" if takes_away else "the canary"))
                break
            if one.is_healthy and healthy - 1 < least:
                why = f"{healthy} are healthy, and at least {least} must be"
                if lost := ", ".join(sorted({id.node for id in survey.interrupted})):
                    why = f"{lost} may be without it: the change goes on when that node answers or is set aside"
                self.waiting.append(Delay(service.name, why, one.id.node))
                break
            if self._retry_waits(self.fleet.observed.failed_actions.get(one.id)):
                continue
            healthy -= one.is_healthy
            room -= 1
            self._add(
                FleetActionKind.REPLACE if one.seen else FleetActionKind.MAKE, one, self._why(one, change), change
            )

    def _without_device(self, one: WantedInstance) -> Cause | None:
        """Why an instance cannot have its USB devices now."""
        node = self.fleet.observed.nodes[one.id.node]
        return refused_usb(one.resolved.spec.devices, node.usb, node.name)

    def _has_image(self, one: WantedInstance, *, is_changing: bool) -> bool:
        """Whether the image is on the node; orders it otherwise."""
        image, node = one.resolved.spec.image, one.id.node
        observed = self.fleet.observed
        if not image or image in observed.nodes[node].images:
            return True
        if (node, image) in observed.pulling:
            return False
        attempt = observed.failed_pulls.get((node, image))
        if attempt and (is_changing or self._retry_waits(attempt)):
            return False
        pull = FleetAction(kind=FleetActionKind.PULL, node=node, image=image, why=f"{one.id} needs it")
        if pull not in self.actions and not any(
            other.kind is FleetActionKind.PULL and (other.node, other.image) == (node, image) for other in self.actions
        ):
            self.actions.append(pull)
        return False

    def _retry_waits(self, attempt: Attempt | None) -> bool:
        if attempt is None:
            return False
        due_ns = attempt.at_ns + int(backoff_s(attempt.count) * _NS)
        if due_ns > self.now_ns:
            self.due.append(due_ns)
            return True
        return False

    def _dependency(self, survey: ServiceSurvey) -> str:
        """What the service waits for before anything of it is made."""
        for name in survey.service.depends_on if survey.service else ():
            needed = self.fleet.survey(name)
            if needed.service is None:
                return f"{name} is not wanted at present, and it depends on it"
            there = (*needed.missing, *needed.outdated, *needed.current)
            if not all(one.is_healthy for one in there) or needed.busy or not there:
                return f"it depends on {name}, which is not healthy"
        return ""

    def _due_when_settled(self, survey: ServiceSurvey, healthy_for_s: float) -> None:
        for one in survey.changing:
            if one.is_healthy and one.seen:
                due_ns = one.seen.since_ns + int(healthy_for_s * _NS)
                if due_ns > self.now_ns:
                    self.due.append(due_ns)

    def _why(self, one: WantedInstance, change: Change) -> str:
        if change.phase is Phase.ROLLING_BACK:
            return f"back to r{change.fallback}"
        if one.seen is None:
            return f"r{change.effective} wants it"
        if one.seen.drift:
            return f"changed by hand: {', '.join(one.seen.drift)}"
        return f"r{change.effective}"

    def _add(self, kind: FleetActionKind, one: WantedInstance, why: str, change: Change | None = None) -> None:
        self._touched.add(one.id)
        self.actions.append(
            FleetAction(
                kind=kind,
                node=one.id.node,
                instance=one.id,
                resolved=one.resolved if change else None,
                revision=change.effective if change else 0,
                change=change.token if change else "",
                why=why,
                grace_s=one.seen.grace_s if one.seen else one.resolved.spec.grace_s,
            )
        )

    # The end of a change.

    def _after(self, survey: ServiceSurvey, service: WantedService, change: Change) -> Change:
        if change.phase not in _CHANGING:
            return change
        # The way back does not wait for a device that is not there.
        going_back = change.phase is Phase.ROLLING_BACK
        if any(not (going_back and self._without_device(one)) for one in (*survey.missing, *survey.outdated)):
            return change
        if survey.extra or survey.busy or survey.ending:
            return change
        if not survey.current and (survey.lost or survey.cordoned):
            return change  # not one instance has shown yet that the revision works
        if len(survey.settled(self.now_ns)) < len(survey.changing):
            self._due_when_settled(survey, service.update.healthy_for_s)
            return change
        phase = Phase.DONE if change.phase is Phase.ROLLING else Phase.ROLLED_BACK
        cause = None if phase is Phase.DONE else change.cause
        return msgspec.structs.replace(change, phase=phase, since_ns=self.now_ns, cause=cause)


def _without_expired(record: FleetRecord, now_ns: int) -> FleetRecord:
    def left(aside: Mapping[str, SetAside]) -> dict[str, SetAside]:
        return {name: one for name, one in aside.items() if one.until_ns is None or one.until_ns > now_ns}

    return msgspec.structs.replace(record, cordons=left(record.cordons), disabled=left(record.disabled))


def ready_text(ready: int, all_of_them: int) -> str:
    """`3 of 12 nodes`."""
    return f"{ready} of {all_of_them} nodes"


def _because(code: str, message: str, attempt: Attempt) -> Cause:
    return Cause(
        code=code,
        message=f"{message}: {attempt.cause.message}",
        source=attempt.cause.source or "fleet",
        since_ns=attempt.at_ns,
        suggestion=attempt.cause.suggestion,
        causes=(attempt.cause,),
    )

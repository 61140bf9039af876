"""Takes, compares, plans and restores snapshots for the API and the pages, from the console's copy of the present."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.console.auth.requester import Requester
from countingroom.console.long_work import LongWork
from countingroom.console.present.device_rows import DeviceRows, aged
from countingroom.console.present.latest import Latest
from countingroom.console.snapshots.judging import Asking, told_refusals
from countingroom.console.snapshots.restorer import Restorer
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, Refused
from countingroom.core.points import Point
from countingroom.core.policy import Permission, Principal, decide
from countingroom.core.snapshots.compare import Comparison, PointVerdict, compared_rows, comparison
from countingroom.core.snapshots.progress import Restore
from countingroom.core.snapshots.restore_plan import DeviceNow, RestorePlan, as_plan, judged_points, sets_of
from countingroom.core.snapshots.rules import EXACT, SnapshotRules, Tolerance, tolerance
from countingroom.core.snapshots.selection import chosen_points
from countingroom.core.snapshots.values import (
    GoldenMark,
    SavedPoint,
    Snapshot,
    SnapshotSummary,
    checked_name,
    checked_reason,
)
from countingroom.core.values import Quality, Reading
from countingroom.storage.snapshots import Snapshots

_SOURCE = "snapshots"
_NOTHING = Reading(value=None, quality=Quality.BAD, device_ns=0, received_ns=0)


class GoldenDifference(Struct, frozen=True, kw_only=True):
    """The differences of a device from a golden snapshot."""

    mark: GoldenMark
    compared: int
    differs: int
    unknown: int


class SnapshotService:
    """Snapshots of the devices that the console follows."""

    def __init__(
        self,
        latest: Latest,
        device_rows: DeviceRows,
        clock: Clock,
        store: Snapshots | None,
        rules: SnapshotRules,
        restorer: Restorer,
        long_work: LongWork,
        ask: Asking,
    ) -> None:
        self._latest = latest
        self._device_rows = device_rows
        self._clock = clock
        self._store = store
        self.rules = rules
        self.restorer = restorer
        self._long_work = long_work
        self._ask = ask

    @property
    def store(self) -> Snapshots:
        """The stored snapshots. Conflict without a database."""
        if self._store is None:
            raise Conflict(
                "this console has no database, which keeps snapshots",
                code="no_database",
                source=_SOURCE,
                suggestion="start it with `countingroom up`, or give the role console a database",
            )
        return self._store

    async def take(self, name: str, words: Sequence[str], reason: str, principal: Principal) -> SnapshotSummary:
        """Save the present values of the points that these words name. Refused if the user may not operate one of the
        devices."""
        words = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
        chosen = chosen_points(words, self._latest.catalogues, self.rules)
        self._check(principal, Permission.OPERATE, chosen)
        made = Snapshot(
            name=checked_name(name),
            scope=words,
            reason=checked_reason(reason),
            taken_by=principal.name,
            taken_ns=self._clock.now_ns(),
            points=tuple(self._values({device: [one.name for one in points] for device, points in chosen.items()})),
        )
        return await self.store.save(made)

    async def compared(self, snapshot: Snapshot, other: Snapshot | None) -> Comparison:
        """The comparison with another snapshot, or with the present values of the points."""
        return await self._compare(snapshot.points, other.points if other else self._present(snapshot.points))

    async def golden(self, device: str = "") -> list[GoldenDifference]:
        """The differences of the present values from each golden snapshot, for all devices or one."""
        found: list[GoldenDifference] = []
        for mark, snapshot in await self.store.golden():
            points = tuple(one for one in snapshot.points if not device or one.device == device)
            if not points:
                continue
            compared = await self._compare(points, self._present(points))
            unknown = compared.counts.get(PointVerdict.UNKNOWN, 0)
            found.append(GoldenDifference(mark=mark, compared=len(points), differs=compared.differs, unknown=unknown))
        return found

    async def _compare(self, saved: Iterable[SavedPoint], other: Iterable[SavedPoint]) -> Comparison:
        points = self._points()

        def within(one: SavedPoint) -> Tolerance:
            point = points.get(one.address)
            return tolerance(self.rules, one.device, point) if point else EXACT

        return comparison(await self._long_work.all(compared_rows(saved, other, within, points)))

    async def plan(self, snapshot: Snapshot, principal: Principal, only: Sequence[str] = ()) -> RestorePlan:
        """The plan of a restore by this user now."""

        def permit(device: str, permission: Permission) -> Cause | None:
            return decide(principal, permission, f"device.{device}", now_ns=self._clock.now_ns())

        now = {device: self._now(device) for device in {one.device for one in snapshot.points}}
        known = {device: found for device, found in now.items() if found}
        judged = await self._long_work.all(judged_points(snapshot, known, self.rules, permit, only))
        refusals = await told_refusals(self._ask, self._clock, sets_of(judged), principal.name)
        return as_plan(snapshot, judged, known, refusals)

    async def restore(
        self,
        snapshot: Snapshot,
        requester: Requester,
        reason: str,
        digest: str,
        *,
        keeps_going: bool = False,
        only: Sequence[str] = (),
    ) -> Restore:
        """Begin a restore. Conflict where the plan is no longer the one that the user has seen."""
        reason = checked_reason(reason)
        plan = await self.plan(snapshot, requester.principal, only)
        if plan.digest != digest:
            raise Conflict(
                "what would be written has changed since the plan was shown",
                code="plan_changed",
                source=_SOURCE,
                evidence={"seen": digest, "present": plan.digest},
                suggestion="look at the plan again, then confirm it",
            )
        return await self.restorer.start(plan, requester, reason, keeps_going=keeps_going)

    def check_devices(self, principal: Principal, permission: Permission, snapshot: Snapshot) -> None:
        """Refused if the user lacks this permission on a device of the snapshot."""
        self._check(principal, permission, sorted({one.device for one in snapshot.points}))

    def _check(self, principal: Principal, permission: Permission, devices: Iterable[str]) -> None:
        for device in devices:
            cause = decide(principal, permission, f"device.{device}", now_ns=self._clock.now_ns())
            if cause is not None:
                raise Refused(cause)

    def _points(self) -> dict[str, Point]:
        """The present writable points, by address."""
        return {
            f"{device}.{point.name}": point
            for device, catalogue in self._latest.catalogues.items()
            for point in catalogue.points
            if point.writable
        }

    def _present(self, points: Iterable[SavedPoint]) -> list[SavedPoint]:
        """The present values of these points, without points that no longer exist."""
        names: dict[str, list[str]] = {}
        for one in points:
            names.setdefault(one.device, []).append(one.point)
        return list(self._values(names))

    def _values(self, names: Mapping[str, Iterable[str]]) -> Iterator[SavedPoint]:
        """The present values of these points, without points that do not exist."""
        for device, wanted in names.items():
            catalogue = self._latest.catalogues.get(device)
            known = {point.name: point for point in catalogue.points} if catalogue else {}
            readings = self._readings(device)
            for name in wanted:
                if name in known:
                    yield _saved(device, known[name], readings)

    def _readings(self, device: str) -> dict[str, Reading]:
        """The present readings of a device, marked as stale if no device host serves it."""
        known = self._latest.readings.get(device, {})
        if self._device_rows.living().get(device, False):
            return known
        return {name: aged(reading) for name, reading in known.items()}

    def _now(self, device: str) -> DeviceNow | None:
        latest = self._latest
        catalogue = latest.catalogues.get(device)
        if catalogue is None:
            return None
        states = {
            channel: state
            for channel in catalogue.channels
            if (state := latest.states.get(subjects.channel_key(device, channel))) is not None
        }
        return DeviceNow(
            catalogue=catalogue,
            points={point.name: point for point in catalogue.points},
            readings=self._readings(device),
            state=latest.states.get(subjects.device_key(device)),
            channels=states,
            is_alive=self._device_rows.living().get(device, False),
        )


def _saved(device: str, point: Point, readings: Mapping[str, Reading]) -> SavedPoint:
    reading = readings.get(point.name, _NOTHING)
    back = readings.get(point.readback, _NOTHING) if point.readback else reading
    return SavedPoint(
        device=device,
        point=point.name,
        label=point.label,
        type=point.type,
        unit=point.unit,
        value=reading.value,
        quality=reading.quality,
        device_ns=reading.device_ns,
        readback=point.readback,
        readback_value=back.value,
        readback_quality=back.quality,
    )

"""The pages of snapshots: the list, and one snapshot compared with the present or another one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.policy import Permission, decide
from countingroom.core.snapshots.values import Snapshot
from countingroom.core.subjects import EXPERIMENT

_OPERATES = Cause(
    code="denied", message="this needs the role shifter on a device", suggestion="ask an administrator for the role"
)


class SnapshotPages:
    """The pages of snapshots. Their rows come from the API; the progress of a restore comes with the live feed."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the routes of the list and of one snapshot."""
        router.add_api_route("/snapshots", self.snapshots)
        router.add_api_route("/snapshots/{snapshot}", self.snapshot)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for snapshots."""
        return {}

    async def snapshots(self, request: Request) -> HTMLResponse:
        """The list, the golden ones, and the last restores."""
        who = requester(request)
        devices = sorted(self._context.latest.catalogues)
        areas = sorted(set(filter(None, self._context.snapshots.rules.areas.values())))
        imports = decide(who.principal, Permission.CONFIGURE, EXPERIMENT, now_ns=self._context.clock.now_ns())
        data = {
            "devices": devices,
            "areas": areas,
            "denied": _in_words({"take": None if who.operates else _OPERATES, "import": imports}),
        }
        return self._render(request, "snapshots.html", "snapshots", "Snapshots", data=data)

    async def snapshot(
        self, request: Request, snapshot: str, other: Annotated[str, Query(alias="with")] = ""
    ) -> HTMLResponse:
        """One snapshot, compared with the present, or with another one."""
        found = await self._context.snapshots.store.get(snapshot)
        names = [one.name for one in await self._context.snapshots.store.list()]
        denied = {"restore": None if requester(request).operates else _OPERATES, **self._kept(request, found)}
        data = {"snapshot": found.name, "with": other, "denied": _in_words(denied)}
        return self._render(
            request,
            "snapshot.html",
            "snapshot",
            found.name,
            above="Snapshots",
            snapshot=found,
            others=[name for name in names if name != found.name],
            other=other,
            data=data,
        )

    def _kept(self, request: Request, found: Snapshot) -> dict[str, Cause | None]:
        """Why this user may not mark or delete it."""
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        golden: Cause | None = None
        try:
            self._context.snapshots.check_devices(principal, Permission.CONFIGURE, found)
        except CountingRoomError as error:
            golden = error.cause
        is_own = (found.imported_by or found.taken_by) == principal.name
        delete = None if is_own else decide(principal, Permission.ADMINISTER, EXPERIMENT, now_ns=now_ns)
        return {"golden": golden, "delete": delete}


def _in_words(denied: dict[str, Cause | None]) -> dict[str, Any]:
    return {command: msgspec.to_builtins(cause) for command, cause in denied.items() if cause}


pages = SnapshotPages

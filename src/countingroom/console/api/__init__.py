"""The API under /api/v1: one module for each subject, mounted as the departments' table names them.

It is the only way to act: pages and command line use it too. A module has a `router`; a module of a new department also
has `ROUTES`, the permissions of its routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastapi import APIRouter

from countingroom.console.route_permissions import ROUTES, RoutePermission
from countingroom.departments import Department, load


def api_router(departments: Sequence[Department]) -> APIRouter:
    """All modules of the departments."""
    router = APIRouter(prefix="/api/v1")
    for module in _modules(departments):
        router.include_router(load(module).router)
    return router


def route_permissions(departments: Sequence[Department]) -> dict[str, RoutePermission]:
    """The table of permissions, with those that modules bring."""
    found = dict(ROUTES)
    for module in _modules(departments):
        found |= getattr(load(module), "ROUTES", {})
    return found


def _modules(departments: Sequence[Department]) -> Iterable[str]:
    return (module for department in departments for module in department.api)

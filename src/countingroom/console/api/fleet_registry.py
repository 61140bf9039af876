"""Whether registries have the images that the fleet wants."""

from __future__ import annotations

from fastapi import APIRouter, Response

from countingroom.console.api.devices import Console
from countingroom.console.query_client import ask
from countingroom.console.responses import as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.fleet.registry import RegistryAnswer, RegistryQuery
from countingroom.core.policy import Permission

router = APIRouter(tags=["fleet"])
ROUTES = {"GET /api/v1/fleet/registry": RoutePermission(action=Permission.OPERATE)}


@router.get(
    "/fleet/registry",
    summary="Whether registries have the images that are wanted",
    responses={
        200: example(
            {
                "images": [
                    {
                        "image": "hub:5000/camera:2.4.1",
                        "registry": "hub:5000",
                        "services": ["camera"],
                        "digest": "sha256:2f1c",
                        "platforms": ["linux/amd64"],
                        "is_secure": True,
                        "nodes": [{"node": "gfa1", "platform": "linux/amd64", "is_fit": True, "has": "none"}],
                        "cause": None,
                    }
                ]
            }
        ),
        **refusals(400, 403, 503),
    },
)
async def get_registry(console: Console) -> Response:
    """Of the description as it is on disk. The keeper asks the registries with their logins; nothing is pulled."""
    answer = await ask(console.bus, "fleet", "registry", RegistryQuery(), RegistryAnswer)
    return as_json({"images": answer.images})

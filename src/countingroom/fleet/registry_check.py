"""Checks each image that is wanted: whether its registry has it, for the platforms of its nodes, and what they have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from countingroom.core.errors import Cause, CountingRoomError, NotFound
from countingroom.core.fleet.images import image_place
from countingroom.core.fleet.registry import CheckedImage, ImageOnNode, RegistryAnswer
from countingroom.core.fleet.resolver import Resolver
from countingroom.core.fleet.specs import RegistryLogin, Revision
from countingroom.fleet.node import Node
from countingroom.fleet.registry_client import FoundImage, find_image

_AT_ONCE = 8


async def check_registry(revision: Revision, node: Callable[[str], Node], directory: Path) -> RegistryAnswer:
    """`node`: one that is followed, or NotFound. `directory`: of the description, for files."""
    resolver = Resolver(revision)
    places: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for service in revision.services:
        for instance in service.instances():
            if image := resolver.resolve(service, instance).spec.image:
                services, on = places.setdefault(image, ({}, {}))
                services[service.name] = None
                on[instance.node] = None
    registries = {one.host: one for node in revision.nodes for one in node.registries}
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(image: str) -> CheckedImage:
        services, on = places[image]
        async with turn:
            return await _checked(
                image, tuple(services), {name: _found(node, name) for name in on}, registries, directory
            )

    return RegistryAnswer(images=tuple(await asyncio.gather(*(one(image) for image in sorted(places)))))


async def _checked(
    image: str,
    services: tuple[str, ...],
    nodes: Mapping[str, Node | None],
    registries: Mapping[str, RegistryLogin],
    directory: Path,
) -> CheckedImage:
    host = image_place(image)[0]
    found: FoundImage | None = None
    cause: Cause | None = None
    try:
        found = await find_image(image, registries.get(host), directory)
    except CountingRoomError as error:
        cause = error.cause
    on = tuple(await asyncio.gather(*(_on_node(name, node, image, found) for name, node in nodes.items())))
    if found and (unfit := [one for one in on if not one.is_fit]):
        cause = Cause(
            code="platform",
            message=f"it is made for {', '.join(found.platforms)}, and {unfit[0].node} is {unfit[0].platform}",
            source=f"registry.{host}",
            suggestion="build the image for this platform too, or place the service on other nodes",
        )
    return CheckedImage(
        image=image,
        registry=host,
        services=services,
        digest=found.digest if found else "",
        platforms=found.platforms if found else (),
        is_secure=found.is_secure if found else True,
        nodes=on,
        cause=cause,
    )


def _found(node: Callable[[str], Node], name: str) -> Node | None:
    try:
        return node(name)
    except NotFound:
        return None


async def _on_node(name: str, node: Node | None, image: str, found: FoundImage | None) -> ImageOnNode:
    seen = node.observed() if node else None
    if node is None or seen is None or not seen.is_reachable:
        return ImageOnNode(node=name)
    platform = await node.platform()
    has = "none"
    if image in seen.images:
        has = "this"
        host, path, _ = image_place(image)
        # An image of another digest, as far as the node knows those of its images at all.
        names = (f"{host}/{path}", path)
        known = {one.partition("@")[2] for one in seen.images if "@" in one and one.partition("@")[0] in names}
        if found and found.digest and known and found.digest not in known:
            has = "another"
    is_fit = not (found and found.platforms and platform) or any(_fits(one, platform) for one in found.platforms)
    return ImageOnNode(node=name, platform=platform, is_fit=is_fit, has=has)


def _fits(made_for: str, platform: str) -> bool:
    """`linux/arm64/v8` fits `linux/arm64`."""
    return made_for.split("/")[:2] == platform.split("/")[:2]

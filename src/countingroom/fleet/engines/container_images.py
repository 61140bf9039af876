"""What a node must have before a container is made there: its image, and its volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from countingroom.core.clock import timeout
from countingroom.core.errors import DeviceError
from countingroom.core.fleet.specs import RegistryLogin, Volume
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.fleet.engines.port import Progress

_STALL_S = 120.0
"""A pull without any news for so long has failed."""


async def pull(docker: Any, image: str, login: Mapping[str, str] | None, progress: Progress, source: str) -> None:
    """Get an image. DeviceError where it stands still; the errors of the library otherwise."""
    layers: dict[str, tuple[int, int]] = {}
    async with aclosing(docker.images.pull(image, auth=login, stream=True)) as stream:
        while True:
            try:
                async with timeout(_STALL_S):
                    news: Mapping[str, Any] | None = await anext(stream, None)
            except TimeoutError:
                raise DeviceError(
                    f"the pull of {image} stood still for {_STALL_S:g} s",
                    source=source,
                    code="stalled",
                    suggestion="check the way from the node to the registry",
                ) from None
            if news is None:
                return
            detail: Mapping[str, Any] = news.get("progressDetail") or {}
            layer, status = news.get("id", ""), news.get("status")
            if status == "Downloading" and detail.get("total"):
                layers[layer] = (int(detail.get("current") or 0), int(detail["total"]))
            elif status in ("Download complete", "Pull complete") and layer in layers:
                layers[layer] = (layers[layer][1], layers[layer][1])
            else:
                continue
            progress(sum(done for done, _ in layers.values()), sum(whole for _, whole in layers.values()))


def registry_login(image: str, registries: Sequence[RegistryLogin]) -> dict[str, str] | None:
    """With what an image is pulled; None: without a login. ConfigurationError where the secret cannot be read."""
    host = image.partition("/")[0]
    for one in registries:
        if one.host == host and one.user:
            kind, _, place = one.password.partition(":")
            password = SecretReference.model_validate({kind: place}).read(f"fleet.registries.{host}")
            return {"username": one.user, "password": password, "serveraddress": host}
    return None


async def prepare_volumes(docker: Any, volumes: Sequence[Volume], source: str) -> None:
    """Make the named volumes that say how. DeviceError where one exists and is another: its data are not given up."""
    said = [one for one in volumes if not one.source.startswith("/") and (one.driver or one.options)]
    if not said:
        return
    listed: Sequence[Mapping[str, Any]] = (await docker.volumes.list()).get("Volumes") or ()
    present = {one["Name"]: one for one in listed}
    for one in said:
        driver, options = one.driver or "local", dict(one.options)
        there = present.get(one.source)
        if there is None:
            await docker.volumes.create({"Name": one.source, "Driver": driver, "DriverOpts": options})
        elif (there["Driver"], there.get("Options") or {}) != (driver, options):
            raise DeviceError(
                f"the volume {one.source} exists with another driver or other options",
                source=source,
                code="volume_differs",
                suggestion="give the volume another name, or remove it by hand if nothing on it is needed",
            )

"""The container image of the simulated camera, made here without a network, as a service on a real Docker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.fleet.specs import InstanceId, ServiceSpec, Volume, WantedNode, digest
from countingroom.fleet.actors.client import ActorAddress, ActorClient
from countingroom.fleet.actors.link import dial
from countingroom.fleet.engines.docker import DockerEngine
from countingroom.fleet.engines.port import MakeOrder
from countingroom.simulators.camera import image
from tests.container_engines import EngineServer, free_port, listens
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server
ONE = InstanceId("camera", "gfa1")


async def test_a_camera_in_its_image_exposes_into_a_folder_of_the_node(docker: EngineServer, tmp_path: Path) -> None:
    archive, images, port = tmp_path / "camera.tar", tmp_path / "images", free_port()
    images.mkdir()
    assert image.write(archive) > 50_000_000
    changes = [word for change in image.CHANGES for word in ("--change", change)]
    docker.client("import", *changes, str(archive), "camera:2")
    archive.unlink()
    engine = DockerEngine(SystemClock(), "mCBM", WantedNode(name="gfa1", engine="docker", reach=docker.unix), tmp_path)
    await engine.connect()
    spec = ServiceSpec(
        image="camera:2",
        command=("--port", str(port), "--folder", "/images", "--size", "16"),
        environment={"ACTOR_NAME": "gfa1", "OBSERVATORY": "APO"},
        volumes=(Volume(source=str(images), target="/images"),),
        network="host",
    )
    client = ActorClient(SystemClock(), dial, ActorAddress("127.0.0.1", port))
    try:
        await engine.make(MakeOrder(id=ONE, spec=spec, digest=digest(spec), revision=1, change="r1-0", secrets={}))
        async with asyncio.timeout(PATIENCE_S):
            while not listens(port):
                await asyncio.sleep(0.05)
        await client.command("expose 0 --bias", PATIENCE_S)
    finally:
        await client.close()
        await engine.remove(ONE, 0.0)
        await engine.close()
        docker.client("rmi", "camera:2")
    from astropy.io import fits

    module: Any = fits
    with module.open(images / "gfa1-000001.fits", checksum=True) as found:
        found.verify("exception")
        assert (found[0].header["OBSERVAT"], found[0].data.shape) == ("APO", (16, 16))

"""The simulated camera: exposures as FITS files that astropy verifies, and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countingroom.core.actor.messages import ActorReply
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError
from countingroom.fleet.actors.client import ActorAddress, ActorClient
from countingroom.fleet.actors.link import dial
from countingroom.simulators.camera.actor_server import ActorServer
from countingroom.simulators.camera.camera import Camera
from countingroom.simulators.camera.frames import FLAVOURS, Exposure, write
from tests.patience import PATIENCE_S


class Place:
    """A camera on a port, and a client of it."""

    def __init__(self, folder: Path, form: str) -> None:
        self.ended: list[int] = []
        self.camera = Camera(SystemClock(), "gfa1", folder, observatory="APO", size=16)
        self.server = ActorServer("gfa1", form, self.camera.serve)
        self.camera.on_fault(self.server.drop, self.ended.append)
        self.form = form

    async def start(self) -> None:
        port = await self.server.start("127.0.0.1", 0)
        self.client = ActorClient(SystemClock(), dial, ActorAddress("127.0.0.1", port, self.form))

    async def ask(self, body: str, limit_s: float = PATIENCE_S) -> list[ActorReply]:
        told: list[ActorReply] = []
        await self.client.command(body, limit_s, told.append)
        return told


@pytest.fixture(params=["json", "legacy"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    made = Place(tmp_path / "images", request.param)
    await made.start()
    yield made
    await made.client.close()
    await made.server.stop()


def image(path: str | Path) -> Any:
    from astropy.io import fits

    module: Any = fits
    return module.open(path, checksum=True)


async def test_an_exposure_becomes_a_file_with_its_header(place: Place) -> None:
    told = await place.ask("expose 0.01 --dark")
    assert told[0].code == ">" and told[-1].code.is_final
    (named,) = [one.keywords["filename"] for one in told if "filename" in one.keywords]
    path = named["filename"] if place.form == "json" else named[-1]
    assert Path(path).name == "gfa1-000001.fits"
    with image(path) as found:
        found.verify("exception")
        header, data = found[0].header, found[0].data
        assert data.shape == (16, 16) and data.dtype == np.uint16 and 990 < data.mean() < 1010
        said = {key: header[key] for key in ("EXPTIME", "IMAGETYP", "OBSERVAT", "INSTRUME", "SEQNO", "FILENAME")}
        assert said == {
            "EXPTIME": 0.01,
            "IMAGETYP": "dark",
            "OBSERVAT": "APO",
            "INSTRUME": "gfa1",
            "SEQNO": 1,
            "FILENAME": "gfa1-000001.fits",
        }
        assert header["TIMESYS"] == "UTC" and -21 < header["CCDTEMP"] < -19 and header["CHECKSUM"]


async def test_faults_are_caused_on_demand(place: Place) -> None:
    async def outcome(body: str, limit_s: float = PATIENCE_S) -> str:
        try:
            await place.ask(body, limit_s)
        except CountingRoomError as error:
            return error.cause.code
        return "done"

    assert await outcome("fault fail") == "done" and await outcome("expose 0 --bias") == "actor_failed"
    assert await outcome("fault drop") == "done" and await outcome("expose 0 --bias") == "connection_lost"
    assert await outcome("fault exit") == "done" and await outcome("expose 0 --bias") == "done"
    assert place.ended == [70]
    assert await outcome("fault hang") == "done"
    hanging = asyncio.create_task(outcome("expose 0 --bias"))
    await place.ask("status")
    assert await outcome("expose 0 --bias") == "actor_failed"  # one is under way
    assert await outcome("abort") == "done" and await hanging == "actor_failed"
    assert await outcome("fault none") == "done" and await outcome("expose 0 --bias") == "done"
    for wrong in ("expose x", "expose -1", "expose 1 --blue", "focus", "abort"):
        assert await outcome(wrong) == "actor_failed", wrong


async def test_images_are_told_again_until_it_is_stopped(place: Place) -> None:
    for _ in range(2):
        await place.ask("expose 0 --bias")
    seen: list[str] = []
    enough = asyncio.Event()

    def told(reply: ActorReply) -> None:
        if "filename" in reply.keywords:
            found = reply.keywords["filename"]
            seen.append(Path(found["filename"] if place.form == "json" else found[-1]).name)
            if len(seen) == 3:
                enough.set()

    running = asyncio.create_task(place.client.command("simulate *.fits --delay 0.01", PATIENCE_S, told))
    await enough.wait()
    await place.ask("simulate --stop")
    assert (await running).code.is_final
    assert seen[:3] == ["gfa1-000001.fits", "gfa1-000002.fits", "gfa1-000001.fits"]


def test_every_flavour_has_its_light_and_no_file_is_written_over(tmp_path: Path) -> None:
    means: dict[str, float] = {}
    for number, flavour in enumerate(FLAVOURS, 1):
        exposure = Exposure(flavour=flavour, seconds=2.0, started_ns=0, camera="gfa1", temperature_c=-20.0)
        path = write(exposure, tmp_path, 32, np.random.default_rng(1))
        assert path.name == f"gfa1-{number:06d}.fits"
        with image(path) as found:
            means[flavour] = float(found[0].data.mean())
            assert found[0].header["EXPTIME"] == (0.0 if flavour == "bias" else 2.0)
    assert means["bias"] < means["dark"] + 1 < min(means["object"], means["flat"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"gfa1-{n:06d}.fits" for n in (1, 2, 3, 4)]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    exposure = Exposure(flavour="bias", seconds=0, started_ns=0, camera="gfa1", temperature_c=-20.0)
    with pytest.raises(CountingRoomError, match="the image cannot be written: Not a directory"):
        write(exposure, tmp_path / "file" / "images", 4, np.random.default_rng(1))

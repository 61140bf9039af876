"""USB devices by their serial number: a tree as Linux shows it, and a fleet whose cameras are plugged in and out."""

from __future__ import annotations

import subprocess
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.bus.streams import prepare
from countingroom.core.errors import DeviceError
from countingroom.core.fleet.node_answers import usb_devices
from countingroom.core.fleet.queries import FleetPlanAnswer
from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.specs import InstanceId, ServiceSpec
from countingroom.core.fleet.states import NodeState, node_key
from countingroom.core.fleet.usb import UsbDevice, find_usb, usb_environment
from countingroom.experiment.loading import said_by
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.containers import container_config
from countingroom.fleet.engines.local_usb import local_usb
from countingroom.fleet.engines.port import MakeOrder
from tests.scenario.test_fleet_keeper import NODES, Site, services

CAMERA = "usb:0f18:000a:ML0240108"


def plug(sysfs: Path, place: str, number: int, **words: str) -> Path:
    """A device as Linux shows it: a link in the list of the bus, to a folder below the socket of its hub."""
    folder = sysfs.parent / "hub" / place
    (folder / f"{place}:1.0").mkdir(parents=True)
    (folder / "uevent").write_text(f"MAJOR=189\nDEVNAME=bus/usb/001/{number:03}\nDEVTYPE=usb_device\n")
    for name, word in words.items():
        (folder / name).write_text(f"{word}\n")
    sysfs.mkdir(exist_ok=True)
    for one in (folder, folder / f"{place}:1.0"):
        (sysfs / one.name).symlink_to(one)
    return folder


def test_devices_are_read_as_linux_shows_them(tmp_path: Path) -> None:
    sysfs = tmp_path / "devices"
    assert local_usb(sysfs) == ()
    hub = plug(sysfs, "1-1", 2, idVendor="1d6b", idProduct="0002", serial="0000:00:14.0")
    plug(sysfs, "1-2", 3, idVendor="046d", idProduct="c077", product="a mouse without a number")
    line = plug(sysfs, "1-3", 5, idVendor="0403", idProduct="6001", serial="A50285BI", product="FT232R")
    tty = line / "1-3:1.0" / "ttyUSB0"
    (tty / "tty" / "ttyUSB0").mkdir(parents=True)
    (tty / "tty" / "ttyUSB0" / "uevent").write_text("DEVNAME=ttyUSB0\n")
    inner = hub / "1-1.4"  # plugged into the hub: below its folder
    inner.mkdir()
    for name, word in {"idVendor": "0F18", "idProduct": "000A", "serial": "ML0240108", "manufacturer": "FLI"}.items():
        (inner / name).write_text(word)
    (inner / "uevent").write_text("DEVNAME=bus/usb/001/004\n")
    (sysfs / "1-1.4").symlink_to(inner)

    with as_file(files("countingroom.fleet.engines") / "node.sh") as node:
        said = subprocess.run(
            ["sh", "-c", f". {node}; usb {sysfs}"], check=True, capture_output=True, text=True, timeout=20
        )
    assert usb_devices(said.stdout) == local_usb(sysfs)  # as another computer tells them
    assert usb_devices(said.stdout.removesuffix("end\n")) is None

    root, camera, serial = local_usb(sysfs)
    assert root.paths == ("/dev/bus/usb/001/002",)
    assert (camera.vendor, camera.product, camera.serial, camera.title) == ("0f18", "000a", "ML0240108", "FLI")
    assert camera.paths == ("/dev/bus/usb/001/004",)
    assert serial.paths == ("/dev/bus/usb/001/005", "/dev/ttyUSB0")
    assert find_usb("usb:A50285BI", local_usb(sysfs), "n1") == serial
    assert find_usb("usb:0F18:000A:ML0240108", local_usb(sysfs), "n1") == camera
    assert usb_environment({CAMERA: camera.paths, "usb:A50285BI": serial.paths}) == {
        "USB_DEVICE_1": "/dev/bus/usb/001/004",
        "USB_DEVICE_2": "/dev/ttyUSB0",
    }


def device(number: int, place: str = "1-1", serial: str = "ML0240108") -> UsbDevice:
    return UsbDevice(
        vendor="0f18", product="000a", serial=serial, place=place, paths=(f"/dev/bus/usb/001/{number:03}",)
    )


def test_none_or_two_of_it_are_refused() -> None:
    for there, said in (((), "has no device"), ((device(4), device(5, "1-2")), "2 devices .* 1-1 .* and 1-2")):
        with pytest.raises(DeviceError, match=said) as told:
            find_usb(CAMERA, there, "n1")
        assert told.value.cause.suggestion
    with pytest.raises(DeviceError, match="not known"):
        find_usb(CAMERA, None, "n1")


@pytest.mark.parametrize(
    ("node", "name", "said"),
    [
        ({}, "usb:", "is written as usb:VENDOR"),
        ({"engine": "docker", "url": "tcp://n1:2376", "insecure": True}, CAMERA, "cannot be looked up from here"),
        ({"engine": "docker", "url": "unix:///run/docker.sock"}, "usb:{label.camera}", ""),
        ({}, CAMERA, ""),
    ],
)
def test_what_a_description_may_say_of_them(node: dict[str, Any], name: str, said: str) -> None:
    service = {"nodes": ["n1"], "devices": [name], "command": ["camera"]} | ({"image": "camera:1"} if node else {})
    found = [
        text for _, text in said_by(FleetSection.model_validate({"nodes": {"n1": node}, "services": {"c": service}}))
    ]
    assert bool(found) == bool(said) and all(said in text for text in found)


class Cameras(Site):
    """Its nodes have cameras."""

    def __init__(self) -> None:
        super().__init__()
        self.plugged: dict[str, tuple[UsbDevice, ...]] = {name: (device(4),) for name in NODES}
        self.described = services(camera={"command": ["camera-1"], "devices": [CAMERA]})
        for name in NODES:
            self.usb[name] = lambda name=name: self.look(name)

    async def look(self, name: str) -> tuple[UsbDevice, ...]:
        return self.plugged[name]


async def test_a_change_without_its_device_is_refused_before_anything_is_touched() -> None:
    site = Cameras()
    await prepare(site.bus)
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        assert [dict(one.made[0].devices) for one in site.engines.values()] == [{CAMERA: device(4).paths}] * 3
        assert (await site.state(node_key("n1"), NodeState)).usb == (device(4),)

        site.plugged["n2"] = (device(4), device(5, "1-2"))
        await site.clock.advance(21)
        site.described = services(camera={"command": ["camera-2"], "devices": [CAMERA]})
        answer = await site.plan()
        assert isinstance(answer, FleetPlanAnswer)
        ((kind, node, text),) = [(one.kind, one.node, one.text) for one in answer.plan.notes]
        assert (kind, node) == ("fails", "n2") and "n2 has 2 devices" in text
        await site.give("apply")
        await site.clock.advance(12)
        state = await site.service()
        assert state.phase is Phase.ROLLED_BACK and state.cause and state.cause.code == "no_device"
        assert state.cause.message.startswith("camera@n2 cannot be made: n2 has 2 devices")
        assert site.running() == dict.fromkeys(NODES, "camera-1")
        assert [len(one.made) for one in site.engines.values()] == [1, 1, 1]


async def test_a_device_that_was_plugged_in_again_is_told_as_drift() -> None:
    site = Cameras()
    await prepare(site.bus)
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        for there, said in (((device(9),), "/dev/bus/usb/001/009"), ((), "not there")):
            site.plugged["n3"] = there
            await site.clock.advance(21)
            (drift,) = [one.drift for one in (await site.service()).instances if one.node == "n3"]
            assert drift == (f"{CAMERA} /dev/bus/usb/001/004 → {said}",)
        # An instance that is to be made is told to wait for it.
        site.engines["n3"].present.clear()
        site.engines["n3"].tell()
        await site.clock.advance(2)
        assert any("n3 has no device" in one for one in (await site.service()).waiting)
        site.plugged["n3"] = (device(11),)
        await site.clock.advance(30)
        state = await site.service()
        assert state.healthy == 3 and not any(one.drift for one in state.instances) and not state.waiting
        assert site.engines["n3"].made[-1].devices == {CAMERA: device(11).paths}


def test_a_container_gets_all_paths_of_it_and_keeps_them_with_it() -> None:
    order = MakeOrder(
        id=InstanceId("camera", "n1"),
        spec=ServiceSpec(image="camera:1", devices=("/dev/null", CAMERA)),
        digest="d",
        revision=1,
        change="r1-0",
        devices={CAMERA: ("/dev/bus/usb/001/004", "/dev/ttyUSB0")},
    )
    made = container_config("bench", order, podman=False)
    assert [one["PathOnHost"] for one in made["HostConfig"]["Devices"]] == [
        "/dev/null",
        "/dev/bus/usb/001/004",
        "/dev/ttyUSB0",
    ]
    assert made["Env"] == ["USB_DEVICE_1=/dev/ttyUSB0"] and not made["HostConfig"]["Privileged"]
    assert msgspec.json.decode(made["Labels"]["countingroom.devices"]) == {
        CAMERA: ["/dev/bus/usb/001/004", "/dev/ttyUSB0"]
    }

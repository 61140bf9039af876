"""Checks the key `test` of causes of interlocks: the devices are known, and their simulators have these faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.app.simulation import KIND_OF_DRIVER
from countingroom.core.arguments import checked
from countingroom.core.errors import RequestError
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import Path
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import kind_of
from countingroom.devices.section import DeviceSection
from countingroom.simulators.run import faults


def wrong_tests(section: InterlockSection, devices: Mapping[str, DeviceSection]) -> Iterator[tuple[Path, str]]:
    """The errors in the tests of one interlock, each with its place below the interlock."""
    for name, cause in section.causes.items():
        if cause.test is None:
            continue
        simulate, restore = cause.test.simulate, cause.test.restore
        asked = {
            "simulate": (simulate.device, simulate.fault, simulate.arguments),
            "restore": (restore.device or simulate.device, restore.fault, restore.arguments),
        }
        for key, (device, fault, arguments) in asked.items():
            if key == "restore" and restore.device is None and device not in devices:
                continue  # told at `simulate`
            for path, message in _wrong_fault(devices, device, fault, arguments):
                yield ("causes", name, "test", key, *path), message


def _wrong_fault(
    devices: Mapping[str, DeviceSection], device: str, fault: str, arguments: Mapping[str, Scalar]
) -> Iterator[tuple[Path, str]]:
    if device not in devices:
        yield ("device",), f"there is no device {device}{did_you_mean(device, devices)}"
        return
    driver = kind_of(type(devices[device]))
    kind = KIND_OF_DRIVER.get(driver)
    if kind is None:
        yield ("device",), f"there is no simulator for the driver {driver} of {device}"
        return
    known = {one.name: one for one in faults(kind)}
    if fault not in known:
        hint = did_you_mean(fault, known) or f"; it has {', '.join(known)}"
        yield ("fault",), f"the simulator of {device} has no fault {fault}{hint}"
        return
    try:
        checked(known[fault], arguments)
    except RequestError as error:
        yield ("arguments",), error.cause.message

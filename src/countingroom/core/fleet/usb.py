"""USB devices that services name by their serial number, and where a node has them at present. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.core.errors import Cause, DeviceError

_FORM = re.compile(r"usb:(?:(?P<vendor>[0-9a-fA-F]{4}):(?P<product>[0-9a-fA-F]{4}):)?(?P<serial>[^\s:]+)")
_BUS = "/dev/bus/usb/"


class UsbDevice(Struct, frozen=True, kw_only=True):
    """A USB device that a node has now."""

    vendor: str
    """Four hexadecimal digits, as `lsusb` shows them."""
    product: str
    serial: str
    title: str = ""
    """What it calls itself."""
    place: str
    """The socket, as Linux numbers it: `1-1.4`."""
    paths: tuple[str, ...] = ()
    """What it has below /dev: `/dev/bus/usb/001/004`, `/dev/ttyUSB0`."""


def is_usb(device: str) -> bool:
    """Whether a device is named by its serial number."""
    return device.startswith("usb:")


def usb_problem(device: str) -> str:
    """The error in a name as text; empty if it is right."""
    if _FORM.fullmatch(device):
        return ""
    return (
        f"a USB device is written as usb:VENDOR:PRODUCT:SERIAL or usb:SERIAL, as `fleet usb` lists them; got {device!r}"
    )


def find_usb(device: str, there: Sequence[UsbDevice] | None, node: str) -> UsbDevice:
    """The device with this name. DeviceError where the node has none or several of it. `there`: None: not known."""
    found = [one for one in there or () if _is(device, one)]
    if len(found) == 1:
        return found[0]
    if there is None:
        message, hint = f"the USB devices of {node} are not known", "wait until the node was looked at"
    elif found:
        places = " and ".join(f"{one.place} ({one.vendor}:{one.product})" for one in found)
        message = f"{node} has {len(found)} devices {device}: at {places}"
        hint = "name vendor and product too, or unplug one: countingroom fleet usb"
    else:
        message, hint = f"{node} has no device {device}", "plug it in; what is there: countingroom fleet usb"
    raise DeviceError(message, source=f"fleet.{node}", code="no_device", suggestion=hint)


def refused_usb(devices: Iterable[str], there: Sequence[UsbDevice] | None, node: str) -> Cause | None:
    """Why an instance with these devices cannot be made on the node now; None: it can."""
    for device in devices:
        if is_usb(device):
            try:
                find_usb(device, there, node)
            except DeviceError as error:
                return error.cause
    return None


def moved_usb(made: Mapping[str, Sequence[str]], there: Sequence[UsbDevice], node: str) -> Iterator[str]:
    """What has changed since an instance got its devices, as operators read it. `made`: name -> its paths then."""
    for device, paths in made.items():
        try:
            now = find_usb(device, there, node).paths
        except DeviceError:
            now = ()
        if tuple(paths) != now:
            yield f"{device} {' '.join(paths)} → {' '.join(now) or 'not there'}"


def usb_environment(made: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The variables by which an instance finds its devices: `USB_DEVICE_1` is the path of the first one."""
    found: dict[str, str] = {}
    for number, paths in enumerate(made.values(), 1):
        found[f"USB_DEVICE_{number}"] = next((one for one in paths if not one.startswith(_BUS)), paths[0])
    return found


def _is(device: str, one: UsbDevice) -> bool:
    form = _FORM.fullmatch(device)
    if form is None or form["serial"] != one.serial:
        return False
    return not form["vendor"] or (form["vendor"].lower(), form["product"].lower()) == (one.vendor, one.product)

"""The USB devices of this computer, as Linux shows them in sysfs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from countingroom.core.fleet.usb import UsbDevice

SYSFS = Path("/sys/bus/usb/devices")
_DEEPEST = 6
"""Folders below a device that are looked into for what it has below /dev."""


def local_usb(sysfs: Path = SYSFS) -> tuple[UsbDevice, ...]:
    """Those that have a serial number, by their sockets. What is unplugged meanwhile is left out."""
    try:
        places = sorted(sysfs.iterdir())
    except OSError:
        return ()
    return tuple(one for place in places if ":" not in place.name if (one := _device(place)))


def _device(place: Path) -> UsbDevice | None:
    serial = _word(place / "serial")
    vendor, product = _word(place / "idVendor"), _word(place / "idProduct")
    if not (serial and vendor and product):
        return None
    try:
        paths = tuple(sorted(_paths(place.resolve(), _DEEPEST), key=lambda one: (not one.startswith("/dev/bus/"), one)))
    except OSError:
        return None
    return UsbDevice(
        vendor=vendor.lower(),
        product=product.lower(),
        serial=serial,
        title=" ".join(word for word in (_word(place / "manufacturer"), _word(place / "product")) if word),
        place=place.name,
        paths=paths,
    )


def _paths(folder: Path, depth: int) -> Iterator[str]:
    """Paths below /dev of a device and of the parts of it, without those of devices that are plugged into it."""
    for line in _word(folder / "uevent").splitlines():
        if line.startswith("DEVNAME="):
            yield f"/dev/{line.removeprefix('DEVNAME=').removeprefix('/dev/')}"
    if depth:
        for inner in folder.iterdir():
            if inner.is_dir() and not inner.is_symlink() and not (inner / "idVendor").exists():
                yield from _paths(inner, depth - 1)


def _word(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

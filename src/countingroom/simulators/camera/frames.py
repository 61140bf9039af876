"""Frames of a simulated CCD, and their FITS files, written by astropy."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from countingroom.core.errors import ConfigurationError, DeviceError

FLAVOURS = ("object", "bias", "dark", "flat")
_BIAS, _READ_NOISE, _GAIN, _DARK_E_PER_S, _FLAT_E_PER_S = 1000.0, 5.0, 1.3, 0.4, 4000.0
"""In counts, electrons, electrons per count, electrons per second."""
_STARS = 12
_FULL = 65_535


class Exposure(Struct, frozen=True, kw_only=True):
    """What a frame was taken with."""

    flavour: str
    seconds: float
    started_ns: int
    """UTC, since the epoch."""
    camera: str
    temperature_c: float
    observatory: str = ""


def frame(exposure: Exposure, size: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The counts of a square CCD, `size` x `size`: bias and read noise, dark current, light."""
    seconds = 0.0 if exposure.flavour == "bias" else exposure.seconds
    electrons = np.full((size, size), _DARK_E_PER_S * seconds)
    y, x = np.mgrid[:size, :size] / size - 0.5
    if exposure.flavour in ("flat", "object"):
        level = _FLAT_E_PER_S if exposure.flavour == "flat" else 20.0
        electrons += level * seconds * (1.0 - 0.4 * (x**2 + y**2))  # less light towards the corners
    if exposure.flavour == "object":
        for row, column, light in rng.random((_STARS, 3)):
            spread = np.exp(-((x - column + 0.5) ** 2 + (y - row + 0.5) ** 2) / (2 * (3.0 / size) ** 2))
            electrons += 30_000 * light**3 * seconds * spread
    counts = rng.poisson(electrons) / _GAIN + rng.normal(_BIAS, _READ_NOISE / _GAIN, electrons.shape)
    return np.clip(np.rint(counts), 0, _FULL).astype(np.uint16)


def write(exposure: Exposure, folder: Path, size: int, rng: np.random.Generator) -> Path:
    """Take a frame and write it as the next file of the folder, whole or not at all. DeviceError where it cannot be
    written, ConfigurationError without astropy."""
    try:
        from astropy.io import fits
    except ImportError:
        raise ConfigurationError(
            "FITS files are written by astropy, which is not installed",
            source="camera",
            suggestion="install it: pip install countingroom[camera]",
        ) from None

    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = _next(folder, exposure.camera)
        partial = folder / f".{exposure.camera}-{os.getpid()}.part"
        while True:
            path = folder / f"{exposure.camera}-{number:06d}.fits"
            image: Any = fits.PrimaryHDU(frame(exposure, size, rng))
            image.header.update(_header(exposure, number, path.name))
            image.writeto(partial, overwrite=True, checksum=True)
            try:
                os.link(partial, path)  # never over a file of another process
            except FileExistsError:
                number += 1
                continue
            finally:
                partial.unlink(missing_ok=True)
            return path
    except OSError as error:
        raise DeviceError(
            f"the image cannot be written: {error.strerror or error}",
            source="camera",
            code="no_disk",
            suggestion=f"look at {folder}",
        ) from None


def _header(exposure: Exposure, number: int, name: str) -> dict[str, tuple[Any, str]]:
    started = datetime.fromtimestamp(exposure.started_ns / 1e9, UTC)
    return {
        "EXPTIME": (0.0 if exposure.flavour == "bias" else exposure.seconds, "[s] exposure time"),
        "IMAGETYP": (exposure.flavour, "object, bias, dark or flat"),
        "DATE-OBS": (started.isoformat(timespec="milliseconds").removesuffix("+00:00"), "start of the exposure"),
        "TIMESYS": ("UTC", "time scale of DATE-OBS"),
        "OBSERVAT": (exposure.observatory or "unknown", "observatory"),
        "INSTRUME": (exposure.camera, "camera"),
        "SEQNO": (number, "number of the image"),
        "FILENAME": (name, "name of this file"),
        "CCDTEMP": (round(exposure.temperature_c, 2), "[degC] temperature of the CCD"),
        "GAIN": (_GAIN, "[electron/adu] gain"),
        "RDNOISE": (_READ_NOISE, "[electron] read noise"),
        "BUNIT": ("adu", "unit of the pixels"),
    }


def _next(folder: Path, camera: str) -> int:
    pattern = re.compile(rf"{re.escape(camera)}-(\d{{6,}})\.fits")
    found = [int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    return max(found, default=0) + 1

"""The file of the description that was reloaded: what a process that starts later reads in place of the YAML files.

It is in the data folder. It counts the versions over restarts of `up`; after a restart the YAML files count again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.app.data_folder import DESCRIPTION
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import Malformed, decode_json
from countingroom.experiment import Experiment
from countingroom.experiment.loading import validated

FILE = "in-force.json"


class SavedDescription(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    version: int
    digest: str
    since_ns: int
    by: str = ""
    value: Any = None
    """The description as one value, with its includes; None: that of the YAML files at the start of `up`."""


def read(data: Path) -> SavedDescription | None:
    """The saved description; None if there is no readable file."""
    try:
        return decode_json((data / DESCRIPTION / FILE).read_bytes(), SavedDescription)
    except (OSError, Malformed):
        return None


def write(data: Path, saved: SavedDescription) -> Path:
    """Replace the file, in one step and synced to the disk; its path. OSError where that fails."""
    folder = data / DESCRIPTION
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, new = folder / FILE, folder / f"{FILE}.new"
    with new.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(saved))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return path


def experiment_of(file: Path, directory: Path) -> Experiment:
    """The experiment of this file. `directory`: the directory of the description. ConfigurationError if the file is
    incomplete."""
    try:
        saved = decode_json(file.read_bytes(), SavedDescription)
    except (OSError, Malformed) as error:
        raise ConfigurationError(
            f"the description that was reloaded cannot be read: {error}",
            source=str(file),
            suggestion="start `countingroom up` again: it then reads the description from its files",
        ) from error
    return validated(saved.value, directory)

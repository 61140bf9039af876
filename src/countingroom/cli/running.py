"""Finds the console of the experiment that runs on this machine, by the data folders.

`up` writes its address into `owner.json` of its data folder. Where one experiment runs, commands use its
address; so they need no --url after `up --port 9090`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from countingroom.core.errors import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8080"
DATA_VARIABLE = "COUNTINGROOM_DATA"


def running_console() -> str:
    """The address of the console that runs here; DEFAULT_URL where none is known. ConfigurationError where several run
    and none of them is at DEFAULT_URL."""
    found = {owner.console.rstrip("/"): owner.description for owner in _owners()}
    if not found or DEFAULT_URL in found:
        return DEFAULT_URL
    if len(found) == 1:
        return next(iter(found))
    told = ", ".join(f"{url} ({Path(description).parent.name})" for url, description in found.items())
    raise ConfigurationError(
        f"several experiments run on this machine: {told}",
        source="--url",
        suggestion=f"choose one with --url, COUNTINGROOM_URL or {DATA_VARIABLE}",
    )


def when_not_given(context: Any, parameter: Any, value: str) -> str:
    """The value of --url: the address of the running console where neither the option nor the environment gives one."""
    source = context.get_parameter_source(parameter.name)
    is_default = source is not None and source.name == "DEFAULT"
    return running_console() if is_default and not context.resilient_parsing else value


def console_of(data: Path) -> str:
    """The address of the console of the experiment that runs on this data folder; empty where none runs."""
    return next((owner.console for owner in _running_on([data])), "")


def running_description() -> str:
    """The description of the one experiment that runs on this machine; empty where none or several run."""
    found = [owner.description for owner in _owners()]
    return found[0] if len(found) == 1 else ""


def running_experiment() -> tuple[Path, Path]:
    """Description and data folder of the one experiment that runs on this machine. ConfigurationError where none runs,
    or several."""
    found = [(Path(owner.description), folder) for folder in _folders() for owner in _running_on([folder])]
    if len(found) == 1:
        return found[0]
    told = ", ".join(str(folder) for _, folder in found)
    raise ConfigurationError(
        f"several experiments run on this machine: {told}" if found else "no experiment runs on this machine",
        source="--data",
        suggestion=f"give its data folder with --data, or in {DATA_VARIABLE}",
    )


def _owners() -> Iterator[Any]:
    return _running_on(_folders())


def _folders() -> list[Path]:
    from countingroom.app.data_folder import default_data

    if given := os.environ.get(DATA_VARIABLE):
        return [Path(given)]
    return sorted(default_data(Path("experiment.yaml")).parent.glob("*"))


def _running_on(folders: Iterable[Path]) -> Iterator[Any]:
    from countingroom.app.data_folder import LOCK, InstanceOwner

    for folder in folders:
        try:
            owner = msgspec.json.decode((folder / LOCK).read_bytes(), type=InstanceOwner)
            if owner.console and _is_alive(owner.pid):
                yield owner
        except (OSError, msgspec.DecodeError):
            continue  # of another account, or of an instance that has ended


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0

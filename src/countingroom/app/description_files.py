"""The files of a description, for a backup: the YAML files, and the files that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from pydantic import BaseModel, RootModel

from countingroom.backup.contents import DESCRIPTION
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.departments import DEPARTMENTS, load
from countingroom.experiment import Loaded

_SECRET_FIELDS = ("password_file", "users_file", "creds_file", "nkey_file", "tls_key", "key")
_MOST_BYTES = 64 << 20
"""Of one file: a description names no larger ones."""


class DescriptionFiles(Struct, frozen=True, kw_only=True):
    """Where each file is in a backup."""

    main: str
    files: dict[str, Path]
    """Path in the backup -> file."""
    outside: dict[str, str]
    """Of those that are not below the folder of the description: path in the backup -> path here."""


def description_files(description: Path, loaded: Loaded, *, secrets: bool) -> DescriptionFiles:
    """The files that are there; with `secrets` also those that hold passwords and private keys."""
    main = description.absolute()
    places = (*loaded.located.keys.values(), *loaded.located.values.values())
    written = dict.fromkeys(Path(place.file) for place in places if place.file)
    named = dict(named_files(loaded.experiment)) | dict.fromkeys(_declared(loaded), False)
    files: dict[str, Path] = {}
    outside: dict[str, str] = {}
    for path in dict.fromkeys((main, *written, *(one for one, secret in named.items() if secrets or not secret))):
        file = Path(os.path.normpath(main.parent / path if path in named else path.absolute()))
        if file.is_file() and file.stat().st_size <= _MOST_BYTES:
            if file.is_relative_to(main.parent):
                files[f"{DESCRIPTION}/{file.relative_to(main.parent).as_posix()}"] = file
            else:
                name = f"{DESCRIPTION}/outside{file.as_posix()}"
                files[name] = file
                outside[name] = str(file)
    return DescriptionFiles(main=f"{DESCRIPTION}/{main.name}", files=files, outside=outside)


def _declared(loaded: Loaded) -> Iterator[Path]:
    """The files at the paths that sections declare as names of files."""
    for section in (department.section for department in DEPARTMENTS):
        for inner in getattr(load(section.model), "file_names", ()) if section else ():
            yield from _at(loaded.located.value, (section.key, *inner) if section else ())


def _at(value: Any, path: Sequence[str]) -> Iterator[Path]:
    if not path:
        if isinstance(value, str) and value:
            yield Path(value)
    elif isinstance(value, dict):
        table = cast(dict[str, Any], value)
        for key in table if path[0] == "*" else (path[0],):
            yield from _at(table.get(key), path[1:])


def named_files(part: Any, field: str = "") -> Iterator[tuple[Path, bool]]:
    """(file, whether it holds a secret) of each path in a section."""
    if isinstance(part, SecretReference):
        if part.file:
            yield part.file, True
    elif isinstance(part, Path):
        yield part, field in _SECRET_FIELDS
    elif isinstance(part, RootModel):
        yield from named_files(cast(Any, part).root, field)
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from named_files(getattr(part, name), name)
    elif isinstance(part, dict):
        for value in cast(dict[Any, Any], part).values():
            yield from named_files(value, field)
    elif isinstance(part, (list, tuple)):
        for value in cast(list[Any], part):
            yield from named_files(value, field)

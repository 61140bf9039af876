"""Files of a program as the request that adds a result."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.core.results import UPLOAD_BYTES

_ARRAYS = {
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".parquet": "parquet",
    ".npy": "npy",
    ".csv": "csv",
}
_LOGS = (".log", ".txt")


def body_of(
    files: Sequence[Path], program: str, *, title: str, started: str, ended: str, comment: str
) -> dict[str, Any]:
    """The body of `POST /api/v1/results`. ConfigurationError for a file that cannot be read; RequestError where they
    are too much together, or one has a suffix that is not known."""
    documents: list[dict[str, Any]] = []
    arrays: list[dict[str, str]] = []
    log = ""
    size = 0
    for path in files:
        content = _read(path)
        size += len(content) * (4 / 3 if path.suffix in _ARRAYS else 1)
        if path.suffix == ".json":
            documents.append({"name": path.stem, "content": _json(path, content)})
        elif form := _ARRAYS.get(path.suffix):
            arrays.append({"name": path.stem, "format": form, "data": base64.b64encode(content).decode()})
        elif path.suffix in _LOGS:
            log += content.decode(errors="replace")
        else:
            raise RequestError(
                f"{path} is no document, array or log",
                source="cli",
                code="wrong_format",
                suggestion=f"give files with the suffix .json, {', '.join((*_ARRAYS, *_LOGS))}",
            )
    if size > UPLOAD_BYTES:
        raise RequestError(
            f"the files have {size:,.0f} bytes as a request; the most is {UPLOAD_BYTES:,}",
            source="cli",
            code="too_large",
            suggestion="write large arrays as Parquet, or add several results",
        )
    times = {name: value for name, value in (("started", started), ("ended", ended)) if value}
    return {
        "program": program,
        "title": title,
        "comment": comment,
        **times,
        "documents": documents,
        "arrays": arrays,
        "log": log,
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", source="cli") from error


def _json(path: Path, content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}", source="cli") from error

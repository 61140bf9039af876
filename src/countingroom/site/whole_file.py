"""Files that others read while they are written anew."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, body: bytes) -> None:
    """Write it at once: a reader finds the file before or after, never a part. OSError where that fails."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(body)
    new.replace(path)

"""The running product as a wheel, and the lock file of its libraries: what an image is made of."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from countingroom.core.errors import ConfigurationError

PACKAGE = "countingroom"
_ROOT = Path(__file__).parents[2]
_SOURCE = Path(__file__).parents[4]
"""Of the source tree, where the product runs from one."""
_KEPT = ("METADATA", "entry_points.txt")
_WHEEL = b"Wheel-Version: 1.0\nGenerator: countingroom\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time of each file: the same product is the same wheel."""


def wheel_name() -> str:
    """The file name of the wheel, which pip reads the version from."""
    return f"{PACKAGE}-{distribution(PACKAGE).version}-py3-none-any.whl"


def write_wheel(target: Path) -> None:
    """Write the product that runs here as a wheel."""
    found = distribution(PACKAGE)
    facts = f"{PACKAGE}-{found.version}.dist-info"
    added = {f"{facts}/{kept}": (found.read_text(kept) or "").encode() for kept in _KEPT}
    added[f"{facts}/WHEEL"] = _WHEEL
    record: list[str] = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, path in sorted(_files()):
            _write(archive, inner, path.read_bytes(), record)
        for inner, content in added.items():
            _write(archive, inner, content, record)
        own = f"{facts}/RECORD"
        archive.writestr(zipfile.ZipInfo(own, _OLDEST), "\n".join([*record, f"{own},,", ""]))


def lock() -> str:
    """The libraries of the product with version and hashes, as pip takes them. ConfigurationError where it is not
    there."""
    for path in (_ROOT / "requirements.txt", _SOURCE / "requirements" / "run.txt"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ConfigurationError(
        "the lock file of the libraries is not in this installation",
        source="deploy",
        code="no_lock",
        suggestion="install countingroom from its wheel, or run it from its source tree",
    )


def _files() -> Iterator[tuple[str, Path]]:
    """Path in the wheel -> file, of the package and of what a wheel has beside its source."""
    for path in _ROOT.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{PACKAGE}/{path.relative_to(_ROOT).as_posix()}", path
    if not (_ROOT / "requirements.txt").is_file() and (_SOURCE / "requirements").is_dir():
        yield f"{PACKAGE}/requirements.txt", _SOURCE / "requirements" / "run.txt"
        demo = _SOURCE / "examples" / "demo"
        for path in demo.rglob("*"):
            if path.is_file():
                yield f"{PACKAGE}/cli/examples/demo/{path.relative_to(demo).as_posix()}", path


def _write(archive: zipfile.ZipFile, inner: str, content: bytes, record: list[str]) -> None:
    entry = zipfile.ZipInfo(inner, _OLDEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    record.append(f"{inner},sha256={digest},{len(content)}")

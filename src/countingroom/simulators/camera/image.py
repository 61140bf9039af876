"""Writes the file system of a container image of the simulated camera, from this computer alone, without a network.

    python -m countingroom.simulators.camera.image camera.tar

It has this Python with its libraries, numpy, astropy, and the modules of the camera; no shell, and nothing else.
`docker import` and `podman import` make an image of it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

PACKAGES = "/opt/camera"
"""Where the modules are in the image: `PYTHONPATH`."""
CHANGES = (
    f"ENV PYTHONPATH={PACKAGES}",
    "ENV PYTHONDONTWRITEBYTECODE=1",
    "WORKDIR /tmp",
    'ENTRYPOINT ["/bin/python", "-m", "countingroom.simulators.camera"]',
)
"""For `--change` of `docker import`."""
_LEFT_OUT = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests"}
_OTHER_NAMES = {"erfa": "pyerfa", "yaml": "pyyaml"}
"""Package -> its name in the registry, where that is another one."""
_OURS = "countingroom"
_FOUND = """
import json, sys
import astropy.io.fits, countingroom.simulators.camera.__main__
files = {name: one.__file__ for name, one in list(sys.modules.items()) if getattr(one, "__file__", None)}
print(json.dumps(files))
"""
_ASK_S = 120.0


def write(target: Path) -> int:
    """Write the file system as a tar file; its bytes."""
    modules = _modules()
    standard = Path(sysconfig.get_paths()["stdlib"]).resolve()
    program = Path(sys.executable).resolve()
    places = dict(standard_files(standard))
    places |= dict(_packages(modules, standard))
    places[str(program)] = program
    for library in shared_libraries(path for path in places.values() if path.suffix == ".so" or path == program):
        places[library] = Path(library).resolve()
    with tarfile.open(target, "w") as archive:
        for name, mode in (("tmp", 0o1777), ("etc", 0o755), ("bin", 0o755)):
            archive.addfile(entry(name, tarfile.DIRTYPE, mode))
        link = entry("bin/python", tarfile.SYMTYPE, 0o777)
        link.linkname = str(program)
        archive.addfile(link)
        passwd = b"root:x:0:0:root:/tmp:/none\n"
        users = entry("etc/passwd", tarfile.REGTYPE, 0o644)
        users.size = len(passwd)
        archive.addfile(users, BytesIO(passwd))
        for name in sorted(places):
            add_file(archive, name, places[name])
    return target.stat().st_size


def _modules() -> dict[str, Path]:
    """Module -> its file, of all that a camera imports."""
    done = _output([sys.executable, "-c", _FOUND])
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        sys.exit(f"the camera cannot be imported: {last}; install it: pip install countingroom[camera]")
    found: dict[str, str] = json.loads(done.stdout)
    return {name: Path(file) for name, file in found.items()}


def standard_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The standard library at its place."""
    for path in _files(folder):
        yield str(path), path


def _packages(modules: dict[str, Path], standard: Path) -> Iterator[tuple[str, Path]]:
    """Of our own package the modules that are imported, of each other one all files, and what tells their versions."""
    homes: dict[str, Path] = {}
    for name, file in modules.items():
        top = name.partition(".")[0]
        if file.resolve().is_relative_to(standard) and "site-packages" not in file.parts:
            continue
        depth = name.count(".") + (2 if file.name == "__init__.py" else 1)
        homes.setdefault(top, file.parents[depth - 1] if depth else file.parent)
        # Also those in folders that are left out: astropy imports its `tests`.
        if top == _OURS or name != top:
            yield f"{PACKAGES}/{file.relative_to(homes[top])}", file
    for top, home in homes.items():
        folder = home / top
        if top != _OURS and folder.is_dir():
            for path in (*_files(folder), *_files(home / f"{top}.libs")):
                yield f"{PACKAGES}/{path.relative_to(home)}", path
        elif top != _OURS:
            yield f"{PACKAGES}/{modules[top].name}", modules[top]
        for facts in home.glob("*.dist-info"):
            if facts.name.partition("-")[0].lower() == _OTHER_NAMES.get(top, top).lower():
                for path in _files(facts):
                    yield f"{PACKAGES}/{path.relative_to(home)}", path


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        for name in names:
            if not name.endswith((".pyc", ".a")):
                yield Path(place) / name


def shared_libraries(programs: Iterable[Path]) -> set[str]:
    """Shared libraries that these need, and the loader, by the names under which they are looked for."""
    done = _output(["/usr/bin/ldd", *map(str, programs)])
    found = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", done.stdout, re.MULTILINE)
    return {path for path in found if "site-packages" not in path}


def _output(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, timeout=_ASK_S, check=False, text=True
    )


def add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file of this computer under a name."""
    content = path.read_bytes()
    is_program = bool(path.stat().st_mode & stat.S_IXUSR)
    made = entry(name.lstrip("/"), tarfile.REGTYPE, 0o755 if is_program else 0o644)
    made.size = len(content)
    archive.addfile(made, BytesIO(content))


def entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    """A new entry of an archive."""
    made = tarfile.TarInfo(name)
    made.type = kind
    made.mode = mode
    return made


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{sys.argv[1]}: {write(Path(sys.argv[1])) / 1e6:.0f} MB")
    print("docker import " + " ".join(f"--change '{change}'" for change in CHANGES) + f" {sys.argv[1]} camera:1")

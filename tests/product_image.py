"""A base image for the product's own image, made of this computer without a network: Python, pip, a shell, libraries.

The libraries are where pip finds them installed, so that a build takes them as they are. The largest that a small
simulated experiment does not import have only their names and versions.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from countingroom.app.deploy.wheel import lock
from countingroom.simulators.camera.image import add_file, entry, shared_libraries, standard_files

LIBRARIES = "/opt/libraries"
_NAMES_ONLY = {"aiohttp", "apprise", "epicscorelibs", "p4p", "psycopg-binary", "pvxslibs", "pyarrow", "softioc"}
_OF_OTHERS = {"colorama", "pywin32"}
"""Of other systems than Linux."""
_SHELL = ("sh", "mkdir", "chown", "chmod")


def write_base(target: Path, busybox: str) -> None:
    """Write the file system of the base as a tar file."""
    program, standard = Path(sys.executable).resolve(), Path(sysconfig.get_paths()["stdlib"]).resolve()
    places = {name: path for name, path in standard_files(standard) if "/tkinter/" not in name}
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock(), re.MULTILINE)
    for name in [*(one for one in names if one not in _OF_OTHERS), "pip"]:
        places |= dict(_installed(distribution(name)))
    places[str(program)] = program
    places["bin/nats-server"] = Path(sysconfig.get_path("scripts")) / "nats-server"
    # pip of Debian 13 reads them from here.
    if (certificates := Path("/etc/ssl/certs/ca-certificates.crt")).is_file():
        places[str(certificates)] = certificates
    places["bin/busybox"] = Path(os.path.realpath(busybox))
    for library in shared_libraries(path for path in places.values() if path.suffix == ".so" or path == program):
        places[library] = Path(library).resolve()
    with tarfile.open(target, "w") as archive:
        for name, mode in (("tmp", 0o1777), ("etc", 0o755), ("bin", 0o755)):
            archive.addfile(entry(name, tarfile.DIRTYPE, mode))
        for name, link in (("python3", str(program)), *((word, "busybox") for word in _SHELL)):
            made = entry(f"bin/{name}", tarfile.SYMTYPE, 0o777)
            made.linkname = link
            archive.addfile(made)
        for name in sorted(places):
            add_file(archive, name, places[name])


def _installed(found: Distribution) -> Iterator[tuple[str, Path]]:
    is_name_only = found.name.lower().replace("_", "-") in _NAMES_ONLY
    for inner in found.files or ():
        is_fact = ".dist-info" in inner.parts[0]
        if inner.parts[0] == ".." or inner.suffix == ".pyc" or (is_name_only and not is_fact):
            continue
        path = Path(str(found.locate_file(inner)))
        if path.is_file():
            yield f"{LIBRARIES}/{inner}", path

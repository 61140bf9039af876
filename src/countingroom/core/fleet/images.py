"""The texts by which descriptions name images and ports of containers. Pure."""

from __future__ import annotations

import re

_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.\-]+(?::\d+)?/)?"
    r"[a-z0-9]+(?:[._\-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._\-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._\-]{0,127}|@sha256:[0-9a-f]{64})?"
)
_PORT = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<outer>\d{1,5}):(?P<inner>\d{1,5})(?:/(?P<kind>tcp|udp))?"
)


def image_problem(image: str) -> str:
    """The error in the name of an image as text; empty if it is right."""
    if ":" in image.rpartition("/")[2].partition("@")[0] and "@" in image:
        return "give a tag or a digest, not both: the tag would be ignored"
    if not _IMAGE.fullmatch(image):
        return f"an image is written as registry:5000/name:tag or name@sha256:…; got {image!r}"
    return ""


def port_problem(port: str) -> str:
    """The error in a port as text; empty if it is right."""
    found = _PORT.fullmatch(port)
    if found and all(0 < int(found[key]) < 65536 for key in ("outer", "inner")):
        return ""
    return f"a port is written as 8080:80 or 127.0.0.1:8080:80/udp, the port of the node first; got {port!r}"


def split_port(port: str) -> tuple[str, str, str]:
    """(address of the node, port of the node, `80/tcp`) of `127.0.0.1:8080:80`. Without an address: all."""
    found = _PORT.fullmatch(port)
    if found is None:
        raise ValueError(port_problem(port))
    return (found["address"] or "").strip("[]"), found["outer"], f"{found['inner']}/{found['kind'] or 'tcp'}"


def image_place(image: str) -> tuple[str, str, str]:
    """(host of its registry, name there, tag or digest) of an image as descriptions name it."""
    name, at, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, rest
    else:
        host, path = "docker.io", name
    head, colon, tag = path.rpartition(":")
    path, tag = (head, tag) if colon else (path, "latest")
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return host, path, digest if at else tag

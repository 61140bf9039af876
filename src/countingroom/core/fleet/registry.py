"""Whether registries have the images that are wanted: the question to the fleet, and its answer. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause


class RegistryQuery(Struct, frozen=True, kw_only=True):
    """`query.fleet.registry`: do the registries have each image of the description as it is now?"""


class ImageOnNode(Struct, frozen=True, kw_only=True):
    """An image and one of the nodes that it is wanted on."""

    node: str
    platform: str = ""
    """`linux/amd64`; empty: not known."""
    is_fit: bool = True
    """Whether the image is made for this platform, as far as both are known."""
    has: str = ""
    """`this`: the image of the registry is on the node. `another`: an image of this name, with other content; it is
    not pulled again. `none`: it will be pulled. Empty: the node does not answer."""


class CheckedImage(Struct, frozen=True, kw_only=True):
    """An image that is wanted, and what its registry says of it."""

    image: str
    registry: str
    services: tuple[str, ...]
    digest: str = ""
    platforms: tuple[str, ...] = ()
    is_secure: bool = True
    """Whether the registry was reached with TLS."""
    nodes: tuple[ImageOnNode, ...] = ()
    cause: Cause | None = None
    """Why a node could not pull it, as far as it is seen from the keeper."""


class RegistryAnswer(Struct, frozen=True, kw_only=True, tag="fleet_registry"):
    """The answer; QueryRefusal where the description has mistakes."""

    images: tuple[CheckedImage, ...] = ()

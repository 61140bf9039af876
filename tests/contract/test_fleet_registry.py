"""Whether a registry has an image: a real registry, open, and with TLS and a login."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from countingroom.core.errors import ConfigurationError, LinkError, NotFound
from countingroom.core.fleet.images import image_place
from countingroom.core.fleet.observed import ObservedNode
from countingroom.core.fleet.specs import RegistryLogin, Revision, ServiceSpec, WantedNode, WantedService
from countingroom.fleet.node import Node
from countingroom.fleet.registry_check import check_registry
from countingroom.fleet.registry_client import FoundImage, find_image
from tests.container_engines import free_port, make_certificates, registry_server

pytestmark = pytest.mark.server
_V2 = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def push(api: httpx.Client, name: str, tag: str, architectures: Sequence[str]) -> str:
    """Put an image there that has no content; its digest. With several architectures a list."""
    listed: list[dict[str, Any]] = []
    for architecture in architectures:
        config = json.dumps({"os": "linux", "architecture": architecture, "rootfs": {}}).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        place = api.post(f"/v2/{name}/blobs/uploads/").headers["Location"]
        assert api.put(f"{place}&digest={digest}", content=config).status_code == 201
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": _V2,
            "config": {"mediaType": "application/json", "size": len(config), "digest": digest},
            "layers": [],
        }
        put = _put(api, name, f"{tag}-{architecture}" if len(architectures) > 1 else tag, manifest, _V2)
        platform = {"os": "linux", "architecture": architecture}
        size = len(json.dumps(manifest))
        listed.append({"mediaType": _V2, "size": size, "digest": put, "platform": platform})
    if len(architectures) == 1:
        return str(listed[0]["digest"])
    return _put(api, name, tag, {"schemaVersion": 2, "mediaType": _LIST, "manifests": listed}, _LIST)


def _put(api: httpx.Client, name: str, tag: str, manifest: dict[str, Any], kind: str) -> str:
    answer = api.put(f"/v2/{name}/manifests/{tag}", content=json.dumps(manifest), headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Docker-Content-Digest"])


@pytest.fixture(scope="module")
def open_registry(needs: Callable[[str], str]) -> Iterator[tuple[str, dict[str, str]]]:
    with registry_server(needs) as place, httpx.Client(base_url=f"http://{place}") as api:
        digests = {
            "2.4": push(api, "sdss/camera", "2.4", ["amd64"]),
            "2.5": push(api, "sdss/camera", "2.5", ["amd64", "arm64"]),
        }
        yield place, digests


@pytest.fixture(scope="module")
def closed_registry(
    needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("hub")
    make_certificates(folder)
    (folder / "password").write_text("rosebud\n")
    (folder / "wrong").write_text("xanadu\n")
    with registry_server(needs, folder) as place:
        base = f"https://{place}"
        with httpx.Client(
            base_url=base, verify=ssl.create_default_context(cafile=str(folder / "ca.pem")), auth=("reader", "rosebud")
        ) as api:
            push(api, "camera", "1", ["amd64"])
        yield place, folder


async def test_an_image_is_found_with_its_digest_and_platforms(open_registry: tuple[str, dict[str, str]]) -> None:
    place, digests = open_registry
    found = await find_image(f"{place}/sdss/camera:2.4", None, Path())
    assert found == FoundImage(digest=digests["2.4"], platforms=("linux/amd64",), is_secure=False)
    found = await find_image(f"{place}/sdss/camera@{digests['2.5']}", None, Path())
    assert found.platforms == ("linux/amd64", "linux/arm64")
    with pytest.raises(NotFound, match=r"no sdss/camera 2\.6; there is 2\.5-arm64, 2\.5-amd64, 2\.5, 2\.4"):
        await find_image(f"{place}/sdss/camera:2.6", None, Path())
    with pytest.raises(NotFound, match="no nothing 1"):
        await find_image(f"{place}/nothing:1", None, Path())
    with pytest.raises(LinkError, match="does not answer"):
        await find_image(f"127.0.0.1:{free_port()}/camera:1", None, Path())


async def test_login_and_certificate_are_needed_where_the_registry_wants_them(
    closed_registry: tuple[str, Path],
) -> None:
    place, folder = closed_registry
    image = f"{place}/camera:1"

    def login(**more: Any) -> RegistryLogin:
        given: dict[str, Any] = {"user": "reader", "password": f"file:{folder / 'password'}", "ca": "ca.pem", **more}
        return RegistryLogin(host=place, **given)

    assert (await find_image(image, login(), folder)).is_secure
    assert not (await find_image(image, login(ca=""), folder)).is_secure  # of this computer: as engines do
    for wrong, code in (
        (login(password=f"file:{folder / 'wrong'}"), "registry_login"),
        (login(user="", password=""), "registry_login"),
        (login(password=f"file:{folder / 'none'}"), "no_secret"),
        (login(ca="client.pem"), "certificate"),
        (login(ca="none.pem"), "certificate"),
    ):
        with pytest.raises(ConfigurationError) as told:
            await find_image(image, wrong, folder)
        assert told.value.cause.code == code and told.value.cause.suggestion


class Played:
    """A node whose engine has some images."""

    def __init__(self, platform: str, *images: str) -> None:
        self._platform = platform
        self._images = frozenset(images)

    def observed(self) -> ObservedNode:
        return ObservedNode(name="n", is_reachable=bool(self._platform), images=self._images)

    async def platform(self) -> str:
        return self._platform


async def test_each_image_is_checked_for_its_nodes(open_registry: tuple[str, dict[str, str]]) -> None:
    place, digests = open_registry
    name = f"{place}/sdss/camera"
    nodes = {
        "n1": Played("linux/amd64", f"{name}:2.4", f"{name}@{digests['2.4']}"),
        "n2": Played("linux/amd64", f"{name}:2.4", f"{name}@sha256:{'0' * 64}"),
        "n3": Played("linux/arm64"),
        "n4": Played(""),
    }
    revision = Revision(
        number=0,
        nodes=tuple(WantedNode(name=one, engine="docker") for one in nodes),
        services=(
            WantedService(name="old", spec=ServiceSpec(image=f"{name}:2.4"), nodes=tuple(nodes)),
            WantedService(name="new", spec=ServiceSpec(image=f"{place}/sdss/camera:2.5"), nodes=("n1", "n3")),
            WantedService(name="gone", spec=ServiceSpec(image=f"{place}/sdss/{{node}}:1"), nodes=("n1",)),
            WantedService(name="program", spec=ServiceSpec(command=("x",)), nodes=("n1",)),
        ),
    )
    answer = await check_registry(revision, cast("dict[str, Node]", nodes).__getitem__, Path())
    old, new, gone = answer.images
    assert [(one.node, one.has, one.is_fit) for one in old.nodes] == [
        ("n1", "this", True),
        ("n2", "another", True),
        ("n3", "none", False),
        ("n4", "", True),
    ]
    assert old.cause and old.cause.message == "it is made for linux/amd64, and n3 is linux/arm64"
    assert new.cause is None and new.services == ("new",) and new.digest == digests["2.5"]
    assert gone.image.endswith("/sdss/n1:1") and gone.cause and gone.cause.code == "not_found"


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("camera", ("docker.io", "library/camera", "latest")),
        ("sdss/camera:2", ("docker.io", "sdss/camera", "2")),
        ("hub:5000/camera", ("hub:5000", "camera", "latest")),
        ("hub:5000/sdss/camera:2.4", ("hub:5000", "sdss/camera", "2.4")),
        ("docker.io/library/camera:1", ("docker.io", "library/camera", "1")),
        ("localhost/camera@sha256:ab", ("localhost", "camera", "sha256:ab")),
    ],
)
def test_the_name_of_an_image_says_where_it_is(image: str, place: tuple[str, str, str]) -> None:
    assert image_place(image) == place

"""What a description may say of containers, and how names and times of an engine are read."""

from __future__ import annotations

from typing import Any

import pytest
from aiodocker import DockerError

from countingroom.core.fleet.images import split_port
from countingroom.core.fleet.specs import InstanceId, ResourceLimits, split_image
from countingroom.experiment.loading import said_by
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.container_api import remove_container
from countingroom.fleet.engines.containers import container_name, spellings, time_ns
from countingroom.fleet.wanted import wanted

UNIX = {"engine": "docker", "url": "unix:///run/docker.sock"}
TLS = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
FAR: dict[str, Any] = {"engine": "docker", "url": "tcp://gfa1:2376"}


def fleet(node: dict[str, Any], **service: Any) -> FleetSection:
    camera = {"image": "hub:5000/camera:2.4", "nodes": ["n1"], **service}
    return FleetSection.model_validate({"nodes": {"n1": node}, "services": {"camera": camera}})


@pytest.mark.parametrize(
    ("node", "service", "place", "said"),
    [
        ({}, {}, "image", "runs programs, not images"),
        (UNIX, {"image": "", "command": ["camera"]}, "camera", "runs containers: give the service an image"),
        ({}, {"image": "", "command": ["camera"], "user": "7"}, "user", "is for containers"),
        ({}, {"image": ""}, "camera", "say what is run"),
        (UNIX, {"image": "hub:5000/camera:2.4@sha256:" + 64 * "a"}, "image", "a tag or a digest, not both"),
        (UNIX, {"image": "Camera Two"}, "image", "an image is written as"),
        (UNIX, {"ports": ["80"]}, 0, "a port is written as"),
        (UNIX, {"ports": ["8080:80"], "network": "host"}, "ports", "no port is passed on"),
        (UNIX, {"devices": ["ttyUSB0"]}, 0, "a path below /dev"),
        (UNIX, {"volumes": [{"source": "/a", "target": "/a", "driver": "local"}]}, "source", "for a named volume"),
        (UNIX, {"limits": {"memory": "1 MiB"}}, "memory", "at least 6 MiB"),
        (FAR, {}, "url", "over plain TCP every computer"),
        (FAR | {"tls": TLS, "insecure": True}, {}, "insecure", "it has tls"),
        (UNIX | {"insecure": True}, {}, "insecure", "needs neither"),
        (UNIX | {"url": "run/docker.sock"}, {}, "url", "an engine is reached by"),
        (
            UNIX | {"engine": "process"},
            {"image": "", "command": ["camera"]},
            "url",
            "only docker and podman are reached by a url",
        ),
    ],
)
def test_a_mistake_is_told_at_its_key(
    node: dict[str, Any], service: dict[str, Any], place: str | int, said: str
) -> None:
    (problem,) = set(said_by(fleet(node, **service)))
    assert problem[0][-1] == place and said in problem[1]


def test_two_nodes_with_one_engine_are_refused() -> None:
    section = FleetSection.model_validate({"nodes": {"n1": UNIX, "n2": UNIX}})
    assert [(path, text.partition(":")[0]) for path, text in said_by(section)] == [
        (("nodes", "n2", "url"), "n1 has this engine already")
    ]


def test_plain_tcp_is_a_warning_in_check_and_in_the_wanted_node() -> None:
    section = fleet(FAR | {"insecure": True})
    assert not list(said_by(section))
    ((path, text),) = section.nodes["n1"].warnings()
    assert path == ("insecure",) and "every computer that reaches tcp://gfa1:2376" in text
    (node,) = wanted(section).nodes
    assert node.reach.insecure and node.address == "gfa1"


def test_a_revision_names_files_and_no_secrets() -> None:
    section = FleetSection.model_validate(
        {
            "nodes": {"n1": FAR | {"tls": TLS}},
            "registries": {"hub:5000": {"user": "reader", "password": {"file": "secrets/hub"}}},
            "services": {"camera": {"image": "hub:5000/camera", "nodes": ["n1"], "limits": {"memory": "6 GiB"}}},
        }
    )
    revision = wanted(section)
    assert (revision.nodes[0].reach.key, revision.nodes[0].registries[0].password) == ("client.key", "file:secrets/hub")
    assert revision.services[0].spec.limits == ResourceLimits(memory_bytes=6 << 30)


def test_names_and_times_of_an_engine() -> None:
    assert set(spellings("docker.io/library/camera:latest")) >= {"camera", "camera:latest", "docker.io/library/camera"}
    assert "docker.io/sdss/camera:1" in set(spellings("sdss/camera:1"))
    assert set(spellings("hub:5000/camera:1")) == {"hub:5000/camera:1"}
    assert split_image("hub:5000/camera@sha256:ab") == ("hub:5000/camera", "sha256:ab")
    assert split_port("127.0.0.1:8080:80/udp") == ("127.0.0.1", "8080", "80/udp")
    assert container_name("mCBM 2", InstanceId("gfa", "n1", 1)) == "mCBM-2-gfa.1"
    assert time_ns("2026-11-30T08:14:38.408556901Z") == 1796026478408556901
    assert time_ns("2026-11-30T09:14:38.5+01:00") == 1796026478500000000
    assert time_ns("0001-01-01T00:00:00Z") == 0


async def test_a_removal_that_was_ordered_before_is_waited_for() -> None:
    class Removing:
        waited = ""

        async def delete(self, **_: object) -> None:
            raise DockerError(409, "removal of container 5246edbe4171 is already in progress")

        async def wait(self, *, condition: str) -> None:
            self.waited = condition

    container = Removing()
    await remove_container(container)
    assert container.waited == "removed"

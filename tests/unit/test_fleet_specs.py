"""Templates of services."""

from __future__ import annotations

from countingroom.core.fleet.specs import HealthCheck, InstanceId, ServiceSpec, Volume, WantedNode, resolve


def test_texts_of_all_parts_are_filled_for_an_instance() -> None:
    spec = ServiceSpec(
        command=("agent", "--node", "{node}", "{index}"),
        environment={"AT": "{address}"},
        ports=("{label.port}:80",),
        health=HealthCheck(kind="exec", command=("check", "{service}")),
        volumes=(Volume(source="/data/{node}", target="/data"),),
    )
    made = resolve(spec, InstanceId("cam", "n1", 2), WantedNode(name="n1", address="h1", labels={"port": "8080"}))
    assert made.command == ("agent", "--node", "n1", "2") and made.environment == {"AT": "h1"}
    assert made.ports == ("8080:80",) and made.health.command == ("check", "cam")
    assert made.volumes[0].source == "/data/n1"

"""Files that run the whole product: Compose, and what is told beside them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from countingroom.app.deploy.compose import compose_file, outside_file
from countingroom.app.deploy.described import description_texts, plan_of
from countingroom.app.deploy.image import CONTAINERFILE
from countingroom.app.deploy.kubernetes import control_room_file, outside_secret_command, secret_command, site_file
from countingroom.app.deploy.kubernetes import outside_file as outside_manifests
from countingroom.app.deploy.plan import DeployPlan, notes
from countingroom.app.deploy.probe import answer
from countingroom.app.deploy.units import (
    outside_quadlet_files,
    outside_systemd_files,
    quadlet_files,
    receiver_secrets,
    systemd_files,
)
from countingroom.cli.deploy import app
from countingroom.core.errors import ConfigurationError, LinkError

SCHEMA = Path(__file__).parents[1] / "data" / "kubernetes-1.37.json"
# Of podman-systemd.unit(5), those that are used.
QUADLET = {
    "Container": {
        *("Image", "ContainerName", "Exec", "User", "Group", "ReadOnly", "Tmpfs", "DropCapability", "NoNewPrivileges"),
        *("RunInit", "Volume", "Secret", "Environment", "Network", "PublishPort", "LogDriver", "HealthCmd"),
        *("HealthInterval", "HealthTimeout", "HealthRetries", "HealthStartPeriod", "PodmanArgs"),
    },
    "Volume": {"VolumeName"},
    "Network": {"NetworkName"},
}
DESCRIPTION = """
experiment: { name: mCBM_24, title: Beam $TIME 100% }
console: { login: local, host: 0.0.0.0, names: [control.example.org], behind_proxy: [10.0.0.0/8] }
bus:
  mqtt: { host: 0.0.0.0, users: [{ name: board, password_env: BOARD_PASSWORD, publish: ["boards/#"] }] }
devices: { bath: { driver: julabo, port: /dev/ttyUSB0 } }
mirror:
  key: { file: secrets/mirror.key }
  publish: default
  never: { hosts: [hidden-host-1] }
"""
PLAIN = "experiment: { name: lab }\n"
FED = f"{DESCRIPTION}  feed: {{ to: https://mirror.example.org:8091, token: {{ env: FEED_TOKEN }} }}\n"
DATABASE = f"{DESCRIPTION}  store: {{ secret: {{ env: PUBLIC_STORE }} }}\n"


def plan(folder: Path, text: str = DESCRIPTION, **more: Any) -> DeployPlan:
    folder.mkdir(exist_ok=True)
    file = folder / "experiment.yaml"
    file.write_text(text)
    return plan_of(file, image="countingroom:1", **more)


def test_the_site_has_nothing_of_the_inside(tmp_path: Path) -> None:
    made = yaml.safe_load(compose_file(plan(tmp_path, site_url="https://status.example.org/dqm")))
    room, site = made["services"]["control-room"], made["services"]["site"]
    assert {one["source"] for one in site["volumes"]} == {"public"} and set(site["environment"]) == {
        "COUNTINGROOM_MIRROR_STORE"
    }
    assert not {*room["networks"]} & {*site["networks"]}
    assert {one["source"] for one in room["volumes"]} == {"data", "public", str(tmp_path)}
    assert room["environment"] == {"BOARD_PASSWORD": None} and room["ports"] == ["8080:8080", "1883:1883"]
    for service in (room, site):
        assert service["user"] == "10001:10001" and service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "10"}
    assert site["healthcheck"]["test"][-1] == "http://127.0.0.1:8090/"


def test_a_console_without_login_stays_on_its_computer(tmp_path: Path) -> None:
    made = plan(tmp_path, PLAIN, simulate=True)
    found = yaml.safe_load(compose_file(made))
    room = found["services"]["control-room"]
    assert list(found["services"]) == ["control-room"] and "ports" not in room and room["network_mode"] == "host"
    assert room["command"][-1] == "--simulate" and any("loopback alone" in note for note in notes(made))


def test_outside_the_receiver_and_the_site_share_the_store_alone(tmp_path: Path) -> None:
    made = plan(tmp_path, FED)
    inside, outside = yaml.safe_load(compose_file(made)), yaml.safe_load(outside_file(made))
    assert list(inside["services"]) == ["control-room"] and list(inside["volumes"]) == ["data"]
    receiver, site = outside["services"]["receiver"], outside["services"]["site"]
    assert [one["source"] for one in site["volumes"]] == ["public"]
    assert [one["source"] for one in receiver["volumes"]] == ["public", "./secrets"]
    assert not {*receiver["networks"]} & {*site["networks"]}
    assert str(tmp_path) not in outside_file(made)


def test_a_site_with_a_database_has_its_url_by_reference(tmp_path: Path) -> None:
    made = plan(tmp_path, DATABASE)
    compose = yaml.safe_load(compose_file(made))
    assert list(compose["volumes"]) == ["data"] and compose["services"]["site"]["volumes"] == []
    found = manifests(made)
    site = found["Deployment", "site"]["spec"]["template"]["spec"]
    assert site["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "mcbm-24-site"
    assert "affinity" not in site and found["NetworkPolicy", "site"]["spec"]["egress"][0]["ports"][0]["port"] == 5432
    assert "mcbm-24-site" in secret_command(made)
    assert "mcbm-24-COUNTINGROOM_MIRROR_STORE" in quadlet_files(made)["mcbm-24-site.container"]


def test_what_is_to_be_done_by_hand_is_told(tmp_path: Path) -> None:
    told = "\n".join(notes(plan(tmp_path)))
    assert "BOARD_PASSWORD" in told and "secrets/mirror.key" in told and "sqlite:////public/public.sqlite" in told


@pytest.mark.parametrize(("text", "make"), [(DESCRIPTION, compose_file), (FED, outside_file)])
def test_compose_accepts_the_file(text: str, make: Callable[[DeployPlan], str], tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    file = tmp_path / "compose.yaml"
    file.write_text(make(plan(tmp_path, text)))
    done = subprocess.run(
        [program, "--file", str(file), "config"],
        env={**os.environ, "BOARD_PASSWORD": "x"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    site = yaml.safe_load(done.stdout)["services"]["site"]
    assert site["command"][-1] == "Beam $$TIME 100%"


def manifests(made: DeployPlan) -> dict[tuple[str, str], Any]:
    return found_in(made, control_room_file(made, description_texts(made)), *([site_file(made)] * made.has_site))


def found_in(made: DeployPlan, *texts: str) -> dict[tuple[str, str], Any]:
    return {
        (one["kind"], one["metadata"]["name"].removeprefix(f"{made.slug}-")): one
        for text in texts
        for one in yaml.safe_load_all(text)
    }


@pytest.mark.parametrize("text", [DESCRIPTION, PLAIN, FED, DATABASE])
def test_manifests_fit_the_schema_of_kubernetes(text: str, tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    made = plan(tmp_path, text)
    for manifest in (*manifests(made).values(), *found_in(made, outside_manifests(made)).values()):
        one = {"$ref": f"#/definitions/{manifest['kind']}", "definitions": schema["definitions"]}
        validator: Any = Draft202012Validator(one)
        validator.validate(manifest)


def test_pods_have_no_rights_and_the_site_reaches_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path)
    found = manifests(made)
    pods = [
        found[kind]["spec"]["template"]["spec"] for kind in (("StatefulSet", "control-room"), ("Deployment", "site"))
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        (container,) = pod["containers"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    room, site = pods
    assert {one["name"] for one in site["volumes"]} == {"tmp", "public"} and "secret" not in json.dumps(site).lower()
    policy = found["NetworkPolicy", "site"]["spec"]
    assert policy["egress"] == [] and "Egress" in policy["policyTypes"]
    (rule,) = found["NetworkPolicy", "control-room"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["site"]
    sources = next(one["projected"]["sources"] for one in room["volumes"] if one["name"] == "description")
    assert sources[1]["secret"]["items"] == [{"key": "secrets_2f_mirror.key", "path": "secrets/mirror.key"}]
    assert room["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["key"] == "BOARD_PASSWORD"
    assert found["ConfigMap", "description"]["data"] == {"experiment.yaml": DESCRIPTION}
    assert "--from-file=secrets_2f_mirror.key=secrets/mirror.key" in secret_command(made)


def test_the_receiver_outside_has_its_secret_and_reaches_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path, f"{FED}  store: {{ secret: {{ env: PUBLIC_STORE }} }}\n")  # of the inside
    assert ("Deployment", "site") not in manifests(made)
    found = found_in(made, outside_manifests(made))
    receiver, site = (
        found[kind]["spec"]["template"]["spec"] for kind in (("StatefulSet", "receiver"), ("Deployment", "site"))
    )
    for pod in (receiver, site):
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        assert container["env"] == [{"name": "COUNTINGROOM_MIRROR_STORE", "value": "/public/public.sqlite"}]
    assert {one["name"] for one in site["volumes"]} == {"tmp", "public"} and "secret" not in json.dumps(site).lower()
    assert {one["name"] for one in receiver["volumes"]} == {"tmp", "public", "secrets"}
    near = site["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]
    assert near["matchLabels"] == found["StatefulSet", "receiver"]["spec"]["selector"]["matchLabels"]
    for name, port in (("receiver", 8091), ("site", 8090)):
        policy = found["NetworkPolicy", name]["spec"]
        assert (policy["egress"], policy["ingress"]) == ([], [{"ports": [{"port": port, "protocol": "TCP"}]}])
    assert outside_secret_command(made).split()[4] == "mcbm-24-receiver"
    assert "experiment.yaml" not in outside_manifests(made) and "hidden-host" not in outside_manifests(made)


def test_quadlet_and_systemd_give_the_receiver_its_secret_as_files(tmp_path: Path) -> None:
    made = plan(tmp_path, FED)
    units = outside_quadlet_files(made)
    names = ("receiver.container", "receiver.network", "site.container", "public.volume", "outside.network")
    assert units.keys() == {f"mcbm-24-{one}" for one in names}
    receiver = units["mcbm-24-receiver.container"]
    for name, file in receiver_secrets(made):
        assert f"Secret={name},type=mount,target=/secrets/{file},uid=10001,gid=10001,mode=0400" in receiver
    assert "Secret" not in units["mcbm-24-site.container"] and "ReadOnly=true" in receiver and "HealthCmd" in receiver
    assert "mcbm-24-site.container" not in quadlet_files(made)
    service = outside_systemd_files(made, "/opt/bin/countingroom", "daq")["mcbm-24-receiver.service"]
    assert "--token-file %d/token --certificate %d/certificate.pem --key %d/key.pem" in service
    assert "LoadCredential=token:/etc/countingroom/mcbm-24-receiver/token" in service
    assert "ProtectSystem=strict" in service and "CapabilityBoundingSet=\n" in service


def test_files_of_the_outside_are_in_a_folder_of_their_own(tmp_path: Path) -> None:
    plan(tmp_path, FED)
    for kind, more in (("quadlet", ()), ("kubernetes", ()), ("systemd", ("--user", "daq"))):
        words = [kind, str(tmp_path / kind), "--file", str(tmp_path / "experiment.yaml"), "--json", *more]
        told = json.loads(CliRunner().invoke(app, words).stdout)
        outside = {Path(one).name for one in told["files"] if "/outside/" in one}
        assert any("receiver" in one for one in outside)
        assert any(
            "on the computer outside" in one and "outside/*" in one.replace("--filename outside", "outside/*")
            for one in told["notes"]
        )


def test_files_of_quadlet_have_keys_that_it_knows(tmp_path: Path) -> None:
    outside = outside_quadlet_files(plan(tmp_path / "fed", FED))
    made = quadlet_files(plan(tmp_path))
    assert made.keys() == {
        *("mcbm-24.container", "mcbm-24-data.volume", "mcbm-24-inside.network"),
        *("mcbm-24-site.container", "mcbm-24-public.volume", "mcbm-24-outside.network"),
    }
    for text in (*made.values(), *outside.values()):
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif "=" in line and section in QUADLET:
                assert line.partition("=")[0] in QUADLET[section]
    site = made["mcbm-24-site.container"]
    assert "Volume=mcbm-24-public.volume:/public" in site and "/experiment" not in site and "Secret" not in site
    assert '"Beam $$TIME 100%%"' in site and "ReadOnly=true" in site
    assert "Secret=mcbm-24-BOARD_PASSWORD,type=env,target=BOARD_PASSWORD" in made["mcbm-24.container"]


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_systemd_accepts_the_units(where: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    units = tmp_path / "units"
    units.mkdir()
    made = plan(tmp_path) if where == "inside" else plan(tmp_path, FED)
    make = systemd_files if where == "inside" else outside_systemd_files
    for name, text in make(made, "/bin/sh", "root").items():
        (units / name).write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", *map(str, units.iterdir())],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert not [line for line in done.stderr.splitlines() if "mcbm" in line], done.stderr


def test_the_command_tells_the_files_and_the_next_step(tmp_path: Path) -> None:
    plan(tmp_path)
    words = ["compose", str(tmp_path / "out"), "--file", str(tmp_path / "experiment.yaml"), "--json"]
    done = CliRunner().invoke(app, words)
    said = json.loads(done.stdout)
    assert said["files"] == [str(tmp_path / "out" / "compose.yaml")] and said["next"].endswith("up --detach")
    assert CliRunner().invoke(app, words).exit_code != 0


@pytest.mark.server
def test_the_image_is_made_of_hashes_and_names_no_registry(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["image", str(tmp_path / "a")])
    assert done.exit_code == 0 and "--build-arg BASE=" in done.stdout
    assert CliRunner().invoke(app, ["image", str(tmp_path / "b")]).exit_code == 0
    listed = (tmp_path / "a" / "requirements.txt").read_text()
    assert listed == (tmp_path / "b" / "requirements.txt").read_text()  # also the hash of the product
    assert "://" not in listed.replace("file://", "") and "://" not in CONTAINERFILE.replace("http://127.0.0.1", "")
    (wheel,) = (tmp_path / "a" / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"countingroom/requirements.txt", "countingroom/cli/examples/demo/experiment.yaml"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_a_probe_asks_its_own_computer_alone() -> None:
    with pytest.raises(ConfigurationError, match="no address of this computer"):
        answer("http://control.example.org/healthz", 1.0)
    with pytest.raises(LinkError, match="does not answer"):
        answer("http://127.0.0.1:1/healthz", 1.0)

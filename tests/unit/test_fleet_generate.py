"""Services of the fleet as units of systemd, files of Quadlet and manifests of Kubernetes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from countingroom.cli.fleet_generate import app
from countingroom.core.errors import NotFound
from countingroom.fleet.description import FleetSection
from countingroom.fleet.generate.account import LEFT_OUT, FilePlan, Generated, chosen, keys_in_use, unit_word
from countingroom.fleet.generate.kubernetes import kubernetes_files
from countingroom.fleet.generate.quadlet import quadlet_files
from countingroom.fleet.generate.systemd import systemd_files
from countingroom.fleet.wanted import wanted

DATA = Path(__file__).parents[1] / "data"
DESCRIPTION = """
experiment: { name: mCBM }
fleet:
  nodes:
    daq1: {}
    daq2: {}
    gfa1: { engine: docker, url: unix:///run/docker.sock }
    gfa2: { engine: podman, url: unix:///run/podman/podman.sock }
    farm: { engine: slurm }
  services:
    hub: { command: [sleep, "600"], nodes: [daq1], restart: on-failure, health: { exec: [test, -e, /tmp] } }
    writer:
      title: 100% of events
      command: ["{python}", -c, "print('$HOME 100% \\"x\\"')", --node, "{node}"]
      nodes: [daq1, daq2]
      copies: 2
      environment: { NAME: "writer {index}", PART: "50% $X" }
      secrets: { TOKEN: { file: secrets/token } }
      health: { http: 18080/healthz, interval: 2 s }
      depends_on: [hub]
    camera:
      title: Guide camera
      image: hub.example.org:5000/sdss/flicamera:0.7.1
      nodes: [gfa*]
      network: host
      devices: [/dev/bus/usb]
      user: "1000:1000"
      secrets: { TOKEN: { env: TOKEN } }
      environment: { ACTOR_NAME: "{node}" }
      limits: { cpus: 3.5, memory: 6 GiB }
      health: { exec: [test, -e, "/tmp/100% $READY"] }
      volumes:
        - { source: raw, target: /raw, driver: local, options: { type: nfs, o: "addr=10.0.0.1,rw", device: ":/raw" } }
        - { source: /home, target: /home, read_only: true }
    web:
      image: nginx:1
      command: [nginx, "$(HOME)"]
      nodes: [gfa*]
      ports: ["127.0.0.1:8080:80"]
      health: { tcp: 80 }
      directory: /srv
      depends_on: [camera]
      update: { max_parallel: 2, healthy_for: 5 s }
    once: { image: "job:1", nodes: [gfa1], restart: never, category: batch }
    job: { command: [x], nodes: [farm], slurm: { partition: main } }
"""


def plan(text: str = DESCRIPTION, *names: str, user: str = "") -> FilePlan:
    section = FleetSection.model_validate(yaml.safe_load(text)["fleet"])
    assert not list(section.problems())
    revision = wanted(section)
    return FilePlan(
        experiment="mCBM",
        revision=revision,
        services=chosen(revision, names),
        titles={name: one.title for name, one in section.services.items() if one.title},
        directory="/srv/m CBM",
        python="/usr/bin/python3",
        user=user,
    )


def lines(text: str) -> dict[str, list[str]]:
    """Key -> its values, of a unit."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def told(made: Generated, service: str, key: str) -> str:
    return "; ".join(f"{one.verdict} {one.text}" for one in made.rows if (one.service, one.key) == (service, key))


@pytest.mark.parametrize("make", [systemd_files, quadlet_files, kubernetes_files])
def test_each_key_is_accounted_for_and_no_secret_is_written(make: Any) -> None:
    made = make(plan())
    for service in plan().services:
        rows = {one.key for one in made.rows if one.service == service.name}
        assert rows == {"(all)"} or {*keys_in_use(service)} <= rows
    assert not [one for one in made.rows if one.verdict == LEFT_OUT and not one.text]
    assert not [one for one in made.rows if one.text == "these files have no word for it"]
    assert not [text for text in made.files.values() if "secrets/token" in text or "env:TOKEN" in text]


def test_units_of_programs() -> None:
    made = systemd_files(plan(user="daq:daq"))
    unit = lines(made.files["daq1/mCBM-writer-1.service"])
    assert unit["ExecStart"] == [r"""/usr/bin/python3 -c "print('$$HOME 100%% \"x\"')" --node daq1"""]
    assert unit["Environment"] == ['"NAME=writer 1"', '"PART=50%% $X"']
    assert (unit["User"], unit["Group"], unit["WorkingDirectory"]) == (["daq"], ["daq"], ["/srv/m CBM"])
    assert unit["EnvironmentFile"] == ["/etc/mCBM-writer.secrets"] and unit["After"][0].endswith("mCBM-hub.service")
    assert "mCBM-hub" not in made.files["daq2/mCBM-writer-0.service"]
    assert lines(made.files["daq1/mCBM-writer-1-health.timer"])["OnUnitInactiveSec"] == ["2s"]
    assert "write the line TOKEN=…" in told(made, "writer", "secrets.TOKEN")
    assert "After and Wants" in told(made, "writer", "depends_on.hub") and "daq2" in told(
        made, "writer", "depends_on.hub"
    )
    assert told(made, "job", "(all)").startswith("left out it is a batch job")
    assert "runs as root" in told(systemd_files(plan()), "hub", "user")


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    made = systemd_files(plan())
    for path, text in made.files.items():
        if path.startswith("daq1/"):
            (tmp_path / Path(path).name).write_text(text.replace("/usr/bin/python3", "/bin/sh"))
    units = [str(file) for file in tmp_path.iterdir()]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(
        [program, "verify", "--man=no", *units],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    wrong = [line for line in done.stderr.splitlines() if "mCBM" in line and "curl is not executable" not in line]
    assert not wrong, wrong


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\v\f\x1c\x1d\x1e\x85\u2028\u2029", min_codepoint=9)))
def test_a_word_of_a_unit_is_one_line_and_keeps_its_meaning(text: str) -> None:
    word = unit_word(text)
    assert "\n" not in word and "\r" not in word
    plain = word[1:-1] if word.startswith('"') else word
    escapes = {"\\\\": "\\", '\\"': '"', "%%": "%", "$$": "$", "\\n": "\n", "\\t": "\t", "\\r": "\r"}
    assert re.sub(r"\\[\\\"ntr]|%%|\$\$", lambda found: escapes[found[0]], plain) == text


def test_files_of_quadlet() -> None:
    made = quadlet_files(plan())
    unit = lines(made.files["gfa1/mCBM-camera.container"])
    assert unit["Image"] == ["hub.example.org:5000/sdss/flicamera:0.7.1"]
    assert unit["Secret"] == ["mCBM-camera-TOKEN,type=env,target=TOKEN"] and unit["Environment"] == ["ACTOR_NAME=gfa1"]
    assert unit["Volume"] == ["raw.volume:/raw", "/home:/home:ro"] and unit["AddDevice"] == ["/dev/bus/usb"]
    assert shlex.split(unit["PodmanArgs"][0]) == ["--stop-timeout=10", "--cpus=3.5", "--memory=6442450944"]
    assert json.loads(unit["HealthCmd"][0]) == ["test", "-e", "/tmp/100%% $$READY"]
    volume = lines(made.files["gfa1/raw.volume"])
    assert (volume["Type"], volume["Options"], volume["Device"]) == (["nfs"], ["addr=10.0.0.1,rw"], [":/raw"])
    web = lines(made.files["gfa2/mCBM-web.container"])
    assert web["PublishPort"] == ["127.0.0.1:8080:80/tcp"] and web["Exec"] == ['nginx "$$(HOME)"']
    assert web["After"] == ["mCBM-camera.service"] and "HealthCmd" not in web
    assert "give an exec check" in told(made, "web", "health")
    assert lines(made.files["gfa1/mCBM-once.container"])["Restart"] == ["no"]


@pytest.mark.parametrize("program", ["/usr/lib/podman/quadlet", "/usr/libexec/podman/quadlet"])
def test_quadlet_accepts_the_files(program: str, tmp_path: Path) -> None:
    if not Path(program).exists():
        pytest.skip("this version of Podman has no Quadlet")
    for path, text in quadlet_files(plan()).files.items():
        if path.startswith("gfa1/"):
            (tmp_path / Path(path).name).write_text(text)
    done = subprocess.run(
        [program, "-dryrun"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "QUADLET_UNIT_DIRS": str(tmp_path)},
    )
    assert done.returncode == 0 and "rror" not in done.stderr, done.stderr


def test_manifests_of_kubernetes_fit_its_schema() -> None:
    schema = json.loads((DATA / "kubernetes-1.37.json").read_text())
    made = kubernetes_files(plan())
    found: dict[tuple[str, str], Any] = {}
    validator = jsonschema.validators.validator_for(schema)
    for text in made.files.values():
        for manifest in yaml.safe_load_all(text):
            one = {"$ref": f"#/definitions/{manifest['kind']}", "definitions": schema["definitions"]}
            validator(one).validate(manifest)  # `jsonschema.validate` checks all definitions each time: 12 s
            found[manifest["kind"], manifest["metadata"]["name"]] = manifest
    assert sorted(found) == [
        ("ConfigMap", "mcbm-camera-gfa1"),
        ("ConfigMap", "mcbm-camera-gfa2"),
        ("Deployment", "mcbm-web"),
        ("Job", "mcbm-once"),
        ("Service", "mcbm-camera-gfa1"),
        ("Service", "mcbm-camera-gfa2"),
        ("StatefulSet", "mcbm-camera-gfa1"),
        ("StatefulSet", "mcbm-camera-gfa2"),
    ]
    web = found["Deployment", "mcbm-web"]["spec"]
    assert (web["replicas"], web["minReadySeconds"]) == (2, 5)
    assert web["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}
    container = web["template"]["spec"]["containers"][0]
    assert container["args"] == ["nginx", "$$(HOME)"] and container["readinessProbe"]["tcpSocket"] == {"port": 80}
    pod = found["StatefulSet", "mcbm-camera-gfa1"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["nfs"] == {"server": "10.0.0.1", "path": "/raw"}
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "mcbm-camera-gfa1", "key": "TOKEN"}
    assert "device plugin" in told(made, "camera", "devices./dev/bus/usb")


def test_the_command_writes_the_files_once_and_tells_the_account(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION)
    arguments = ["quadlet", "web", "--file", str(file), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    said = json.loads(done.stdout)
    assert [Path(one).name for one in said["files"]] == ["mCBM-web.container"] * 2
    assert {"service": "web", "key": "image", "verdict": "taken", "text": ""} in said["keys"]
    assert (tmp_path / "out" / "gfa1" / "mCBM-web.container").exists()
    assert CliRunner().invoke(app, arguments).exit_code != 0
    with pytest.raises(NotFound, match="no service nothing"):
        plan(DESCRIPTION, "nothing")

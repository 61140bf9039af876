"""`countingroom fleet import fliswarm` makes a fleet that works, and accounts for each key of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.cli.fliswarm_import import FliswarmWishes, imported
from countingroom.cli.import_account import AccountRow
from countingroom.cli.main import run
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.resolver import Resolver
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.yaml.located import parse, show
from countingroom.doors.description import DoorsSection
from countingroom.experiment import load
from countingroom.fleet.description import FleetSection
from countingroom.fleet.wanted import wanted
from tests.examples import examples

FILE = """\
# guide cameras
actor: {name: fliswarm, host: 0.0.0.0, port: 19996, tron_host: hub, colour: red}
registry: hub:5000
image: sdss/flicamera:0.7.1
container_name: flicamera
ping_timeout: 0.6
reboot_command: sudo reboot
enabled_nodes:
  APO: [gfa1, gfa10, gone]
  LCO: [fvc]
nodes:
  APO:
    gfa1:
      user: sdss
      host: sdss-gfa1
      port: 19995
      docker-client: tcp://sdss-gfa1:2375
      docker-uid: 2005
      docker-gid: 3005
      category: gfa
      power: {device: nuc1}
    gfa10: {host: sdss-gfa10, port: 19995, docker-uid: 7, docker-client: "ssh://sdss@sdss-gfa10"}
    spare: {host: sdss-spare, docker-client: "unix:///run/docker.sock", flavour: 1, port: x}
    "b d": {host: sdss-bad}
    twin: {host: twin, docker-client: "tcp://sdss-gfa1:2375"}
  LCO:
    fvc: {host: sdss-fvc}
power:
  actor: jaeger
  command: {poweron: ieb switch --on}
volumes:
  home:
    driver: local
    opts:
      type: nfs
      o: nfsvers=4,addr=hub,ro
      device: :/home/sdss5
  odd: {driver: local}
"""


def of(rows: tuple[AccountRow, ...], what: str) -> tuple[str, str]:
    (found,) = [(row.verdict, row.reason) for row in rows if row.what == what]
    return found


def unaccounted(text: str, rows: tuple[AccountRow, ...]) -> set[str]:
    """Lines without a row, and keys that are neither told nor taken for granted by the row of their line."""
    located = parse(text, file="f.yaml")
    told = {(row.place, row.what) for row in rows}
    places = {place for place, _ in told}
    lines = {
        f"f.yaml:{number}"
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    }
    return {*(lines - places), *(show(path) for path, place in located.keys.items() if str(place) not in places)}


def test_each_key_is_taken_changed_or_not_needed_with_its_reason() -> None:
    rows = imported(FILE, "f.yaml", FliswarmWishes(site="APO")).rows
    assert unaccounted(FILE, rows) == set()
    assert of(rows, "actor.colour") == ("not needed", "left out: fliswarm has no such key")
    assert of(rows, "actor.port")[0] == "taken" and of(rows, "actor.host")[0] == "changed"
    assert of(rows, "actor.tron_host")[0] == "not needed"
    assert of(rows, "enabled_nodes.APO[2]") == ("not needed", "left out: gone is not described, or was left out")
    assert of(rows, "nodes.LCO") == ("not needed", "another site: import it with --site LCO")
    assert of(rows, "nodes.LCO.fvc") == ("not needed", "with nodes.LCO")
    assert of(rows, "nodes.APO.gfa1.docker-client")[0] == "changed"
    assert of(rows, "nodes.APO.spare.flavour") == ("not needed", "left out: fliswarm has no such key")
    assert of(rows, "nodes.APO.spare.port") == ("not needed", "left out: it is no whole number from 0 to 65535")
    assert of(rows, "nodes.APO.spare") == ("taken", "described; the service is not on it")
    assert "letters, digits" in of(rows, "nodes.APO.b d")[1]
    assert of(rows, "nodes.APO.twin") == ("not needed", "left out: gfa1 has this engine already")
    assert of(rows, "nodes.APO.gfa1.user")[0] == "taken"
    assert of(rows, "power.actor") == ("not needed", "with power")
    assert of(rows, "volumes.odd")[0] == "not needed"
    assert of(rows, "privileged")[0] == "changed"


def test_the_fleet_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(imported(FILE, "f.yaml", FliswarmWishes(site="APO", name="guider")).text)
    experiment = load(file)
    assert experiment.experiment.name == "guider"
    door = experiment.section(DoorsSection).root["fliswarm"]
    assert (door.listen, door.role, door.services) == ("0.0.0.0:19996", "expert", ["flicamera", "flicamera-2"])
    assert [str(one) for one in door.networks] == ["127.0.0.0/8"]
    revision = wanted(experiment.section(FleetSection))
    urls = {node.name: (node.reach.url, bool(node.reach.ca)) for node in revision.nodes}
    assert urls == {
        "gfa1": ("tcp://sdss-gfa1:2376", True),
        "gfa10": ("tcp://sdss-gfa10:2376", True),
        "spare": ("unix:///run/docker.sock", False),
    }
    logins = {name: node.ssh.user if node.ssh else "" for name, node in experiment.section(FleetSection).nodes.items()}
    assert logins == {"gfa1": "sdss", "gfa10": "", "spare": ""}
    one, two = revision.services
    assert (one.name, one.nodes, two.name, two.nodes) == ("flicamera", ("gfa1",), "flicamera-2", ("gfa10",))
    spec = Resolver(revision).resolve(one, InstanceId("flicamera", "gfa1")).spec
    assert (spec.image, spec.user, spec.network) == ("hub:5000/sdss/flicamera:0.7.1", "2005:3005", "host")
    assert spec.environment == {"ACTOR_NAME": "gfa1", "OBSERVATORY": "APO"}
    assert not spec.privileged and spec.devices == ("/dev/bus/usb",)
    (volume,) = spec.volumes
    assert (volume.source, volume.target, volume.read_only) == ("home", "/home/sdss5", True)
    assert volume.options == {"type": "nfs", "o": "nfsvers=4,addr=hub,ro", "device": ":/home/sdss5"}
    assert (spec.health.kind, spec.health.command) == ("actor", ("ping",))
    assert spec.limits.memory_bytes == 6 << 30


def test_the_file_of_a_real_site_passes_check(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, output = shared_data / "fleet" / "fliswarm.yaml", tmp_path / "new" / "experiment.yaml"
    words = ["fleet", "import", "fliswarm", str(file), "--output", str(output)]
    assert run(words) == 1
    assert "--site APO or --site LCO" in capsys.readouterr().err
    assert run([*words, "--site", "APO"]) == 0
    said = capsys.readouterr()
    assert "nothing wrong" in said.out and not said.err
    assert len(load(output).section(FleetSection).services["flicamera"].nodes) == 7
    report = (output.parent / "import-report.txt").read_text()
    assert unaccounted(file.read_text().replace("\t", " "), _rows(report)) == set()
    assert run([*words, "--site", "APO"]) == 1  # it overwrites nothing
    capsys.readouterr()
    other = tmp_path / "lco" / "lco.yaml"
    assert run([*words[:-1], str(other), "--site", "LCO", "--insecure"]) == 0
    assert "administer the node" in capsys.readouterr().err


def _rows(report: str) -> tuple[AccountRow, ...]:
    parts = [line.split(": ", 2) for line in report.splitlines()]
    return tuple(
        AccountRow(place=place.replace("fliswarm.yaml", "f.yaml"), what=what, verdict=rest)
        for place, what, rest in parts
    )


def tables(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [above]
    for key, part in value.items():
        if isinstance(part, dict):
            found += tables(part, (*above, key))
    return found


@settings(max_examples=examples(40, part=2), deadline=None)
@given(data=st.data())
def test_a_key_that_is_not_known_is_told_with_its_line(data: st.DataObject) -> None:
    value: dict[str, Any] = yaml.safe_load(FILE)
    known = {key for path in tables(value) for key in path}
    key = data.draw(st.from_regex(r"\A[a-z]{1,6}[0-9]{2}\Z").filter(lambda one: one not in known))
    extra = data.draw(st.sampled_from([1, "word", [1, 2], {"inner": {"x": 1}}, None, True]))
    # Below `volumes`, sites and `nodes` a new key is a new volume, site or node.
    free = [
        path
        for path in tables(value)
        if path and path not in (("nodes",), ("nodes", "APO"), ("volumes",), ("enabled_nodes",))
    ]
    place = data.draw(st.sampled_from([(), *free]))
    part = value
    for step in place:
        part = part[step]
    part[key] = extra
    text = yaml.safe_dump(value, sort_keys=False)
    rows = imported(text, "f.yaml", FliswarmWishes(site="APO")).rows
    assert unaccounted(text, rows) == set()
    line = next(number for number, one in enumerate(text.splitlines(), 1) if one.strip().startswith(f"{key}:"))
    (row,) = [row for row in rows if row.place == f"f.yaml:{line}" and row.what.endswith(key)]
    assert row.verdict == "not needed" or place[-1:] == ("opts",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nodes: [", "invalid YAML"),
        ("actor: {name: x}", "has no nodes"),
        (FILE.replace("image: sdss/flicamera:0.7.1\n", ""), "names no image"),
        (FILE.replace("sdss/flicamera:0.7.1", "SDSS flicamera"), "an image is written as"),
        (FILE.replace("APO: [gfa1, gfa10, gone]", "APO: []"), "no node of APO is enabled"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(text: str, told: str) -> None:
    with pytest.raises(CountingRoomError, match=told):
        imported(text, "f.yaml", FliswarmWishes(site="APO"))


def test_wishes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CountingRoomError, match="has no site X"):
        imported(FILE, "f.yaml", FliswarmWishes(site="X"))
    with pytest.raises(CountingRoomError, match="--name"):
        imported(FILE, "f.yaml", FliswarmWishes(site="APO", name="x y: {"))

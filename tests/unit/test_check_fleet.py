"""`check` compares the nodes of the fleet with the devices of the description."""

from __future__ import annotations

from pathlib import Path

from countingroom.cli.checked_description import checked_description

DESCRIPTION = """\
experiment: { name: guider }
devices:
  node-gfa1: { driver: julabo, port: /dev/ttyUSB0 }
  chiller: { driver: julabo, port: /dev/ttyUSB0 }
fleet:
  nodes:
    gfa1:
      engine: docker
      url: unix:///run/docker.sock
      power: { device: pdu, point: outlet3.on, off_value: false, on_value: true }
    chiller: {}
"""


def test_a_device_with_the_name_of_the_values_of_a_node_and_a_power_without_device_are_told(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION)
    found = [(one.place.line, one.message) for one in checked_description(file).problems]
    assert (3, "the node gfa1 of the fleet has its values under this name") in found
    assert (10, "there is no device pdu") in found
    assert not any("chiller" in text for line, text in found if line != 3)

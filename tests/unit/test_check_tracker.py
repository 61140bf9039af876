"""`check` finds what the section `tracker` cannot do with its devices and with the listener of the bus."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from countingroom.app import bus_users
from countingroom.app.broker_place import BrokerPlace, broker_place
from countingroom.app.tracker import facts
from countingroom.cli.check_devices import build_devices
from countingroom.cli.check_tracker import tracker_problems, tracker_warnings
from countingroom.core.errors import ConfigurationError
from countingroom.core.policy import Permission, decide
from countingroom.experiment import Experiment, Loaded, load_with_problems
from countingroom.tracker.description import TrackerSection

DESCRIPTION: dict[str, Any] = {
    "experiment": {"name": "cleanroom"},
    "bus": {
        "mqtt": {
            "users": [
                {
                    "name": "tracker-dcs",
                    "password_env": "P",
                    "publish": ["dcs/#", "julabo/+", "MARTA/#", "ESP01/#"],
                    "subscribe": ["dcs/cmd/#", "julabo/#", "MARTA/cmd/#"],
                }
            ]
        }
    },
    "devices": {
        "caen": {
            "driver": "caen",
            "channels": {
                "left": {"lv": {"board": 0, "chan": 3}, "hv": {"board": 12, "chan": 4}, "module": "m"},
                "right": {"lv": {"board": 1, "chan": 0}, "hv": {"board": 13, "chan": 0}},
            },
        },
        "julabo": {"driver": "julabo", "port": "/dev/null"},
        "co2": {"driver": "marta", "host": "127.0.0.1"},
        "boards": {
            "driver": "mqtt",
            "sensors": {"ESP01": ""},
            "values": {"temp": {"topic": "{sensor}/sensors/#/temp"}},
        },
    },
    "tracker": {
        "roles": {"device.caen": "shifter", "device.*": "viewer"},
        "caen": {"device": "caen", "channels": {"0": "left"}},
        "chiller": {"device": "julabo"},
        "marta": {"device": "co2"},
        "sensors": {"boards.ESP01.temp": "ESP01/hall"},
    },
}


def loaded(tmp_path: Path, **changes: Any) -> Loaded:
    described = deepcopy(DESCRIPTION)
    for path, value in changes.items():
        *keys, last = path.split("__")
        table = described
        for key in keys:
            table = table[key]
        table[last] = value
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(described))
    return load_with_problems(file)


def told(found: Loaded) -> list[str]:
    hosted, _ = build_devices(found)
    problems = [*found.problems, *tracker_problems(found, hosted)]
    return [f"{one.path}: {one.message}" for one in problems]


def place_of(described: Experiment, folder: Path) -> BrokerPlace:
    """The broker of the section."""
    section = described.section(TrackerSection)
    return broker_place("tracker", section.broker, section.user, described.bus, folder)


def test_a_right_description_has_no_problems_and_its_facts(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert told(found) == []
    assert list(tracker_warnings(found)) == []
    known = facts(found.experiment)
    assert known.caen and known.marta
    (row,) = known.caen.rows
    assert (row.id, row.channel, row.module, row.lv_channel, row.hv_board) == ("0", "left", "m", 3, 12)
    assert next(iter(known.marta.alarms)).endswith("_FS")
    assert "alarms" not in known.marta.fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracker__caen": {"device": "caem"}}, "there is no device caem"),
        ({"tracker__caen": {"device": "julabo"}}, "julabo is no device with driver: caen"),
        ({"tracker__caen__channels": {"0": "middle"}}, "caen has no channel middle"),
        ({"tracker__caen__channels": {"0": "left", "1": "left"}}, "left is that of 0 already"),
        ({"tracker__user": "nodered"}, "bus.mqtt has no user nodered"),
        ({"bus": {}}, "the bus has no MQTT listener"),
        ({"tracker__sensors": {"boards.ESP01.humi": "ESP01/x"}}, "boards has no point ESP01.humi"),
        ({"tracker__sensors": {"boards.ESP01.temp": "ESP01/sensors/temp"}}, "it would hear what is published here"),
        ({"tracker__sensors": {"boards.ESP01.temp": "hall/temp"}}, "may not publish hall/temp"),
        ({"tracker__sensors": {"boards.ESP01.temp": "dcs/cmd/clear"}}, "topics below dcs/ are those of the devices"),
        ({"tracker__broker": {"address": "tcp://x"}}, "a broker is written mqtt://HOST:1883"),
        ({"tracker__broker": {"address": "mqtt://x", "ca": "a"}}, "ca is for an address with mqtts"),
        ({"tracker__broker": {"address": "mqtt://x", "password": {"env": "P"}}}, "a password belongs to a user"),
        (
            {
                "devices__box": {"driver": "switchbox", "mqtt": {"host": "localhost", "port": 1883}},
                "tracker__switchbox": {"device": "box"},
            },
            "the box is on this broker with the same topics",
        ),
        ({"tracker__roles": {"partition.x": "expert"}}, "roles"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert [one for one in told(loaded(tmp_path, **changes)) if message in one and "tracker" in one]


def test_the_role_does_not_start_with_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no device with driver: caen"):
        facts(loaded(tmp_path, tracker__caen={"device": "julabo"}).experiment)


def test_a_device_that_dashboards_may_not_command_is_told(tmp_path: Path) -> None:
    found = loaded(tmp_path, tracker__roles={})
    assert ["caen" in one.message for one in tracker_warnings(found)] == [True, False, False]


def experiment(tmp_path: Path, **changes: Any) -> Experiment:
    return loaded(tmp_path, **changes).experiment


def test_the_principal_has_the_roles_of_the_section_and_no_more(tmp_path: Path) -> None:
    (principal,) = experiment(tmp_path).section(TrackerSection).principals.values()
    assert principal.name == "tracker.dashboard"
    assert decide(principal, Permission.OPERATE, "device.caen", now_ns=0) is None
    for action, target in ((Permission.ENDANGER, "device.caen"), (Permission.OPERATE, "device.julabo")):
        cause = decide(principal, action, target, now_ns=0)
        assert cause and cause.code == "denied"


def test_its_user_on_the_bus_may_send_commands_as_its_principal_alone(tmp_path: Path) -> None:
    (user,) = [one for one in bus_users.users(experiment(tmp_path)) if one.name == "tracker"]
    assert [one for one in user.publish if one.startswith("command.")] == ["command.tracker=dashboard.devices.*"]


def test_a_broker_of_the_site_is_found_by_its_address(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("rosebud\n")
    broker = {"address": "mqtts://b.example.org", "user": "u", "password": {"file": str(secret)}, "ca": "ca.pem"}
    described = experiment(tmp_path, tracker__broker=broker)
    place = place_of(described, tmp_path)
    assert (str(place), place.user, place.password(), place.ca) == (
        "mqtts://b.example.org:8883",
        "u",
        "rosebud",
        "ca.pem",
    )


def test_a_listener_whose_port_is_not_known_here_is_told(tmp_path: Path) -> None:
    described = experiment(tmp_path)
    assert described.bus.mqtt
    assert place_of(described, tmp_path).port == 1883
    described = experiment(tmp_path, bus__mqtt__port=0)
    with pytest.raises(ConfigurationError, match="the port of the MQTT listener is not known"):
        place_of(described, tmp_path)


def test_without_devices_the_role_is_not_started() -> None:
    assert not TrackerSection().in_use
    assert TrackerSection().principals == {}

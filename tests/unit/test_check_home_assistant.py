"""`check` finds what the section `home_assistant` cannot do, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from countingroom.app import bus_users
from countingroom.cli.check_devices import build_devices
from countingroom.cli.check_home_assistant import home_assistant_problems, home_assistant_warnings
from countingroom.experiment import Loaded, load_with_problems

TOPICS = ["homeassistant/#", "countingroom/#"]
USER = {"name": "home-assistant", "password_env": "P", "publish": TOPICS, "subscribe": TOPICS}
SECTION: dict[str, Any] = {
    "points": ["julabo.*", "box.[12].*"],
    "commands": {
        "roles": {"device.*": "shifter"},
        "points": ["julabo.setpoint_1"],
        "buttons": ["julabo.st*", "box.disable_all"],
    },
}


def loaded(folder: Path, users: list[dict[str, Any]] | None = None, **changes: Any) -> Loaded:
    file = folder / "experiment.yaml"
    description = {
        "experiment": {"name": "lab"},
        "bus": {"mqtt": {"users": [USER] if users is None else users}},
        "devices": {
            "julabo": {"driver": "julabo", "port": "/dev/ttyS0"},
            "box": {"driver": "switchbox", "port": "/dev/ttyS1"},
        },
        "home_assistant": {**SECTION, **changes},
    }
    file.write_text(yaml.safe_dump(description, sort_keys=False))
    return load_with_problems(file)


def told(found: Loaded) -> list[str]:
    hosted, _ = build_devices(found)
    return [f"{one.place.line}: {one.path}: {one.message}" for one in home_assistant_problems(found, hosted)]


def warned(found: Loaded) -> list[str]:
    return [one.message for one in home_assistant_warnings(found, build_devices(found)[0])]


def test_a_description_that_works_has_nothing_to_tell(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert (told(found), warned(found)) == ([], [])
    (user,) = [one for one in bus_users.users(found.experiment) if one.name == "home_assistant"]
    commands = [one for one in user.publish if one.startswith("command.")]
    assert commands == ["command.home_assistant=automation.devices.*"]
    off = loaded(tmp_path, commands=None)
    (user,) = [one for one in bus_users.users(off.experiment) if one.name == "home_assistant"]
    assert not [one for one in user.publish if one.startswith("command.")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": ["julabo.*", "jlabo.*"]}, "no point matches jlabo.*"),
        ({"points": ["julabo.internal_tmp"]}, "did you mean julabo.internal_temp"),
        ({"commands": {"points": ["julabo.internal_temp"]}}, "no point to set matches julabo.internal_temp"),
        ({"commands": {"points": ["box.3.enabled"]}}, "box.3.enabled is not shown"),
        ({"commands": {"buttons": ["julabo.set_pressure"]}}, "no command without arguments matches"),
        ({"user": "nodered"}, "bus.mqtt has no user nodered"),
        (
            {"users": [USER | {"publish": ["countingroom/#"]}]},
            "may not publish homeassistant/+/countingroom_lab/+/config",
        ),
        ({"users": [USER | {"subscribe": ["countingroom/#"]}]}, "may not subscribe homeassistant/status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    found = [one for one in told(loaded(tmp_path, **changes)) if message in one]
    assert found
    line, path, _ = found[0].split(": ", maxsplit=2)
    assert int(line) > 1
    assert path.startswith("home_assistant.")


@pytest.mark.parametrize(
    "changes",
    [
        {"points": ["*"], "prefix": "a/+"},
        {"topic": "homeassistant/lab"},
        {"expire_after": "1 s"},
        {"commands": {"roles": {"device.*": "shifter"}}},
        {"commands": {"points": ["*"], "roles": {"partition.x": "expert"}}},
    ],
)
def test_keys_that_contradict_each_other_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert any(one.path.startswith("home_assistant.") for one in loaded(tmp_path, **changes).problems)


def test_a_user_that_would_be_kept_out_is_told(tmp_path: Path) -> None:
    (message,) = warned(loaded(tmp_path, users=[USER | {"max_messages_per_s": 10}]))
    assert "the user home-assistant is kept out beyond 10" in message


def test_what_the_principal_may_not_do_is_a_warning(tmp_path: Path) -> None:
    commands: dict[str, Any] = {"roles": {}, "points": ["julabo.setpoint_1"], "buttons": ["julabo.stop"]}
    assert warned(loaded(tmp_path, commands=commands)) == [
        "julabo.setpoint_1 is shown only: device.julabo needs the role shifter in `roles`",
        "julabo.stop is left out: device.julabo needs the role shifter in `roles`",
    ]

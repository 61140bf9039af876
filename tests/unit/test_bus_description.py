"""The section bus refuses what could not work, and its server's configuration follows from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from countingroom.bus.description import BusSection, Credentials
from countingroom.bus.server.configuration import DiskSpace, configuration, store_bytes
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.bus.server.permissions import granted
from countingroom.core.bus_grants import BusGrants
from countingroom.core.errors import ConfigurationError

GIB = 1 << 30
NO_USERS = {"users": (), "passwords": {SUPERVISOR: "s"}}


def mqtt(**user: Any) -> dict[str, Any]:
    return {"mqtt": {"users": [{"name": "board", "password_env": "P", **user}]}}


def test_nothing_said_is_a_server_of_our_own_without_mqtt() -> None:
    section = BusSection()
    assert (section.url, section.port, section.mqtt) == ("", 0, None)


@pytest.mark.parametrize(
    ("written", "bytes_"), [("4 GiB", 4 * GIB), ("500 MB", 500_000_000), ("70000000", 70_000_000), (1 << 27, 1 << 27)]
)
def test_an_amount_of_data_has_its_unit(written: Any, bytes_: int) -> None:
    assert BusSection(max_bytes=written).max_bytes == bytes_


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": "4 gigs"},
        {"max_bytes": "1 MB"},
        {"port": 70000},
        {"mqtt": {"users": [{"name": "board"}]}},
        {"password_env": "A", "password_file": "b"},
        {"url": "nats://site:4222", **mqtt()},
        {"mqtt": {"users": [{"name": "a", "password_env": "P"}, {"name": "a", "password_env": "Q"}]}},
        mqtt(name="a b"),
        mqtt(name="tracker"),
        mqtt(name="agent-TRD"),
        mqtt(name="supervisor"),
        mqtt(publish=["a.b"]),
        mqtt(publish=["a/#/b"]),
        mqtt(publish=["a b"]),
        mqtt(publish=["a//b"]),
        mqtt(publish=["a+/b"]),
        mqtt(publish=["$SYS/x"]),
        mqtt(password="rosebud"),
    ],
)
def test_what_could_not_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BusSection.model_validate(wrong)


def test_a_password_comes_from_its_file_or_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("rosebud\nnot this\n")
    monkeypatch.setenv("BUS_PASSWORD", "sesame")
    assert Credentials(password_file=tmp_path / "secret").password() == "rosebud"
    assert Credentials(password_env="BUS_PASSWORD").password() == "sesame"
    assert Credentials().password() == ""


def test_a_password_that_is_not_where_it_should_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="NOT_SET"):
        Credentials(password_env="NOT_SET").password()
    with pytest.raises(ConfigurationError, match="nothing"):
        Credentials(password_file=tmp_path / "nothing").password()


def test_topics_become_subjects_and_all_else_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "x")
    section = BusSection.model_validate(mqtt(publish=["sensors/+/t", "boards/#"]))
    conf = configuration(
        Path("/d"),
        name="n",
        port=1,
        max_bytes=GIB,
        users=(),
        passwords={SUPERVISOR: "s"},
        mqtt=section.mqtt,
        mqtt_port=2,
    )
    (user,) = conf["accounts"]["MQTT"]["users"]
    assert user["permissions"]["publish"]["allow"] == ["sensors.*.t", "boards.>", "boards"]
    assert "$MQTT.>" in user["permissions"]["publish"]["deny"]
    assert user["permissions"]["subscribe"] == {"deny": [">"]}


def test_without_mqtt_the_configuration_names_neither_door_nor_users_of_it() -> None:
    conf = configuration(
        Path("/d"),
        name="n",
        port=1,
        max_bytes=GIB,
        users=[granted("runs", BusGrants())],
        passwords={SUPERVISOR: "s", "runs": "p"},
    )
    assert conf["listen"] == "127.0.0.1:1"
    assert "mqtt" not in conf
    assert [user["user"] for user in conf["accounts"]["HOUSE"]["users"]] == [SUPERVISOR, "runs"]
    assert "no_auth_user" not in conf


def test_the_store_stays_below_the_size_of_the_disk() -> None:
    assert store_bytes(4 * GIB, DiskSpace(free=100 * GIB, used=0)) == 4 * GIB
    for free, used in ((4 * GIB, 0), (2 * GIB, 2 * GIB), (GIB, 0), (0, 0)):
        allowed = store_bytes(4 * GIB, DiskSpace(free=free, used=used))
        assert 0 <= allowed < max(1, free + used)


def test_the_example_in_the_reference_is_a_section() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "bus.md"
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        BusSection.model_validate(yaml.safe_load(example)["bus"])

"""The driver of SNMP agents before that of Net-SNMP, which we did not write: versions, values, setpoints, a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from countingroom.cli import snmp
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.driver import SnmpDriver
from tests.patience import PATIENCE_S
from tests.system.net_snmp_agent import FIRST, SECOND, NetSnmpAgent

pytestmark = pytest.mark.server

OWN = "1.3.6.1.4.1.8072.9999"
VALUES: dict[str, Any] = {
    "uptime": {"oid": "1.3.6.1.2.1.1.3.0", "scale": 0.01, "unit": "s"},
    "load": {"oid": "1.3.6.1.4.1.2021.10.1.6.1"},  # an Opaque Float
    "received": {"oid": "1.3.6.1.2.1.31.1.1.1.6.1", "type": "int"},  # a Counter64
    "sent": {"oid": "1.3.6.1.2.1.2.2.1.16.1", "type": "int"},  # a Counter32
    "address": {"oid": "1.3.6.1.2.1.4.20.1.1.127.0.0.1", "type": "string"},
    "object": {"oid": "1.3.6.1.2.1.1.2.0", "type": "string"},
    "temperature": {"oid": "1.3.6.1.4.1.8072.1.3.2.3.1.1.4.116.101.109.112", "reply": "{value} C"},
    "text": {"oid": f"{OWN}.4.0"},
    "absent": {"oid": f"{OWN}.77.0"},
    "level": {"oid": f"{OWN}.1.0", "scale": 0.1, "writable": True, "write_low": 0, "write_high": 100},
    "large": {"oid": f"{OWN}.2.0", "type": "int", "writable": True, "write_low": 0, "write_high": 4e9},
    "place": {"oid": "1.3.6.1.2.1.1.6.0", "type": "string", "writable": True},
}
SIGNED: dict[str, Any] = {"version": "3", "user": "signed", "authentication": "SHA", "password": {"env": "FIRST"}}
SECRET: dict[str, Any] = {
    "version": "3",
    "user": "secret",
    "authentication": "SHA-256",
    "password": {"env": "FIRST"},
    "privacy": "AES",
    "privacy_password": {"env": "SECOND"},
}


@pytest.fixture(scope="module")
def agent(needs: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetSnmpAgent]:
    started = NetSnmpAgent(needs("snmpd"), tmp_path_factory.mktemp("snmpd"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FIRST": FIRST, "SECOND": SECOND, "WRITERS": "writers-only", "WRONG": "wrong-secret"}.items():
        monkeypatch.setenv(name, value)


def _driver(agent: NetSnmpAgent, timeout_s: float = PATIENCE_S / 10, **keys: Any) -> SnmpDriver:
    described = {"driver": "snmp", "host": "127.0.0.1", "port": agent.port, "timeout": timeout_s, "values": VALUES}
    return SnmpDriver(SnmpSection.model_validate({**described, "object_id": "1.3.6.1.4.1.19947", **keys}))


async def _values(driver: SnmpDriver) -> dict[str, Scalar]:
    return {one.point: one.value for one in await driver.read() if one.quality is Quality.GOOD}


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"version": "1"}, id="1"),
        pytest.param({}, id="2c"),
        pytest.param({"version": "3", "user": "open"}, id="noAuthNoPriv"),
        pytest.param(SIGNED, id="authNoPriv"),
        pytest.param(SECRET, id="authPriv"),
    ],
)
async def test_every_version_reads_every_type(agent: NetSnmpAgent, keys: dict[str, Any]) -> None:
    driver = _driver(agent, **keys)
    await driver.connect()
    samples = {one.point: one for one in await driver.read()}
    said = await _values(driver)
    assert said["address"] == "127.0.0.1" and said["object"] == "1.3.6.1.4.1.19947.1.1"
    assert (said["temperature"], said["text"], said["level"]) == (21.5, 17.25, 0.5)
    assert said["large"] == 3_000_000_000
    assert isinstance(said["load"], float) and isinstance(said["uptime"], float) and isinstance(said["sent"], int)
    # Version 1 has no Counter64.
    assert set(VALUES) - set(said) == ({"absent", "received"} if keys.get("version") == "1" else {"absent"})
    assert f"{OWN}.77.0" in samples["absent"].reason
    if keys not in (SIGNED, SECRET):  # public and open may only read
        with pytest.raises(DeviceError) as refused:
            await driver.write("level", 2.0)
        assert refused.value.cause.code == "refused_by_device"
    await driver.close()


@pytest.mark.parametrize(
    "keys", [pytest.param({"write_community": {"env": "WRITERS"}}, id="2c"), pytest.param(SECRET, id="authPriv")]
)
async def test_a_value_is_set_and_read_back(agent: NetSnmpAgent, keys: dict[str, Any]) -> None:
    driver = _driver(agent, **keys)
    await driver.connect()
    points = {point.name: point for point in driver.points}
    written: dict[str, Scalar] = {"level": 4.2, "large": 3_500_000_000, "place": f"hall of {len(keys)}"}
    for name, value in written.items():
        await driver.write(name, points[name].check_write(value))
    said = await _values(driver)
    assert {name: said[name] for name in written} == pytest.approx(written)
    await driver.write("level", 0.5)
    await driver.write("large", 3_000_000_000)
    await driver.close()


def test_a_walk_writes_the_section(agent: NetSnmpAgent, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {"password": "env:FIRST", "privacy": "AES", "privacy_password": "env:SECOND"}
    options = {"version": "3", "user": "secret", "authentication": "SHA-256", "below": OWN, **secrets}
    snmp.walk(f"127.0.0.1:{agent.port}", timeout=PATIENCE_S / 10, **options)  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    section = SnmpSection.model_validate(yaml.safe_load(printed)["devices"]["agent"])
    assert [value.oid for value in section.values.values()] == [f"{OWN}.{place}.0" for place in (1, 2, 4)]
    assert FIRST not in printed and "# 17.25" in printed


SILENT = {"timeout_s": 0.1, "retries": 0}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"community": {"env": "WRONG"}, **SILENT}, "wrong community"),
        ({"version": "3", "user": "nosuch"}, "`user`"),
        ({"version": "3", "user": "signed"}, "`authentication`"),
        ({**SIGNED, "password": {"env": "WRONG"}}, "`password`"),
        ({**SECRET, "privacy": "", "privacy_password": None}, "`privacy`"),
        ({**SECRET, "privacy_password": {"env": "WRONG"}, **SILENT}, "`privacy_password`"),
        ({"object_id": "1.3.6.1.4.1.318"}, "`object_id`"),
    ],
)
async def test_what_is_wrong_at_the_connection_is_told(agent: NetSnmpAgent, keys: dict[str, Any], told: str) -> None:
    driver = _driver(agent, **keys)
    with pytest.raises(LinkError) as refused:
        await driver.connect()
    assert told in refused.value.cause.suggestion
    assert "wrong-secret" not in str(refused.value.cause)


async def test_an_agent_that_restarts_is_noticed_and_used_again(agent: NetSnmpAgent) -> None:
    drivers = [_driver(agent), _driver(agent, **SECRET)]
    for driver in drivers:
        await driver.connect()
        await driver.read()
    agent.stop()
    with pytest.raises(LinkError):
        await drivers[0].read()
    agent.start()
    for driver in drivers:
        with pytest.raises(CountingRoomError) as restarted:  # its time is less, and its count of boots another one
            await driver.read()
        assert restarted.value.cause.code == "restarted"
        await driver.connect()
        assert (await _values(driver))["object"] == "1.3.6.1.4.1.19947.1.1"
        await driver.close()

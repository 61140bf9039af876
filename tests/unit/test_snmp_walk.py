"""`countingroom snmp walk`: what an agent has becomes a section; secrets are not given in the command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from countingroom.cli import snmp
from countingroom.core.errors import ConfigurationError, DeviceError, NotFound
from countingroom.core.snmp import ber
from countingroom.core.snmp.pdu import GET_BULK, RESPONSE, Pdu, Varbind
from countingroom.core.values import Quality
from countingroom.devices.drivers.snmp.build import build
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.known import row_of
from countingroom.simulators.snmp import SnmpSimulator

UPS = yaml.safe_load((Path(__file__).parents[2] / "examples" / "ups_snmp.yaml").read_text())["devices"]["ups"]


@pytest.fixture
def with_agent() -> Callable[..., None]:
    """Runs a part of a test beside an agent."""

    def run(body: Callable[[SnmpSimulator, str], Awaitable[None]], **keys: Any) -> None:
        async def both() -> None:
            agent = SnmpSimulator({**UPS, **keys})
            where = await agent.start()
            try:
                await body(agent, f"127.0.0.1:{where['port']}")
            finally:
                await agent.stop()

        asyncio.run(both())

    return run


@pytest.mark.parametrize("version", ["1", "2c"])
def test_the_section_of_a_ups_is_that_of_the_example(
    with_agent: Callable[..., None], capsys: pytest.CaptureFixture[str], version: str
) -> None:
    async def body(agent: SnmpSimulator, address: str) -> None:
        agent.agent.most_bytes = 200  # the answers to many are too big
        await asyncio.to_thread(snmp.walk, address, device="ups", version=version, known=True, timeout=10.0)
        printed = capsys.readouterr().out
        assert "charge: {oid: 1.3.6.1.2.1.33.1.2.4.0, type: int, unit: percent}  # 80" in printed
        section = yaml.safe_load(printed)["devices"]["ups"]
        values = section["values"]
        for name, row in UPS["values"].items():
            for key in ("oid", "type", "unit", "scale", "words"):
                assert values[name].get(key) == row.get(key), (name, key)
        driver = build("ups", SnmpSection.model_validate(section)).driver
        await driver.connect()
        assert all(sample.quality is Quality.GOOD for sample in await driver.read())
        await driver.close()

    with_agent(body)


def test_a_part_and_a_number_of_values_are_asked_for(
    with_agent: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    async def body(agent: SnmpSimulator, address: str) -> None:
        part = "1.3.6.1.2.1.33.1.2"
        await asyncio.to_thread(snmp.walk, address, below=part, most=3, timeout=10.0, json=True)
        printed = capsys.readouterr()
        values = yaml.safe_load(printed.out)["devices"]["agent"]["values"]
        assert list(values) == ["battery", "on_battery", "remaining"]
        assert "more than 3 values" in printed.err
        with pytest.raises(NotFound, match="no value below"):
            await asyncio.to_thread(snmp.walk, address, below="1.3.6.1.4.1.7", timeout=10.0)

    with_agent(body)


def test_an_agent_that_goes_round_in_a_circle_is_told(
    with_agent: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(agent: SnmpSimulator, address: str) -> None:
        def same(version: int, request: Pdu) -> Pdu:
            assert request.kind == GET_BULK
            return Pdu(RESPONSE, request.request_id, (Varbind((1, 3, 6, 1, 5), ber.INTEGER, 1),))

        monkeypatch.setattr(agent.agent, "answer", same)
        with pytest.raises(DeviceError, match="which is before it"):
            await asyncio.to_thread(snmp.walk, address, timeout=10.0)

    with_agent(body)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"community": "private"}, "--community is a secret"),
        ({"password": "env:"}, "--password is a secret"),
        ({"version": "4"}, "version"),
        ({"version": "3"}, "version 3 needs a user"),
        ({"below": "sysUpTime"}, "is no OID in numbers"),
        ({"host": ":161"}, "is no HOST:PORT"),
    ],
)
def test_a_wrong_option_is_told(keys: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as wrong:
        snmp.walk(**{"host": "127.0.0.1", **keys})  # type: ignore[arg-type]
    assert "private" not in str(wrong.value.cause)


_VOLTS = {"precision": 3, "unit": "V"}
ROWS: list[tuple[str, int, Any, str, dict[str, Any]]] = [
    ("1.3.6.1.4.1.19947.1.3.2.1.10.101", ber.OPAQUE_FLOAT, 5.0, "u100.set_voltage", _VOLTS),
    ("1.3.6.1.4.1.318.1.0", ber.OCTET_STRING, b"12.5", "oid_4_1_318_1_0", {}),
    ("1.3.6.1.4.1.318.1.0", ber.OCTET_STRING, b"AP9631", "oid_4_1_318_1_0", {"type": "string"}),
    ("1.3.6.1.4.1.318.2.0", ber.TIME_TICKS, 5, "oid_4_1_318_2_0", {"scale": 0.01, "unit": "s"}),
    ("1.3.6.1.4.1.318.3.0", ber.COUNTER64, 5, "oid_4_1_318_3_0", {"type": "int"}),
    ("1.0.8802.1.1.2.0", ber.OPAQUE_FLOAT, 0.5, "oid_1_0_8802_1_1_2_0", {}),
]


@pytest.mark.parametrize(("oid", "tag", "value", "name", "keys"), ROWS)
def test_a_row_has_the_name_and_the_type_that_are_known(
    oid: str, tag: int, value: Any, name: str, keys: dict[str, Any]
) -> None:
    assert row_of(Varbind(ber.oid(oid), tag, value)) == (name, {"oid": oid, **keys})

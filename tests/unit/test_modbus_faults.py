"""A fault of one register, unit or answer touches its own values and no others, and its text names them."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.modbus.build import build
from countingroom.devices.drivers.modbus.connection import ModbusConnections
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.port import Sample
from countingroom.devices.resources import SharedResources
from tests.unit.odd_modbus import OddServer, odd_server

TIMEOUT_S = 0.4
"""Where something is not answered; 3 s elsewhere, because the machine of a test can be slow."""


def driver_of(
    odd: OddServer, *addresses: int, connections: ModbusConnections | None = None, **keys: Any
) -> ModbusDriver:
    table = {f"r{address}": {"address": address} for address in addresses}
    section = {"host": "127.0.0.1", "port": odd.port, "timeout": 3.0, "registers": table, **keys}
    return ModbusDriver(ModbusSection.model_validate(section), connections)


async def said(driver: ModbusDriver) -> dict[str, Sample]:
    return {sample.point: sample for sample in await driver.read()}


def good(samples: dict[str, Sample]) -> dict[str, object]:
    return {name: sample.value for name, sample in samples.items() if sample.quality is Quality.GOOD}


async def test_a_refused_register_spoils_no_neighbour() -> None:
    async with odd_server(OddServer(missing={100})) as odd:
        driver = driver_of(odd, 98, 99, 100, 101)
        await driver.connect()
        for _ in range(3):
            samples = await said(driver)
            assert good(samples) == {"r98": 1098, "r99": 1099, "r101": 1101}
            assert "r100" in samples["r100"].reason and "holding 100 of unit 1" in samples["r100"].reason
            assert "illegal address" in samples["r100"].reason
        odd.missing.clear()
        assert good(await said(driver))["r100"] == 1100
        await driver.close()


async def test_an_exception_of_no_standard_is_named_and_spoils_no_other_request() -> None:
    async with odd_server(OddServer(missing={100}, exception=244)) as odd:
        driver = driver_of(odd, 10, 100)
        await driver.connect()
        samples = await said(driver)
        assert good(samples) == {"r10": 1010}
        assert "exception 244, unknown" in samples["r100"].reason
        await driver.close()


async def test_a_register_that_means_no_value_spoils_no_neighbour() -> None:
    async with odd_server(OddServer()) as odd:
        table = {"r1": {"address": 1}, "r2": {"address": 2, "no_value": [1002]}, "r3": {"address": 3}}
        driver = driver_of(odd, registers=table)
        await driver.connect()
        samples = await said(driver)
        assert good(samples) == {"r1": 1001, "r3": 1003}
        assert samples["r2"].reason == "holding 2 of unit 1: 1002 means that there is no value"
        await driver.close()


async def test_a_server_that_closes_each_connection_is_a_lost_link_until_it_stays() -> None:
    async with odd_server(OddServer(accepts=False)) as odd:
        driver = driver_of(odd, 1)
        for _ in range(3):
            await driver.connect()
            with pytest.raises(LinkError):
                await driver.read()
            await driver.close()
        odd.accepts = True
        await driver.connect()
        assert good(await said(driver)) == {"r1": 1001}
        await driver.close()


async def test_a_register_that_never_answers_marks_its_own_value_and_no_other() -> None:
    async with odd_server(OddServer(silent={100})) as odd:
        driver = driver_of(odd, 10, 99, 100, 101, timeout=TIMEOUT_S)
        await driver.connect()
        polls = [await said(driver) for _ in range(8)]
        assert good(polls[0]) == {"r10": 1010}
        assert good(polls[-1]) == {"r10": 1010, "r99": 1099, "r101": 1101}
        assert polls[-1]["r100"].quality is Quality.BAD and "r100" in polls[3]["r100"].reason
        assert odd.connections == 1
        before = len(odd.asked)
        for _ in range(9):
            await said(driver)
        assert sum(one == (1, 100, 1) for one in odd.asked[before:]) == 1, "it is asked seldom"
        await driver.close()


async def test_two_dead_registers_and_nothing_else_answering_first_do_not_lose_the_device() -> None:
    async with odd_server(OddServer(silent={1, 11})) as odd:
        driver = driver_of(odd, 1, 11, 21, 31, timeout=TIMEOUT_S)
        await driver.connect()
        with pytest.raises(LinkError):
            await driver.read()
        assert good(await said(driver)) == {"r21": 1021, "r31": 1031}
        await driver.close()


async def test_a_device_that_answers_nothing_is_a_lost_link_that_names_the_values() -> None:
    async with odd_server(OddServer(silent=set(range(1000)))) as odd:
        driver = driver_of(odd, 7, 8, timeout=TIMEOUT_S)
        await driver.connect()
        with pytest.raises(LinkError, match=r"did not read r7, r8 \(holding 7 to 8 of unit 1\): no answer within"):
            await driver.read()
        await driver.close()


async def test_a_server_that_closes_after_each_answer_works() -> None:
    async with odd_server(OddServer(closes=True)) as odd:
        table = {"r1": {"address": 1}, "r50": {"address": 50, "input": True, "write_low": 0, "write_high": 9}}
        driver = driver_of(odd, registers=table)
        await driver.connect()
        for _ in range(3):
            assert good(await said(driver)) == {"r1": 1001, "r50": 1050}
        for _ in range(3):
            await driver.write("r50", 4)
        assert len(odd.written) == 3
        await driver.close()


def of_function_4(transaction: int, frame: bytes) -> bytes:
    return frame[:7] + bytes((4,)) + frame[8:]


def of_unit_9(transaction: int, frame: bytes) -> bytes:
    return frame[:6] + bytes((9,)) + frame[7:]


def of_another_transaction(transaction: int, frame: bytes) -> bytes:
    return bytes((frame[0] ^ 1,)) + frame[1:]


def too_short(transaction: int, frame: bytes) -> bytes:
    return frame[:4] + bytes((0, 5)) + frame[6:7] + bytes((3, 2, 0, 9))


def no_modbus(transaction: int, frame: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (of_function_4, "function 4"),
        (of_unit_9, "unit 9"),
        (of_another_transaction, "no answer within"),
        (too_short, "an answer of 2 bytes where 4 belong"),
        (no_modbus, "not of Modbus TCP"),
    ],
)
async def test_an_answer_to_something_else_is_refused(spoil: Any, words: str) -> None:
    async with odd_server(OddServer(spoil=spoil)) as odd:
        driver = driver_of(odd, 1, 2, timeout=TIMEOUT_S if spoil is of_another_transaction else 3.0)
        await driver.connect()
        with pytest.raises((DeviceError, LinkError), match=words):
            await driver.read()
        odd.spoil = lambda transaction, frame: frame
        await driver.close()
        await driver.connect()
        assert good(await said(driver)) == {"r1": 1001, "r2": 1002}
        await driver.close()


async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    late: list[bytes] = []

    def delay(transaction: int, frame: bytes) -> bytes | None:
        if not late:
            late.append(frame)
            return None
        return b"".join((late.pop(), frame)) if late[0] else frame

    async with odd_server(OddServer(spoil=delay)) as odd:
        driver = driver_of(odd, 5, 60, timeout=TIMEOUT_S)
        await driver.connect()
        samples = await said(driver)
        assert good(samples) == {"r60": 1060} and samples["r5"].quality is Quality.BAD
        odd.spoil = lambda transaction, frame: frame
        assert good(await said(driver)) == {"r5": 1005, "r60": 1060}
        await driver.close()


async def test_a_question_holds_no_more_registers_than_the_description_allows() -> None:
    async with odd_server(OddServer(most=4)) as odd:
        driver = driver_of(odd, *range(10), most_registers=4)
        await driver.connect()
        assert len(good(await said(driver))) == 10
        assert [count for _, _, count in odd.asked] == [4, 4, 2]
        await driver.close()


async def test_units_behind_a_gateway_for_one_client_share_one_connection() -> None:
    async with odd_server(OddServer(units={1, 2, 3}, one_client=True)) as odd:
        resources = SharedResources()
        values = {"a": {"address": 5}, "b": {"address": 5, "device_id": 3}}
        sections = [
            ModbusSection.model_validate(
                {"host": "127.0.0.1", "port": odd.port, "device_id": unit, "registers": values}
            )
            for unit in (1, 2)
        ]
        one, other = (build(f"unit{index}", section, resources).driver for index, section in enumerate(sections))
        await one.connect()
        await other.connect()
        assert [sample.value for sample in await one.read()] == [1005, 3005]
        assert [sample.value for sample in await other.read()] == [2005, 3005]
        await one.close()
        assert [sample.value for sample in await other.read()] == [2005, 3005]
        with pytest.raises(LinkError):
            await one.read()
        await other.close()
        await resources.close()
        assert odd.connections == 1


async def test_a_connection_whose_other_end_is_gone_is_opened_again_though_it_is_shared() -> None:
    async with odd_server(OddServer(units={1, 2})) as odd:
        connections = ModbusConnections()
        one = driver_of(odd, 5, connections=connections, timeout=TIMEOUT_S)
        other = driver_of(odd, 5, connections=connections, device_id=2, timeout=TIMEOUT_S)
        await one.connect()
        await other.connect()
        odd.spoil = lambda transaction, frame: None if odd.connections == 1 else frame
        for driver in (one, other, one):  # as the host does; at any time one of the two uses the connection
            with pytest.raises(LinkError):
                await driver.read()
            await driver.close()
            await driver.connect()
        assert good(await said(one)) == {"r5": 1005} and good(await said(other)) == {"r5": 2005}
        await one.close()
        await other.close()


def test_two_devices_on_one_bus_must_agree_on_its_settings() -> None:
    connections = ModbusConnections()
    keys: dict[str, Any] = {"serial": "/dev/ttyUSB0", "registers": {"a": {"address": 1}}}
    ModbusDriver(ModbusSection.model_validate({**keys, "device_id": 1}), connections)
    ModbusDriver(ModbusSection.model_validate({**keys, "device_id": 2}), connections)
    with pytest.raises(ConfigurationError, match="other settings"):
        ModbusDriver(ModbusSection.model_validate({**keys, "baudrate": 19200}), connections)


async def test_a_unit_that_the_gateway_does_not_reach_marks_its_values_only() -> None:
    async with odd_server(OddServer(units={1})) as odd:
        table = {"here": {"address": 5}, "gone": {"address": 5, "device_id": 4}}
        driver = driver_of(odd, registers=table)
        await driver.connect()
        samples = await said(driver)
        assert good(samples) == {"here": 1005} and "unit 4" in samples["gone"].reason
        await driver.close()
        alone = driver_of(odd, registers={"gone": table["gone"]})
        await alone.connect()
        with pytest.raises(LinkError, match="gateway"):
            await alone.read()
        await alone.close()


async def test_a_refused_write_names_the_register() -> None:
    async with odd_server(OddServer(spoil=lambda transaction, frame: frame[:4] + b"\0\3\1\x90\2")) as odd:
        table = {"speed": {"address": 5, "input": True, "write_low": 0, "write_high": 9}}
        driver = driver_of(odd, registers=table)
        await driver.connect()
        with pytest.raises(DeviceError, match=r"write speed \(holding 5 of unit 1\): exception 2, illegal address"):
            await driver.write("speed", 3)
        await driver.close()

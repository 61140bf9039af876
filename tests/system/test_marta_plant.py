"""A CO2 plant is started, stopped and brought out of alarm through the bus, and its link may come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from countingroom.core.messages import EventKind, Link
from countingroom.core.values import Quality
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.simulators.marta import MartaSimulator
from tests.system.cooling_stand import stand


def simulator() -> MartaSimulator:
    return MartaSimulator(MartaSection(host="127.0.0.1").model_dump(mode="json"))


def section(address: Mapping[str, Any], **more: object) -> MartaSection:
    fast = {"poll": 0.05, "timeout": 2.0, "reconnect_first": 0.05, "reconnect_most": 0.2}
    return MartaSection.model_validate({**fast, **address, **more})


async def test_a_run_from_start_through_an_alarm_to_rest() -> None:
    async with stand(simulator(), section) as it:
        await it.until_state("CONNECTED")
        assert await it.refusal("start_co2") == "not_allowed"
        for command in ("start_chiller", "start_co2"):
            assert (await it.do(command)).kind is EventKind.DONE
        await it.until_state("CO2_RUNNING")
        assert (await it.do("set_temperature_setpoint", temperature=-15.5)).kind is EventKind.DONE
        await it.until(lambda: it.value("temperature_setpoint") == -15.5)
        assert await it.refusal("set_temperature_setpoint", temperature=25.5) == "out_of_range"
        assert await it.refusal("set_flow_setpoint") == "missing_argument"
        assert await it.refusal("stop_chiller") == "not_allowed"
        await it.simulator.fault("trip", {"alarm": "CP_LP_FS"})
        alarm = await it.until_state("ALARM")
        assert alarm.cause is not None and alarm.cause.causes[0].source == "CP_LP_FS"
        await it.until(lambda: it.value("alarms") == "Full stop: compressor low pressure (CP_LP_FS)")
        assert (await it.do("clear_alarms")).kind is EventKind.DONE
        await it.until_state("CONNECTED")
        await it.until(lambda: it.value("alarms") == "")
        assert it.value("set_start_chiller") is False and it.value("set_alarm_reset") is False


async def test_co2_without_chiller_ends_nothing_and_is_cleared() -> None:
    plant = simulator()
    async with stand(plant, section) as it:
        await it.until_state("CONNECTED")
        plant.image.put("set_start_co2", True)
        alarm = await it.until_state("ALARM")
        assert alarm.cause is not None and alarm.cause.code == "co2_without_chiller"
        assert (await it.do("clear_alarms")).kind is EventKind.DONE
        await it.until_state("CONNECTED")


async def test_a_link_that_goes_is_published_and_comes_back_by_itself() -> None:
    async with stand(simulator(), section, off_at_first=True) as it:
        await it.until_state("DISCONNECTED")
        await it.simulator.fault("restore", {})
        await it.until_state("CONNECTED")
        await it.simulator.fault("freeze", {})
        lost = await it.until_state("DISCONNECTED")
        assert lost.link is Link.DISCONNECTED
        await it.until_quality(Quality.STALE, "PT04_CO2", "status", "alarms")
        await it.simulator.fault("restore", {})
        await it.until_state("CONNECTED")
        await it.until_quality(Quality.GOOD, "PT04_CO2", "status", "alarms")


async def test_no_number_is_bad_and_its_neighbours_are_good() -> None:
    async with stand(simulator(), section) as it:
        await it.until_state("CONNECTED")
        await it.simulator.fault("nan", {"point": "TT05_CO2"})
        await it.until(lambda: it.readings["TT05_CO2"].quality is Quality.BAD)
        assert it.value("TT05_CO2") is None and it.readings["TT06_CO2"].quality is Quality.GOOD

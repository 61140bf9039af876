"""A chiller on a serial line: its values and its commands, also while the line fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from countingroom.core.messages import EventKind, Link
from countingroom.core.values import Quality
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.simulators.julabo import JulaboSimulator
from tests.system.cooling_stand import stand

TIMEOUT_S = 0.2


def section(address: Mapping[str, Any], **more: object) -> JulaboSection:
    fast = {"poll": 0.05, "timeout": TIMEOUT_S, "reconnect_first": 0.05, "reconnect_most": 0.2}
    return JulaboSection.model_validate({**fast, "read_gap": 0.0, "write_gap": 0.0, **address, **more})


async def test_it_is_commanded_where_its_state_allows_and_refused_elsewhere() -> None:
    async with stand(JulaboSimulator({}), section) as it:
        off = await it.until_state("OFF")
        assert off.refusals["start"] is None and off.refusals["stop"] is not None
        assert await it.refusal("stop") == "not_allowed"
        assert (await it.do("start")).kind is EventKind.DONE
        await it.until_state("ON")
        assert await it.refusal("set_working_temperature", setpoint=1, temp=50) == "out_of_range"
        assert await it.refusal("set_working_temperature", setpoint=1) == "missing_argument"
        assert (await it.do("set_working_temperature", setpoint=2, temp=-12.5)).kind is EventKind.DONE
        assert (await it.do("use_setpoint", setpoint=2)).kind is EventKind.DONE
        assert (await it.do("use_external")).kind is EventKind.DONE
        assert (await it.do("set_pressure", press=3)).kind is EventKind.DONE
        assert (await it.do("set", point="setpoint_3", value=7)).kind is EventKind.DONE
        assert it.value("ext_is_used") is True and it.value("pressure_stage") == 3
        assert [it.value(f"setpoint_{n}") for n in (1, 2, 3)] == [20.0, -12.5, 7.0]
        assert it.value("used_setpoint") == 2


async def test_a_fault_is_an_error_with_its_words_and_stop_is_the_way_out() -> None:
    async with stand(JulaboSimulator({}), section) as it:
        await it.until_state("OFF")
        await it.do("start")
        await it.simulator.fault("trip", {"code": -3, "text": "EXCESS TEMPERATURE ALARM"})
        error = await it.until_state("ERROR")
        assert error.cause is not None and "EXCESS TEMPERATURE" in error.cause.message
        assert await it.refusal("start") == "not_allowed"
        assert (await it.do("stop")).kind is EventKind.DONE
        await it.until_state("OFF")


async def test_a_line_frozen_for_a_long_time_is_told_at_once_and_comes_back_in_step() -> None:
    """150 timeouts would be 30 s at a timeout of 0.2 s; the freeze here lasts until six attempts have failed."""
    simulator = JulaboSimulator({})
    simulator.bath.setpoints[:] = [11.0, 22.0, 33.0]
    async with stand(simulator, section) as it:
        await it.until_state("OFF")
        await simulator.fault("freeze", {})
        lost = await it.until_state("DISCONNECTED")
        assert lost.link is Link.DISCONNECTED and lost.cause is not None and "no answer" in lost.cause.message
        await it.until_quality(Quality.STALE, *(f"setpoint_{n}" for n in (1, 2, 3)), "internal_temp", "status_code")
        assert it.value("setpoint_2") == 22.0
        assert await it.refusal("start") == "link_lost"
        asked = simulator.requests
        await it.until(lambda: simulator.requests >= asked + 6)
        assert it.state is not None and it.state.state == "DISCONNECTED"
        await simulator.fault("restore", {})
        await it.until_state("OFF")
        await it.until_quality(Quality.GOOD, *(f"setpoint_{n}" for n in (1, 2, 3)), "internal_temp", "status_code")
        assert [it.value(f"setpoint_{n}") for n in (1, 2, 3)] == [11.0, 22.0, 33.0]
        assert (await it.do("start")).kind is EventKind.DONE


async def test_a_chiller_that_is_off_at_first_is_disconnected_and_joins_when_it_appears() -> None:
    async with stand(JulaboSimulator({}), section, off_at_first=True) as it:
        await it.until_state("DISCONNECTED")
        await it.simulator.fault("restore", {})
        await it.until_state("OFF")
        await it.simulator.fault("drop", {})
        await it.until_state("DISCONNECTED")
        await it.simulator.fault("restore", {})
        await it.until_state("OFF")


@pytest.mark.parametrize(("running", "applied"), [(False, -30.0), (True, 20.0)])
async def test_settings_are_written_at_the_connection_only_to_a_chiller_that_stands_still(
    running: bool, applied: float
) -> None:
    simulator = JulaboSimulator({})
    simulator.bath.set_running(running)
    wanted = {"apply_on_connect": True, "settings": {"setpoint_1": -30}}
    async with stand(simulator, lambda address: section(address, **wanted)) as it:
        await it.until_state("ON" if running else "OFF")
        taken = simulator.requests
        await it.until(lambda: simulator.requests > taken + 40)
        assert simulator.bath.setpoints[0] == applied
        assert (simulator.settings_taken == 0) == running


async def test_nothing_is_written_at_the_connection_unless_asked() -> None:
    simulator = JulaboSimulator({})
    async with stand(simulator, lambda address: section(address, settings={"setpoint_1": -30})) as it:
        await it.until_state("OFF")
        taken = simulator.requests
        await it.until(lambda: simulator.requests > taken + 40)
        assert simulator.settings_taken == 0


async def test_a_setpoint_that_the_bath_refuses_fails_with_its_reason_and_leaves_the_state() -> None:
    simulator = JulaboSimulator({})
    async with stand(simulator, lambda address: section(address, setpoint_low=-90, setpoint_high=150)) as it:
        await it.until_state("OFF")
        assert await it.refusal("set_working_temperature", setpoint=1, temp=151) == "out_of_range"
        assert await it.refusal("set", point="setpoint_1", value=151) == "out_of_range"
        failed = await it.do("set_working_temperature", setpoint=1, temp=-80)
        assert failed.kind is EventKind.FAILED and failed.cause is not None
        assert "-10 VALUE TOO SMALL" in failed.cause.message
        assert it.state is not None and it.state.state == "OFF"
        assert (await it.do("set", point="setpoint_1", value=120)).kind is EventKind.DONE


async def test_in_manual_control_a_command_is_refused_at_once_with_the_reason() -> None:
    async with stand(JulaboSimulator({}), section) as it:
        await it.until_state("OFF")
        await it.simulator.fault("manual", {})
        await it.until_state("ERROR")
        assert await it.refusal("set_working_temperature", setpoint=1, temp=5) == "manual_control"
        assert await it.refusal("set", point="setpoint_1", value=5) == "manual_control"
        assert await it.refusal("stop") == "manual_control"

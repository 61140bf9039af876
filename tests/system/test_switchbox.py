"""A switchbox on a line and on a broker: seen as it is, commanded as its rules allow, whatever it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from countingroom.core.messages import EventKind
from countingroom.core.values import Quality
from countingroom.devices.description import DevicesSection
from countingroom.devices.section import DeviceSection
from countingroom.simulators.switchbox import SwitchboxSimulator
from tests.patience import PATIENCE_S
from tests.system.cooling_stand import DEVICE, stand

FAST = {"poll": 0.05, "timeout": PATIENCE_S, "reconnect_first": 0.05, "reconnect_most": 0.2}
SILENT_S = 1.0
"""So long an answer may take where the box is silent on purpose."""
GAPS = {"read_gap": 0.001, "write_gap": 0.001}


def section(address: Mapping[str, Any]) -> DeviceSection:
    keys = {"driver": "switchbox", **FAST, **GAPS, **address}
    return DevicesSection.model_validate({DEVICE: keys})[DEVICE]


def impatient(address: Mapping[str, Any]) -> DeviceSection:
    return section({"timeout": SILENT_S, **address})


@pytest.mark.parametrize("keys", [{}, {"mqtt": {}}], ids=["serial", "mqtt"])
async def test_its_rules_hold_before_anything_is_sent(keys: dict[str, Any]) -> None:
    simulator = SwitchboxSimulator(keys)
    async with stand(simulator, section) as it:
        await it.until_state("LV_OFF")
        assert await it.refusal("hv_on") == "lv_off"
        assert (await it.do("lv_on")).kind is EventKind.DONE
        for number in (7, 1, 48, 12):
            assert (await it.do("enable", channel=str(number))).kind is EventKind.DONE
        assert it.value("channels_on") == 4 and it.value("12.enabled") is True
        assert await it.refusal("enable", channel="2") == "too_many_channels"
        assert (await it.do("disable", channel="7")).kind is EventKind.DONE
        await it.until_state("LV_ON")
        assert (await it.do("hv_on")).kind is EventKind.DONE
        await it.until_state("HV_ON")
        taken = list(simulator.box.taken)
        assert await it.refusal("lv_off") == "hv_on"
        assert await it.refusal("enable", channel="7") == "hv_on"
        assert await it.refusal("disable", channel="1") == "hv_on"
        assert await it.refusal("disable_all") == "hv_on"
        assert await it.refusal("enable") == "wrong_scope"
        assert await it.refusal("enable", channel="49") == "not_found"
        assert await it.refusal("set", point="7.enabled", value=True) == "command_only"
        assert await it.refusal("set", point="hv", value=False) == "command_only"
        assert simulator.box.taken == taken
        assert (await it.do("hv_off")).kind is EventKind.DONE
        assert (await it.do("disable_all")).kind is EventKind.DONE
        assert (await it.do("lv_off")).kind is EventKind.DONE
        await it.until_state("LV_OFF")
        assert simulator.box.taken[len(taken) :] == ["HV|OFF", "CH*|OFF", "LV|OFF"]


async def test_what_is_against_the_rules_is_an_error_and_can_be_ended() -> None:
    simulator = SwitchboxSimulator({})
    async with stand(simulator, section) as it:
        await simulator.fault("force", {"hv": True, "channels": 0b11111})
        error = await it.until_state("ERROR")
        assert error.cause and "HV is on while LV is off" in error.cause.message and "5 channels" in error.cause.message
        assert await it.refusal("lv_on") == "not_allowed"
        assert await it.refusal("disable", channel="1") == "hv_on"
        assert (await it.do("hv_off")).kind is EventKind.DONE
        assert (await it.do("disable", channel="1")).kind is EventKind.DONE
        await it.until_state("LV_OFF")


@pytest.mark.parametrize("keys", [{}, {"mqtt": {}}], ids=["serial", "mqtt"])
async def test_nonsense_is_an_error_with_its_reason_and_the_way_back(keys: dict[str, Any]) -> None:
    simulator = SwitchboxSimulator(keys)
    async with stand(simulator, section) as it:
        await it.until_state("LV_OFF")
        await simulator.fault("force", {"lv": True, "hv": True})
        await it.until_state("HV_ON")
        await simulator.fault("garbage", {})
        error = await it.until_state("ERROR")
        assert error.cause and error.cause.code == "nonsense"
        assert error.refusals["hv_off"] is None
        await it.give("hv_off")
        await it.until(lambda: not simulator.box.hv)
        await simulator.fault("restore", {})
        await it.until_state("LV_ON")
        await it.until_quality(Quality.GOOD, "lv", "hv", "channels_on", "48.enabled")


async def test_a_box_that_takes_no_command_fails_it_by_its_readback() -> None:
    simulator = SwitchboxSimulator({})
    async with stand(simulator, section) as it:
        await it.until_state("LV_OFF")
        await simulator.fault("refuse", {})
        reply = await it.give("lv_on")
        assert reply.accepted
        assert it.state and it.state.state == "LV_OFF"
        await simulator.fault("force", {"lv": True})
        await it.until_state("LV_ON")


async def test_a_command_to_a_silent_box_on_a_broker_is_sent_and_confirmed_by_no_older_status() -> None:
    simulator = SwitchboxSimulator({"mqtt": {}})
    async with stand(simulator, impatient) as it:
        await it.until_state("LV_OFF")
        await simulator.fault("freeze", {})
        failed = await it.do("hv_off")
        assert failed.kind is EventKind.FAILED and failed.cause and "no status within" in failed.cause.message
        silent = await it.until_state("ERROR")
        assert silent.cause and silent.cause.code == "silent" and silent.refusals["hv_off"] is None
        await it.until(lambda: it.channel_states["7"].state == "DISCONNECTED")
        await simulator.fault("restore", {})
        await it.until(lambda: "HV|OFF" in simulator.box.taken)
        assert (await it.do("hv_off")).kind is EventKind.DONE


async def test_a_box_that_was_never_there_is_an_error_although_its_broker_is() -> None:
    simulator = SwitchboxSimulator({"mqtt": {}})
    await simulator.fault("freeze", {})
    async with stand(simulator, impatient) as it:
        silent = await it.until_state("ERROR")
        assert silent.cause and "sends no status" in silent.cause.message and silent.refusals["hv_off"] is None
        await simulator.fault("restore", {})
        await it.until_state("LV_OFF")


async def test_a_silent_box_is_disconnected_and_comes_back() -> None:
    simulator = SwitchboxSimulator({})
    async with stand(simulator, impatient) as it:
        await it.until_state("LV_OFF")
        await simulator.fault("freeze", {})
        await it.until_state("DISCONNECTED")
        await it.until_quality(Quality.STALE, "lv", "7.enabled")
        await simulator.fault("restore", {})
        await it.until_state("LV_OFF")
        await it.until(lambda: it.channel_states["7"].state == "DISABLED")

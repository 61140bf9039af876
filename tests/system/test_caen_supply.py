"""The power supply over real Channel Access, from the outputs to the bus and back."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.core.messages import EventKind, Link
from countingroom.core.values import Quality
from countingroom.simulators.caen import CaenSimulator
from tests.system.caen_stand import Stand, caen_stand


def puts(stand: Stand) -> int:
    return stand.simulator.puts


def hv_on_in_the_field(simulator: CaenSimulator) -> None:
    """Somebody had it on before."""
    for output in simulator.outputs.values():
        output.switch(True)
        output.volts = output.target


def volts(stand: Stand, point: str) -> float:
    value = stand.reading(point).value
    return value if isinstance(value, (int, float)) else 0.0


async def test_from_off_to_high_voltage_and_back() -> None:
    async with caen_stand() as stand:
        assert stand.state() == "LV_OFF"
        assert (await stand.do("all_lv_on")).kind is EventKind.DONE
        assert stand.state() == "LV_ON"
        assert (await stand.do("all_hv_on")).kind is EventKind.DONE
        assert stand.state() == "HV_ON"
        await stand.until(lambda: abs(volts(stand, "1.hv_vMon") - 60) < 0.5)
        assert stand.state("3") == "LV_OFF"
        refused = await stand.give("all_lv_off")
        assert not refused.accepted
        assert refused.cause is not None
        assert refused.cause.code == "not_allowed"
        assert (await stand.do("all_hv_off")).kind is EventKind.DONE
        assert (await stand.do("all_lv_off")).kind is EventKind.DONE
        assert stand.state() == "LV_OFF"


async def test_a_command_to_one_channel_leaves_the_others_alone() -> None:
    async with caen_stand() as stand:
        await stand.do("all_lv_on")
        before = puts(stand)
        assert (await stand.do("hv_on", "1")).kind is EventKind.DONE
        assert [stand.state(channel) for channel in "012"] == ["LV_ON", "HV_ON", "LV_ON"]
        assert stand.state() == "HV_MIX"
        assert puts(stand) == before + 1


async def test_hv_on_with_lv_off_is_an_error_of_the_channel_and_can_be_ended() -> None:
    async with caen_stand() as stand:
        await stand.do("lv_on", "2")
        await stand.do("hv_on", "2")
        await stand.simulator.fault("switch_off", {"channel": "2", "side": "lv"})
        await stand.until(lambda: stand.state("2") == "ERROR")
        assert stand.cause("2") == "hv_without_lv"
        await stand.until(lambda: stand.state() == "ERROR")
        assert (await stand.do("hv_off", "2")).kind is EventKind.DONE
        assert stand.state("2") == "LV_OFF"


async def test_a_trip_is_an_error_until_the_alarms_are_cleared() -> None:
    async with caen_stand() as stand:
        await stand.do("lv_on", "0")
        await stand.do("hv_on", "0")
        await stand.simulator.fault("trip", {"channel": "0", "side": "hv", "now": True})
        await stand.until(lambda: stand.state("0") == "ERROR")
        assert stand.cause("0") == "hv_fault"
        assert (await stand.do("clear_alarms")).kind is EventKind.DONE
        await stand.until(lambda: stand.state("0") == "LV_ON")


async def test_a_setpoint_is_done_when_it_reads_back_and_refused_outside_its_limits() -> None:
    async with caen_stand() as stand:
        done = await stand.do("set", point="1.hv_setV", value=75.5)
        assert done.kind is EventKind.DONE
        await stand.until(lambda: stand.reading("1.hv_setV").value == 75.5)
        before = puts(stand)
        for point, value, code in (
            ("1.hv_setV", 801, "out_of_range"),
            ("1.lv_setV", 15.1, "out_of_range"),
            ("1.hv_pw", 1, "command_only"),
            ("3.hv_setV", 50, "inactive"),
            ("1.hv_vMon", 50, "read_only"),
        ):
            reply = await stand.give("set", point=point, value=value)
            assert not reply.accepted
            assert reply.cause is not None
            assert reply.cause.code == code
        assert puts(stand) == before


async def test_low_voltage_is_not_changed_while_it_is_on() -> None:
    async with caen_stand() as stand:
        assert (await stand.do("set", point="0.lv_setV", value=11.5)).kind is EventKind.DONE
        await stand.do("lv_on", "0")
        reply = await stand.give("set", point="0.lv_setV", value=12.5)
        assert reply.cause is not None
        assert reply.cause.code == "lv_on"


async def test_nothing_is_written_at_start() -> None:
    async with caen_stand() as stand:
        await stand.until(lambda: stand.reading("0.lv_setV").quality is Quality.GOOD)
        assert puts(stand) == 0


async def test_settings_are_applied_at_start_when_asked() -> None:
    asked: dict[str, Any] = {"apply_on_connect": True, "global": {"hv": {"maxI": 123.0}}}
    async with caen_stand(**asked) as stand:
        await stand.until(lambda: stand.reading("2.hv_maxI").value == 123.0)
        assert stand.reading("3.hv_maxI").value == 500.0


async def test_settings_are_never_applied_while_hv_is_on() -> None:
    asked: dict[str, Any] = {"apply_on_connect": True, "global": {"hv": {"maxI": 123.0}}}
    # Without a step of the outputs: what the server shows first is what they are.
    async with caen_stand(before=hv_on_in_the_field, tick_s=3600, **asked) as stand:
        await stand.until(lambda: stand.state() == "HV_ON")
        await stand.do("refresh")
        await stand.until(lambda: stand.reading("0.hv_maxI").value == 500.0)
        assert puts(stand) == 0


async def test_a_server_that_is_gone_is_disconnected_and_joins_again() -> None:
    async with caen_stand() as stand:
        await stand.do("lv_on", "1")
        await stand.until(lambda: abs(volts(stand, "1.lv_vMon") - 12) < 0.1)
        await stand.simulator.fault("drop", {})
        await stand.until(lambda: all(stand.link(channel) is Link.DISCONNECTED for channel in ("", *"0123")))
        assert [stand.state(channel) for channel in "0123"] == ["DISCONNECTED"] * 4
        await stand.until(lambda: stand.reading("1.lv_vMon").quality is Quality.STALE)
        assert stand.reading("1.lv_vMon").value == pytest.approx(12, abs=0.1)
        reply = await stand.give("lv_off", "1")
        assert reply.cause is not None
        assert reply.cause.code == "link_lost"
        await stand.simulator.fault("restore", {})
        await stand.until(lambda: stand.state("1") == "LV_ON")
        await stand.until(lambda: stand.reading("1.lv_vMon").quality is Quality.GOOD)


async def test_a_server_that_hangs_is_noticed_and_goes_on() -> None:
    async with caen_stand() as stand:
        await stand.simulator.fault("freeze", {})
        await stand.until(lambda: stand.state() == "DISCONNECTED")
        await stand.until(lambda: stand.reading("0.lv_vMon").quality is Quality.STALE)
        await stand.simulator.fault("thaw", {})
        await stand.until(lambda: stand.state() == "LV_OFF")


async def test_a_value_that_is_no_number_is_bad_and_no_more() -> None:
    async with caen_stand() as stand:
        await stand.simulator.fault("nan", {"channel": "0", "side": "hv", "variable": "VMon"})
        await stand.until(lambda: stand.reading("0.hv_vMon").quality is Quality.BAD)
        assert stand.reading("0.hv_vMon").value is None
        assert stand.state("0") == "LV_OFF"
        await stand.simulator.fault("heal", {})
        await stand.until(lambda: stand.reading("0.hv_vMon").quality is Quality.GOOD)

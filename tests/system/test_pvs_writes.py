"""Puts of the clients of EPICS, aioca (libca) and p4p (PVXS), are commands to a device, and are never shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from p4p.client import thread

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Event, EventKind, decode
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import Hosted
from countingroom.pvs.description import PvsSection
from countingroom.pvs.service import PvService
from countingroom.simulators.ioc import _free_port  # pyright: ignore[reportPrivateUsage]
from countingroom.testing.fake_device import FakeBehaviour, FakeDriver, FakeSupply
from tests.contract.command_servers.device import SupplySection
from tests.patience import PATIENCE_S

_thread: Any = thread
CAPUT = """
import asyncio, json, aioca
async def ask():
    said = []
    puts = (("a:v_set", 5.0), ("a:v_set", 99.0), ("a:v_set", float("nan")), ("a:v_set.HOPR", 99.0), ("a:v_set", "wide"),
            ("temperature", 1.0), ("a:on", 1), ("b:on", 1), ("b:v_set", 1.0))
    for name, value in puts:
        done = await aioca.caput("lab:supply:" + name, value, wait=True, timeout=20, throw=False)
        read = await aioca.caget("lab:supply:" + name.partition(".H")[0], timeout=20)
        said.append([name, bool(done), float(read)])
    await aioca.caput("lab:supply:a:v_set", 77.0, wait=False, timeout=20)
    print(json.dumps(said))
asyncio.run(ask())
"""


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.05)


async def test_puts_are_commands_with_the_rights_of_their_rule() -> None:
    bus, clock, supply = MemoryBus(), SystemClock(), FakeSupply()
    await prepare(bus)
    hosted = Hosted(
        name="supply",
        title="",
        group="",
        driver=FakeDriver(supply),
        behaviour=FakeBehaviour(),
        section=SupplySection.model_validate({"driver": "fake", "poll": 0.2}),
    )
    here = {"hosts": ["127.0.0.1"], "roles": {"device.*": "shifter"}}
    section = PvsSection.model_validate(
        {
            "points": ["*"],
            "write": {
                "voltages": {"points": ["supply.a.v_set", "*.temperature"], **here},
                "of-nemo": {"points": ["supply.a.on"], "users": ["nemo"], **here},
                "elsewhere": {"points": ["supply.b.on"], **here, "hosts": ["10.11.12.13"]},
                "without-rights": {"points": ["supply.b.*"], **here, "roles": {"device.other": "expert"}},
            },
            **{key: _free_port() for key in ("port", "pva_port", "pva_search_port")},
        }
    )
    audit: list[AuditEntry] = []

    async def keep(entry: AuditEntry) -> None:
        audit.append(entry)

    parts = [DeviceHost(bus.client(), clock, [hosted]).run(), PvService(bus, clock, section, "lab", keep).run()]
    tasks = [asyncio.create_task(part) for part in parts]
    conf = {"EPICS_PVA_ADDR_LIST": f"127.0.0.1:{section.pva_search_port}", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
    client = _thread.Context("pva", conf=conf, nt=False)
    said: list[Any] = []
    subscription = client.monitor("lab:supply:a:v_set", said.append)
    try:
        await _until(lambda: bool(said) and said[-1].alarm.severity == 0)
        place = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{section.port}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CAPUT, stdout=asyncio.subprocess.PIPE, env={**os.environ, **place}
        )
        answer, _ = await asked.communicate()
        assert json.loads(answer) == [
            ["a:v_set", True, 5.0],
            *(["a:v_set", False, 5.0], ["a:v_set", False, 5.0], ["a:v_set.HOPR", False, 5.0], ["a:v_set", False, 5.0]),
            *(["temperature", False, 20.0], ["a:on", False, 0.0], ["b:on", False, 0.0], ["b:v_set", False, 0.0]),
        ]
        await _until(lambda: any((one.alarm.severity, one.alarm.message) == (1, "WRITE") for one in said))

        request = "field()record[block=true]"
        await asyncio.to_thread(client.put, "lab:supply:a:v_set", 7.5, request=request)
        with pytest.raises(_thread.RemoteError):
            await asyncio.to_thread(client.put, "lab:supply:a:v_set", 88.0, request=request)
        with pytest.raises(_thread.RemoteError):
            await asyncio.to_thread(client.put, "lab:supply:temperature", 8.0)
        assert supply.writes == [("a.v_set", 5.0), ("a.v_set", 7.5)]
        await _until(lambda: said[-1].value == 7.5)
        assert {one.value for one in said} <= {0.0, 5.0, 7.5}, "a wish is never shown"
        told = [(entry.who, entry.outcome, entry.arguments["value"]) for entry in audit]
        assert told[:3] == [
            *(("pvs.voltages", "accepted", 5.0), ("pvs.voltages", "refused", 99.0)),
            ("pvs.without-rights", "refused", 1.0),
        ]
        assert audit[0].origin == "epics 127.0.0.1" and audit[0].arguments["user"]
        async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            events = [decode(one.data, Event) async for one in stored]
        own = [event for event in events if event.department == "pvs"]
        assert [event.cause.code for event in own if event.cause] == ["out_of_range", "denied"]
        assert sum(event.kind is EventKind.REFUSED for event in events if event.principal == "pvs.voltages") == 4
    finally:
        subscription.close()
        client.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

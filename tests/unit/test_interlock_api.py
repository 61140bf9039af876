"""The API of interlocks on the published states, and its commands to the alarm department."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from msgspec import structs

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.interlocks.events import ActionKind
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryAnswer
from countingroom.core.interlocks.host_state import HostInterlockState, host_key
from countingroom.core.interlocks.states import Bypass, CauseState, InterlockState
from countingroom.core.messages import Command, Reply, decode, encode
from tests.console.stage import served, stage
from tests.patience import PATIENCE_S

CALM = InterlockState(name="gas", title="Gas", proof_due_ns=0)
COOLING = InterlockState(
    name="cooling",
    title="Cooling lost",
    causes=(CauseState(name="warm", bypass=Bypass(by="eva", reason="repair", since_ns=1, until_ns=2)),),
    trip=2,
    tripped_ns=5,
    first_out="pump",
)
ROW = InterlockEntry(time_ns=5, interlock="cooling", kind=ActionKind.TRIP, name="pump", trip=2)


async def test_states_history_and_commands() -> None:
    given: list[tuple[str, dict[str, object]]] = []

    async def take(message: Message) -> bytes:
        command = decode(message.data, Command)
        given.append((command.action, dict(command.arguments)))
        return encode(Reply(id=command.id, accepted=True))

    async def tell(message: Message) -> bytes:
        return encode(InterlockHistoryAnswer(records=(ROW,)))

    async with stage(SystemClock()) as here, AsyncExitStack() as stack:
        host = HostInterlockState(name="cooling", instance="main", boot="b", evaluates=True, state=COOLING)
        await here.bus.put("state", host_key("cooling", "main"), encode(host))
        for state in (CALM, COOLING):
            await here.bus.put("state", subjects.interlock_key(state.name), encode(state))
        _, client = await stack.enter_async_context(served(here))

        async with asyncio.timeout(PATIENCE_S):
            while len((await client.get("/api/v1/interlocks")).json()["interlocks"]) < 2:
                await asyncio.sleep(0.01)
        found = (await client.get("/api/v1/interlocks")).json()
        assert (found["tripped"], found["bypassed"]) == (1, 1)
        assert [one["name"] for one in found["interlocks"]] == ["cooling", "gas"]
        assert [one["is_proof_overdue"] for one in found["interlocks"]] == [False, True]
        one = (await client.get("/api/v1/interlocks/cooling")).json()
        assert one["problem"]["code"] == "unreachable"
        assert [(host["instance"], host["state"]["first_out"]) for host in one["hosts"]] == [("main", "pump")]
        assert (await client.get("/api/v1/interlocks/gas")).json()["hosts"] == []
        assert one["interlock"]["causes"][0]["bypass"]["reason"] == "repair"
        assert (await client.get("/api/v1/interlocks/other")).status_code == 404
        assert (await client.get("/api/v1/interlocks/cooling/history")).status_code == 503
        await stack.enter_async_context(here.bus.respond(subjects.query("alarms", "interlock_history"), tell))
        await stack.enter_async_context(here.bus.respond(subjects.commands_to("alarms", subjects.INTERLOCKS), take))
        one = (await client.get("/api/v1/interlocks/cooling")).json()
        assert one["history"][0]["kind"] == "trip"
        body = {"arguments": {"cause": "warm", "reason": "repair", "seconds": 60}}
        answer = await client.post("/api/v1/interlocks/cooling/commands/bypass", json=body)
        assert answer.status_code == 202
        assert given == [("bypass", {"interlock": "cooling", "cause": "warm", "reason": "repair", "seconds": 60})]
        body = {"arguments": {"reason": "pump exchanged"}}
        assert (await client.post("/api/v1/interlocks/cooling/commands/reset", json=body)).status_code == 202
        assert given[-1] == ("reset", {"interlock": "cooling", "reason": "pump exchanged"})
        assert (await client.post("/api/v1/interlocks/cooling/commands/explode")).status_code == 404
    assert not structs.replace(COOLING, tripped_ns=None).is_tripped

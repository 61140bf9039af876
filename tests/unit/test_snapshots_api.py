"""Snapshots over the API: who may take, restore, mark and delete them, and that a restore writes what its plan said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from countingroom.bus.port import Message
from countingroom.console.auth.requester import Requester
from countingroom.console.snapshots.restorer import STOPS
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.core.policy import Principal
from countingroom.core.snapshots.progress import KEY, PointEnd, Restore, RestoreEnd, RestoreProgress
from tests.console.people import House, house
from tests.console.stage import Stage, served, stage
from tests.patience import PATIENCE_S

GOOD = "/api/v1/snapshots/good"


@pytest.fixture
async def home() -> AsyncGenerator[tuple[Stage, House]]:
    async with stage(SystemClock()) as here, house(here) as found:
        await here.beat("caen", "chiller")
        latest = found.context.latest
        await latest.ready()
        while not all(latest.alive.get(device) for device in ("caen", "chiller")):
            await asyncio.sleep(0.001)
        while not all(found.context.device_rows.living().get(device) for device in ("caen", "chiller")):
            await asyncio.sleep(0.01)
        yield here, found


async def take(program: httpx.AsyncClient, name: str = "good", *points: str) -> httpx.Response:
    body = {"points": list(points or ("caen",)), "reason": "run 42"}
    return await program.post(f"/api/v1/snapshots/{name}/take", json=body)


async def change(here: Stage, home: House, **values: float) -> None:
    """The device says these values, and the console knows them."""
    await here.readings("caen", {name.replace("_", ".", 1): value for name, value in values.items()})
    first, value = next((name.replace("_", ".", 1), value) for name, value in values.items())
    while home.context.latest.readings["caen"][first].value != value:
        await asyncio.sleep(0.001)


async def restored(program: httpx.AsyncClient, id: str) -> Any:
    """A restore at its end."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := (await program.get(f"/api/v1/restores/{id}")).json())["end"] == "running":
            await asyncio.sleep(0.01)
    return found


async def test_what_a_snapshot_holds_is_compared_and_restored_as_its_user(home: tuple[Stage, House]) -> None:
    here, house = home
    sam, vera = await house.program("sam"), await house.program("vera")
    taken = (await take(sam)).json()
    assert (taken["taken_by"], taken["points"], taken["not_present"]) == ("sam", 3, 0)
    assert (await take(sam)).status_code == 409
    await change(here, house, **{"0_hv_setV": 20.0, "1_hv_setV": 5.5})
    compared = (await vera.get(f"{GOOD}/compare")).json()
    assert compared["counts"] == {"differs": 1, "equal": 2}  # 1 V is the tolerance of the confirmation
    assert (compared["rows"][0]["point"], compared["rows"][0]["difference"]) == ("0.hv_setV", 15.0)
    plan = (await sam.get(f"{GOOD}/plan")).json()
    assert [(one["point"], one["old"], one["new"]) for one in plan["writes"]] == [("0.hv_setV", 20.0, 5.0)]
    assert {one["cause"]["code"] for one in plan["left"]} == {"equal"}
    for_vera = (await vera.get(f"{GOOD}/plan")).json()
    assert (for_vera["writes"], for_vera["left"][0]["cause"]["code"]) == ([], "denied")

    wrong = await sam.post(f"{GOOD}/restore", json={"digest": "old", "reason": "r"})
    assert (wrong.status_code, wrong.json()["cause"]["code"]) == (409, "plan_changed")
    refused = await vera.post(f"{GOOD}/restore", json={"digest": for_vera["digest"], "reason": "r"})
    assert refused.json()["cause"]["code"] == "nothing_to_do"
    begun = await sam.post(f"{GOOD}/restore", json={"digest": plan["digest"], "reason": "trip"})
    assert begun.status_code == 202
    end = await restored(sam, begun.json()["id"])
    assert (end["end"], end["by"], end["reason"], end["results"][0]["end"]) == ("done", "sam", "trip", "restored")
    ((subject, command),) = here.asked
    assert subject == "command.sam.devices.caen"
    assert (command.action, command.arguments) == ("set", {"point": "0.hv_setV", "value": 5.0})
    assert command.origin == f"restore {end['id']}"
    told = [(one.who, one.what, one.target) for one in await house.record() if one.origin.startswith("restore")]
    assert told == [("sam", "set", "device.caen")]


async def test_roles_on_the_devices_decide_who_takes_marks_and_deletes(home: tuple[Stage, House]) -> None:
    _, house = home
    vera, sam, carla, eve = [await house.program(name) for name in ("vera", "sam", "carla", "eve")]
    assert (await take(vera)).json()["cause"]["code"] == "denied"
    assert (await take(carla)).status_code == 200  # a shifter of this device alone
    assert (await take(carla, "both", "*")).json()["cause"]["code"] == "denied"
    assert (await take(sam, "none", "magnet")).status_code == 404
    assert (await sam.post(f"{GOOD}/golden", json={"reason": "r"})).status_code == 403
    for user, path, denied in (
        (vera, "/snapshots", {"take", "import"}),
        (sam, "/snapshots", {"import"}),
        (vera, "/snapshots/good", {"restore", "golden", "delete"}),
        (eve, "/snapshots/good", {"delete"}),
        (carla, "/snapshots/good", {"golden"}),
    ):
        _, _, data = (await user.get(path)).text.partition('id="data">')
        assert set(json.loads(data.partition("</script>")[0])["denied"]) == denied, (path, denied)
    marked = (await eve.post(f"{GOOD}/golden", json={"reason": "agreed"})).json()["mark"]
    assert (marked["scope"], marked["marked_by"]) == ("caen", "eve")
    golden = (await vera.get("/api/v1/golden?device=caen")).json()["golden"]
    assert [(one["mark"]["snapshot"], one["differs"], one["compared"]) for one in golden] == [("good", 0, 3)]
    assert (await vera.get("/api/v1/golden?device=chiller")).json()["golden"] == []
    assert (await carla.post(f"{GOOD}/delete", json={"reason": "r"})).status_code == 409  # while it is golden
    await eve.post(f"{GOOD}/golden", json={"golden": False, "reason": "r"})
    assert (await sam.post(f"{GOOD}/delete", json={"reason": "r"})).status_code == 403
    assert (await carla.post(f"{GOOD}/delete", json={"reason": "r"})).status_code == 200


async def test_a_stop_gets_through_and_is_refused_to_a_viewer(home: tuple[Stage, House]) -> None:
    here, house = home
    sam, vera, eve = [await house.program(name) for name in ("sam", "vera", "eve")]
    await take(sam)
    await change(here, house, **{"0_hv_setV": 20.0, "1_hv_setV": 30.0})
    here.outcome = None  # accepted, and then no end
    plan = (await sam.get(f"{GOOD}/plan")).json()
    begun = (await sam.post(f"{GOOD}/restore", json={"digest": plan["digest"], "reason": "r"})).json()["id"]
    while not here.asked:
        await asyncio.sleep(0.001)
    assert (await vera.post(f"/api/v1/restores/{begun}/stop")).status_code == 403
    assert (await eve.post(f"/api/v1/restores/{begun}/stop")).status_code == 200
    end = await restored(sam, begun)
    assert (end["end"], [one["end"] for one in end["results"]]) == ("stopped", ["unknown", "not_tried"])
    assert len(here.asked) == 1


async def test_a_plan_tells_what_a_device_would_refuse_and_which_told_nothing(home: tuple[Stage, House]) -> None:
    here, house = home
    sam = await house.program("sam")
    await take(sam)
    await change(here, house, **{"0_hv_setV": 20.0, "1_hv_setV": 30.0})
    why = Cause(code="manual", message="it is in manual control", suggestion="s", evidence={"point": "0.hv_setV"})
    here.would_refuse = Cause(code="would_refuse", message="1 of 2", suggestion="s", causes=(why,))
    plan = (await sam.get(f"{GOOD}/plan")).json()
    assert [one["point"] for one in plan["writes"]] == ["1.hv_setV"]
    assert [one["cause"]["message"] for one in plan["left"] if one["point"] == "0.hv_setV"] == [why.message]
    assert plan["silent"] == []
    here.would_refuse = Cause(code="not_found", message="caen has no command judge_set", suggestion="s")
    plan = (await sam.get(f"{GOOD}/plan")).json()
    assert [one["point"] for one in plan["writes"]] == ["0.hv_setV", "1.hv_setV"]
    assert plan["silent"] == ["caen"]
    assert here.asked == [], "a question is no command"


async def test_a_stop_needs_no_database_also_in_another_console(home: tuple[Stage, House]) -> None:
    here, house = home
    sam, vera, eve = [await house.program(name) for name in ("sam", "vera", "eve")]
    heard: list[str] = []

    async def restorer(message: Message) -> bytes:
        heard.append(message.subject)
        return encode(Reply(id=decode(message.data, Command).id, accepted=True))

    async def away(id: str) -> Restore:
        raise LinkError("the database is away", source="storage")

    house.context.snapshots.store.restore = away  # type: ignore[method-assign]
    present = RestoreProgress(
        id="r1",
        snapshot="good",
        by="carla",
        devices=("caen",),
        end=RestoreEnd.RUNNING,
        started_ns=1,
        total=1,
        ends=(PointEnd.UNDER_WAY,),
        message="0 of 1 points restored",
    )
    await here.bus.put("state", KEY, encode(present))
    async with here.bus.client().respond(subjects.commands_to(STOPS, "r1"), restorer), asyncio.timeout(PATIENCE_S):
        while KEY not in house.context.latest.words:
            await asyncio.sleep(0.001)
        assert (await vera.post("/api/v1/restores/r1/stop")).status_code == 403
        assert (await eve.post("/api/v1/restores/r1/stop")).status_code == 200
        assert (await sam.post("/api/v1/restores/r2/stop")).status_code == 503
    assert heard == ["command.eve.restores.r1"]


async def test_rights_that_end_meanwhile_end_the_restore(home: tuple[Stage, House]) -> None:
    here, house = home
    sam = await house.program("sam")
    await take(sam)
    await change(here, house, **{"0_hv_setV": 20.0, "1_hv_setV": 30.0})
    plan = (await sam.get(f"{GOOD}/plan")).json()
    permit = house.context.sessions.rights

    async def disabled_after_the_first(requester: Requester) -> Principal:
        found = await permit(requester)
        await house.database.users.disable("sam", True, "adam")
        return found

    house.context.sessions.rights = disabled_after_the_first  # type: ignore[method-assign]
    begun = (await sam.post(f"{GOOD}/restore", json={"digest": plan["digest"], "reason": "r"})).json()["id"]
    end = await restored(await house.program("eve"), begun)
    assert [one["end"] for one in end["results"]] == ["restored", "refused"]
    assert end["results"][1]["cause"]["code"] == "login_over"
    assert len(here.asked) == 1


async def test_a_file_brings_a_snapshot_to_another_name(home: tuple[Stage, House]) -> None:
    _, house = home
    sam, eve = await house.program("sam"), await house.program("eve")
    await take(sam)
    document = (await sam.get(f"{GOOD}/export")).text
    assert document.startswith("format: ")
    assert (await sam.post("/api/v1/snapshots/import", json={"document": document})).status_code == 403
    made = (await eve.post("/api/v1/snapshots/import", json={"document": document, "name": "copy"})).json()
    assert (made["name"], made["taken_by"], made["imported_by"]) == ("copy", "sam", "eve")
    assert (await eve.get("/api/v1/snapshots/copy/compare?with=good")).json()["counts"] == {"equal": 3}
    broken = await eve.post("/api/v1/snapshots/import", json={"document": "format: other"})
    assert (broken.status_code, broken.json()["cause"]["code"]) == (422, "invalid")


async def test_pages_show_it_and_without_a_database_they_say_so() -> None:
    async with stage(SystemClock()) as here, served(here) as (_, client):
        assert (await client.get("/snapshots")).status_code == 200
        assert (await client.get("/api/v1/snapshots")).json()["cause"]["code"] == "no_database"

"""The pages of the fleet say what a role may not do, and are there for what is there alone."""

from __future__ import annotations

import asyncio
import json

from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState, node_key, service_key
from countingroom.core.messages import encode
from tests.console.people import house
from tests.console.runs_stage import partition
from tests.console.stage import stage

EXPERTS = {"apply", "rollback", "resume", "drain", "reboot", "disable", "enable"}
SHIFTERS = {"restart", "talk", "stop_talk", "cordon", "uncordon", "halt"}


async def test_pages_show_what_is_there_and_say_what_a_role_may_not_do() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        latest = home.context.latest
        await latest.ready()
        vera, sam, eve = [await home.program(name) for name in ("vera", "sam", "eve")]
        empty = (await eve.get("/fleet")).text
        assert "There is no fleet." in empty and 'href="/fleet"' not in empty
        for key, state in (
            (service_key("camera"), ServiceState(service="camera", title="</script><b>")),
            (node_key("n1"), NodeState(node="n1")),
            (FLEET_KEY, FleetState(revision=1)),
        ):
            await here.bus.put(subjects.STATE_BUCKET, key, encode(state))
        while FLEET_KEY not in latest.words:
            await asyncio.sleep(0.001)
        assert 'href="/fleet"' in (await eve.get("/")).text
        shown = {
            "/fleet": {FLEET_KEY, "node.n1", "service.camera"},
            "/services/camera": {FLEET_KEY, "service.camera"},
            "/nodes/n1": {FLEET_KEY, "node.n1"},
        }
        for path, keys in shown.items():
            for user, denied in ((vera, EXPERTS | SHIFTERS), (sam, EXPERTS), (eve, set[str]())):
                answer = await user.get(path)
                assert answer.status_code == 200 and "</script><b>" not in answer.text
                data = json.loads(answer.text.partition('id="data">')[2].partition("</script>")[0])
                assert set(data["denied"]) == denied, path
                assert set(data["fleet"]) == keys
        for path in ("/services/none", "/nodes/none"):
            assert (await eve.get(path, headers={"accept": "text/html"})).status_code == 404


async def test_a_system_leads_to_the_service_of_its_agent_and_back() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        latest = home.context.latest
        await latest.ready()
        eve = await home.program("eve")
        for key, state in (
            (subjects.partition_key("mCBM"), partition()),
            (service_key("agents-STS"), ServiceState(service="agents-STS", runs="system.STS")),
            (service_key("hosts"), ServiceState(service="hosts", runs="role.devices")),
        ):
            await here.bus.put(subjects.STATE_BUCKET, key, encode(state))
        while service_key("hosts") not in latest.words:
            await asyncio.sleep(0.001)
        assert '<a href="/services/agents-STS"' in (await eve.get("/partitions/mCBM")).text
        for service, partitions in (("agents-STS", ["mCBM"]), ("hosts", [])):
            text = (await eve.get(f"/services/{service}")).text
            data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
            assert data["partitions"] == partitions

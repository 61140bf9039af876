"""The programs that test_grabber_killed.py kills: `farm PORT` is the upstream, `grabber URL STORE` reads it."""

from __future__ import annotations

import asyncio
import sys

from countingroom.core.clock import SystemClock
from countingroom.mirror.grabber import redaction_pool
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess
from countingroom.mirror.grabber.service import GrabberService, UpstreamPlan
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicRetention
from countingroom.simulators.dqm import DqmSimulator
from countingroom.simulators.dqm_farm import Farm
from tests.grabber_stand import redactor

RUNS = 5
RETENTION = PublicRetention(age_us=10**17, documents=10**6, records=10**6)


def made_farm() -> Farm:
    """The same at each start, as the database of an upstream outlives it."""
    farm = Farm(clients=60, log_bytes=600, seed=7)
    for number in range(RUNS):
        farm.begin_run(1_790_000_000.0 + 100 * number)
        farm.go_on(1_790_000_050.0 + 100 * number)
    return farm


async def serve(port: int) -> None:
    simulator = DqmSimulator({"port": port, "lumi_s": 3600})
    simulator.farm = made_farm()
    await simulator.start()
    await asyncio.Event().wait()


async def grab(url: str, address: str) -> None:
    # Each batch goes through the processes, which are killed with their grabber.
    redaction_pool.LEAST_DOCUMENTS = redaction_pool.PAYS_FROM = 1
    rules = redactor()
    access = UpstreamAccess(name="farm", url=url, port=9215, timeout_s=10)
    hosts = tuple(made_farm().computers)
    link = HttpLink(access)
    plan = UpstreamPlan(name="farm", set="production", link=link, hosts=hosts, every_s=0.2, longest_pause_s=1.0)
    store = PublicStore(address, SystemClock())
    await GrabberService(store, SystemClock(), [plan], lambda: rules, RETENTION).run(lambda: None)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[2])) if sys.argv[1] == "farm" else grab(sys.argv[2], sys.argv[3]))

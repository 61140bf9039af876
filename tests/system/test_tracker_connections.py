"""The adapter of the tracker DCS at the ends of connections: retained commands, a broker that ends, a stand-by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.mqtt.broker import BrokerPlace, connected
from countingroom.mqtt.messages import Incoming, Publication
from tests.contract.drivers.mqtt import Mosquitto
from tests.patience import PATIENCE_S
from tests.system.tracker_stand import PASSWORD, tracker_stand


@pytest.mark.parametrize("kind", ["mosquitto", "builtin"])
async def test_a_retained_command_is_refused_and_a_standby_takes_over(
    kind: str, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    if kind == "mosquitto":
        needs("mosquitto")
    async with tracker_stand(kind, tmp_path, before=[("dcs/cmd/switch/lv", "on")]) as stand:
        error = await stand.said("dcs/error", lambda one: one["code"] == "retained")
        assert error["topic"] == "dcs/cmd/switch/lv"
        since = len(stand.came)
        stand.lines["caen"].set({"0.lv_vMon": 3.0})
        await stand.said("dcs/channels", lambda one: one["lv_vMon"] == 3.0, since)
        assert len([one for one in stand.of("dcs/channels", since) if one["lv_vMon"] == 3.0]) == 1
        since = len(stand.came)
        assert stand.active
        stand.active.cancel()
        await stand.said("dcs/status", lambda one: one["fsm_state"] == "DISCONNECTED", since)
        await stand.said("dcs/status", lambda one: one["fsm_state"] == "LV_OFF", since)
        told = await stand.said("dcs/channels", lambda one: one["lv_vMon"] == 3.0, since)
        assert told["fsm_state"] == "LV_OFF"
        assert stand.lines["caen"].written == []


async def test_a_broker_that_ends_is_noticed_and_another_connection_is_made(needs: Callable[[str], str]) -> None:
    needs("mosquitto")
    broker = Mosquitto(user="tracker-dcs", password=PASSWORD)
    await broker.start()
    place = BrokerPlace(host="127.0.0.1", port=broker.port, user="tracker-dcs", password=lambda: PASSWORD)
    came: list[Incoming] = []
    try:
        async with connected(place, ["dcs/cmd/#"], None) as session:
            receiving = asyncio.create_task(session.receive(came.append))
            await session.publish(Publication(topic="dcs/cmd/clear", payload=b"x" * 5000))
            while not came:
                await SystemClock().sleep(0.005)
            assert len(came[0].payload) == 1025  # so much that it is seen to be too long
            await broker.stop()
            with pytest.raises(LinkError, match="no connection to the broker"):
                await receiving
        with pytest.raises(LinkError):
            async with connected(place, [], None):
                pass
        await broker.start()
        async with connected(place, [], None) as session:
            await session.publish(Publication(topic="dcs/status", payload=b"{}"))
    finally:
        await broker.end()


async def test_no_message_of_a_flood_is_lost(needs: Callable[[str], str]) -> None:
    needs("mosquitto")
    broker = Mosquitto(user="tracker-dcs", password=PASSWORD)
    await broker.start()
    place = BrokerPlace(host="127.0.0.1", port=broker.port, user="tracker-dcs", password=lambda: PASSWORD)
    came: list[Incoming] = []
    try:
        async with connected(place, ["dcs/cmd/#"], None) as session:
            receiving = asyncio.create_task(session.receive(came.append))
            flood = [Publication(topic="dcs/cmd/refresh", payload=b"%d" % number) for number in range(900)]
            async with asyncio.TaskGroup() as group:  # all at once
                for message in (*flood, Publication(topic="dcs/cmd/switch/hv", payload=b"off")):
                    group.create_task(session.publish(message))
            async with asyncio.timeout(PATIENCE_S):
                while len(came) <= len(flood):
                    await SystemClock().sleep(0.005)
            receiving.cancel()
    finally:
        await broker.end()
    assert len(came) == len(flood) + 1 and b"off" in [one.payload for one in came]


async def test_a_wrong_password_is_a_link_error_with_a_suggestion(needs: Callable[[str], str]) -> None:
    needs("mosquitto")
    broker = Mosquitto(user="tracker-dcs", password=PASSWORD)
    await broker.start()
    try:
        place = BrokerPlace(host="127.0.0.1", port=broker.port, user="tracker-dcs", password=lambda: "wrong")
        with pytest.raises(LinkError) as refused:
            async with connected(place, [], None):
                pass
        assert "accepts this user" in refused.value.cause.suggestion
    finally:
        await broker.end()

"""Simulated sensor boards that publish to an MQTT broker: their own, or the one of the parameters.

Their own broker (mqtt_broker.py) is a part of this process. A nats-server in its place took 6 MiB for each simulated
device, and most of the processor time of the simulators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiomqtt import Client, MqttError

from countingroom.core.clock import Clock, SystemClock, cancellation_kept
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.air import Air
from countingroom.simulators.arguments import number, text
from countingroom.simulators.own_broker import PASSWORD_FILE, PORT_FILE, OwnBroker
from countingroom.simulators.sensor_topics import Outlet, outlets, plain_boards

__all__ = ["PASSWORD_FILE", "PORT_FILE", "SensorSimulator"]

_USER = "sensors"
_AGAIN_S = 0.2
_ANSWER_S = 2.0
_DAY_NS = 86_400_000_000_000
_SENSOR = Parameter(name="sensor", type=Type.STRING)


class SensorSimulator:
    """Boards ESP01 and ESP02, or those of a section, and the broker they publish to."""

    faults = (
        CommandSpec(name="drop", description="the broker stops"),
        CommandSpec(name="freeze", description="no board publishes; the broker stays"),
        CommandSpec(name="silence", description="one board stops publishing", parameters=(_SENSOR,)),
        CommandSpec(name="nan", description="one board publishes nan", parameters=(_SENSOR,)),
        CommandSpec(name="garbage", description="one board publishes nonsense", parameters=(_SENSOR,)),
        CommandSpec(
            name="slow",
            description="publish that seldom",
            parameters=(Parameter(name="seconds", unit="s", low=0.0, high=600.0),),
        ),
        CommandSpec(name="restore", description="end every fault"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None, seed: int = 1) -> None:
        """`broker`: host, port, user and password of one that is there already; `period_s` between two rounds."""
        self._clock = clock or SystemClock()
        self._outlets = outlets(parameters)
        self._settable = {outlet.set_topic: outlet for outlet in self._outlets if outlet.set_topic}
        self._boards = plain_boards(parameters)
        self._air = {outlet.board: Air(outlet.board, seed=seed) for outlet in self._outlets}
        self._period_s = self._usual_s = float(parameters.get("period_s", 1.0))
        self._frozen = False
        self._ending = False
        """In addition to the cancellation, which `asyncio.wait_for` of the client may lose before Python 3.12."""
        self._says: dict[str, str | None] = {}
        """Board -> what it publishes in place of its values; None: nothing."""
        self._set: dict[tuple[str, str], str] = {}
        """Board and value -> its setpoint."""
        self.taken = 0
        """Setpoints that the boards have taken."""
        self._broker: Mapping[str, Any] | None = parameters.get("broker")
        self._again: Mapping[str, Any] = parameters.get("again") or {}
        self._own: OwnBroker | None = None
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        if self._broker is None:
            self._own = OwnBroker(_USER, self._receive_here, self._again)
            where = await self._own.start()
            self._life = asyncio.create_task(self._publish(self._publish_here))
        else:
            where = self._broker
            self._life = asyncio.create_task(self._live(where))
        told = {"host": where["host"], "port": where["port"], "user": where.get("user", "")}
        told |= {"password_file": str(where.get("password_file", "")), "password_env": "", "tls_ca": ""}
        told |= {"version": "3.1.1", "transport": "tcp"}
        return told | ({"sensors": self._boards} if self._boards else {})

    async def stop(self) -> None:
        self._ending = True
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        if self._own is not None:
            await self._own.stop()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "drop" if self._own is not None:
                await self._own.broker.close()
            case "freeze":
                self._frozen = True
            case "silence" | "nan" | "garbage":
                says = {"silence": None, "nan": "nan", "garbage": "#?@"}[name]
                self._says[self._board(arguments)] = says
            case "slow":
                self._period_s = max(self._usual_s, number(arguments, "seconds"))
            case "restore":
                self._frozen = False
                self._period_s = self._usual_s
                self._says.clear()
                if self._own is not None:
                    await self._own.broker.open()
            case _:
                raise NotFound(f"simulated sensors have no fault {name}")

    def _board(self, arguments: Mapping[str, Scalar]) -> str:
        board = text(arguments, "sensor")
        if board not in self._air:
            raise NotFound(f"there is no board {board}", suggestion=f"choose one of {', '.join(self._air)}")
        return board

    async def _publish_here(self, topic: str, payload: str) -> None:
        if self._own is not None:
            self._own.broker.publish(topic, payload.encode())

    def _receive_here(self, topic: str, payload: bytes) -> None:
        for answer in self._told_by(self._settable.get(topic), payload):
            if self._own is not None:
                self._own.broker.publish(answer.topic, answer.payload(self._set[answer.board, answer.value]).encode())

    async def _live(self, where: Mapping[str, Any]) -> None:
        password = _password(where)
        while not self._ending:
            with suppress(MqttError):
                async with Client(
                    where["host"],
                    where["port"],
                    username=where.get("user") or None,
                    password=password,
                    timeout=_ANSWER_S,
                ) as client:
                    await self._serve(client)
            await self._clock.sleep(_AGAIN_S)

    async def _serve(self, client: Client) -> None:
        """Publish, and take setpoints, until the connection is lost."""
        for topic in self._settable:
            with cancellation_kept():
                await client.subscribe(topic, qos=1)
        taking = asyncio.create_task(self._take_setpoints(client))
        try:
            await self._publish(client.publish)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take_setpoints(self, client: Client) -> None:
        async for message in client.messages:
            for answer in self._told_by(self._settable.get(str(message.topic)), bytes(message.payload)):
                with cancellation_kept():
                    await client.publish(answer.topic, answer.payload(self._set[answer.board, answer.value]))

    def _told_by(self, outlet: Outlet | None, payload: bytes) -> list[Outlet]:
        """Take a setpoint; what the board publishes at once. A frozen or silent one neither takes nor tells
        anything."""
        if outlet is None or self._frozen or outlet.board in self._says:
            return []
        value = outlet.setpoint(payload.decode(errors="replace"))
        if value is None:
            return []
        self.taken += 1
        self._set |= {(outlet.board, name): value for name in outlet.sets}
        return [one for one in self._outlets if one.board == outlet.board and one.value in outlet.sets]

    async def _publish(self, send: Callable[[str, str], Awaitable[None]]) -> None:
        while not self._ending:
            seconds = self._clock.now_ns() % _DAY_NS / 1e9
            said = {} if self._frozen else {outlet: self._said(outlet, seconds) for outlet in self._outlets}
            # At once, as a board does: one after the other each value became a message of readings of its own.
            await asyncio.gather(
                *(send(outlet.topic, outlet.payload(value)) for outlet, value in said.items() if value is not None)
            )
            await self._clock.sleep(self._period_s)

    def _said(self, outlet: Outlet, seconds: float) -> float | str | None:
        if outlet.board in self._says:
            return self._says[outlet.board]
        if outlet.first is not None:
            return self._set.get((outlet.board, outlet.value), outlet.first)
        return self._air[outlet.board].measure(outlet.quantity, seconds)


def _password(where: Mapping[str, Any]) -> str | None:
    secret = where.get("password_file")
    return Path(secret).read_text().partition("\n")[0] if secret else where.get("password")

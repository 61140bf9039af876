"""The driver of a switchbox on an MQTT broker: its status comes by itself, and is asked for at each poll.

The connection is that of the driver of MQTT boards, with one value: the text of the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from countingroom.core.clock import timeout
from countingroom.core.errors import LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection, SensorValue
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.drivers.switchbox import codec
from countingroom.devices.drivers.switchbox.description import SwitchboxMqtt
from countingroom.devices.port import Sample, Sink

_TEXT = "status"
_MOST_UNANSWERED = 5
"""Polls after the connection before a box that has sent no status counts as silent."""


class MqttSwitchbox:
    """A switchbox on a broker. A ProvingDriver, although it proves no value: each status is a new sample of all."""

    def __init__(self, where: SwitchboxMqtt, *, timeout_s: float, points: tuple[Point, ...]) -> None:
        self.points = points
        self._boards = MqttSensorsDriver(board_section(where, timeout_s))
        self._timeout_s = timeout_s
        self._latest: dict[str, Sample] = {}
        self._sink: Sink = lambda samples: None
        self._awaited: set[asyncio.Future[None]] = set()
        """The writes that wait for the next status."""
        self._unanswered = 0
        """Polls since the connection, until the first status."""
        self._boards.monitor(self._take)

    @property
    def thinned(self) -> int:
        """Messages that found no room in the queue."""
        return self._boards.thinned

    def monitor(self, sink: Sink) -> None:
        """Pass every status to the sink."""
        self._sink = sink

    async def connect(self) -> None:
        """Connect to the broker, subscribe, and ask for the status."""
        self._latest.clear()
        self._unanswered = 0
        await self._boards.connect()
        await self._ask()

    async def read(self) -> Sequence[Sample]:
        """The last status; LinkError when there is no connection."""
        await self._boards.read()
        return list(self._latest.values())

    async def prove(self) -> Collection[str]:
        """Ask for the status. The answer is a sample of every point, so no older one needs a proof."""
        if not self._latest:  # afterwards its values become STALE by their age
            self._unanswered += 1
            if self._unanswered > _MOST_UNANSWERED:
                self._sink(codec.bad("the box sends no status"))
        await self._ask()
        return ()

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Publish a command, ask for the status after it, and wait for one: an older one must not confirm the command.
        OutOfRange for a command that the box does not have; LinkError where it sends no status."""
        text = codec.request(point, value)
        await self._boards.write(_TEXT, text)
        status: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.add(status)
        try:
            await self._ask()
            async with timeout(self._timeout_s):
                await status
        except TimeoutError:
            raise LinkError(
                f"the box sent no status within {self._timeout_s:g} s after {text}, which may have taken effect",
                code="silent",
                suggestion="look at the box itself",
            ) from None
        finally:
            self._awaited.discard(status)

    async def close(self) -> None:
        """End the connection."""
        await self._boards.close()
        self._latest.clear()

    async def _ask(self) -> None:
        await self._boards.write(_TEXT, codec.STATUS)

    def _take(self, samples: Sequence[Sample]) -> None:
        for one in samples:
            found = _translated(one)
            self._latest.update({sample.point: sample for sample in found})
            self._sink(found)
            if one.quality is not Quality.STALE:
                for status in self._awaited:
                    if not status.done():
                        status.set_result(None)


def board_section(where: SwitchboxMqtt, timeout_s: float) -> MqttSensorsSection:
    """The same broker, as that of a board with one text."""
    keys = where.model_dump(exclude={"command_topic", "status_topic"})
    text = SensorValue(topic=where.status_topic, type="string", set_topic=where.command_topic)
    return MqttSensorsSection(driver="mqtt", timeout=timeout_s, values={_TEXT: text}, **keys)


def _translated(one: Sample) -> list[Sample]:
    if one.quality is Quality.STALE:
        return codec.stale()
    if one.quality is Quality.BAD or not isinstance(one.value, str):
        return codec.bad(one.reason or "the status is no text")
    # A retained status may be old: it is UNCERTAIN until the box has answered.
    return codec.samples(one.value, quality=one.quality)

"""The events in the data folder of an experiment that does not run.

They are in the store of the embedded bus server, which only that server reads. So it is started on a copy of the
stream of events: the data folder stays as it is.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.server.configuration import ACCOUNT
from countingroom.bus.server.credentials import bus_folder
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.messages import Event, Malformed, MessageDecoder
from countingroom.core.temporary_folder import TemporaryFolder

_events = MessageDecoder(Event)


def has_events(data: Path) -> bool:
    """Whether the folder has a stream of events. It has none where the bus is a server of the site."""
    return _stream(bus_folder(data)).is_dir()


def stored_events(data: Path, begin_ns: int, end_ns: int) -> list[Event]:
    """The events of [begin_ns, end_ns), in the order in which they were stored; none where there is no stream of them.
    LinkError or ConfigurationError where the server cannot be started on the copy."""
    stream = _stream(bus_folder(data))
    if not stream.is_dir():
        return []
    folder = TemporaryFolder("events")
    try:
        copy = folder.path / "bus"
        shutil.copytree(stream, _stream(copy))
        return asyncio.run(_read(copy, begin_ns, end_ns))
    finally:
        folder.remove()


def _stream(bus: Path) -> Path:
    return bus / "store" / "jetstream" / ACCOUNT / "streams" / subjects.EVENTS_STREAM


async def _read(bus_data: Path, begin_ns: int, end_ns: int) -> list[Event]:
    server = EmbeddedServer(bus_data, description=BusSection())
    await server.start()
    try:
        bus = await nats.connect(server.url, name="replay", login=server.login)
        try:
            found: list[Event] = []
            async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
                async for message in stored:
                    try:
                        event = _events.decode(message.data)
                    except Malformed:
                        continue  # of a later version
                    if begin_ns <= event.time_ns < end_ns:
                        found.append(event)
            return found
        finally:
            await bus.close()
    finally:
        await server.stop()

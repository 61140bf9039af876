"""A replay of a data folder reads the events in it, and leaves the folder as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.cli.main import run
from countingroom.core import subjects
from countingroom.core.messages import Event, EventKind, Readings, encode
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position

S = 1_000_000_000
T0 = 1_790_000_000 * S
DESCRIPTION = """
experiment: {name: bench}
devices: {chiller: {driver: julabo, port: /dev/ttyUSB0}}
alarms:
  rules:
    after_start:
      title: After a start
      reason: a test
      when: {event: {department: runs, action: start, kind: done}}
      do: [{log: a run began}]
  interlocks:
    cooling:
      title: Cooling lost
      causes: {warm: {inputs: [{limit: {point: chiller.internal_temp, alarm_high: 30}}], on_delay: 5 s}}
      effects: {"off": {commands: [{device: chiller, command: "off"}]}}
      matrix: {warm: ["off"]}
"""


def event(at_s: int, department: str, source: str, **more: object) -> Event:
    given = {"id": f"{department}{at_s}", "time_ns": T0 + at_s * S, "message": "-", "kind": EventKind.STATE, **more}
    return Event(department=department, source=source, **given)  # type: ignore[arg-type]


EVENTS = (
    event(50, "runs", "mCBM", kind=EventKind.DONE, action="start"),
    event(60, "devices", "chiller", before="ON", after="ERROR"),
    event(250, "alarms", "cooling", action="interlock_reset", principal="anna", data={"name": "", "trip": 1}),
    event(5000, "runs", "mCBM", kind=EventKind.DONE, action="start"),
)


async def store(folder: Path, events: Sequence[Event]) -> None:
    server = EmbeddedServer(folder, description=BusSection())
    await server.start()
    bus = await nats.connect(server.url, name="test", login=server.login)
    await prepare(bus, max_bytes=1 << 26)
    for one in events:
        await bus.append(subjects.event(one.department, one.source), encode(one))
    await bus.close()
    await server.stop()


def reading(number: int) -> Readings:
    now_ns = T0 + number * 10 * S
    return Readings(
        device="chiller",
        boot="b",
        sequence=number + 1,
        full=False,
        sent_ns=now_ns,
        points=["internal_temp"],
        values=[20.0 if number % 20 < 10 else 31.0],
        qualities=[0],
        device_ns=[now_ns],
        received_ns=[now_ns],
    )


def test_a_data_folder_is_replayed_with_its_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    asyncio.run(store(data / "bus", EVENTS))
    history = DuckStore(data / "history" / "history.duckdb")
    history.append(flatten([reading(number) for number in range(100)]), Position(sequence=1, stored_ns=1))
    history.close()
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION)
    before = {one: one.read_bytes() for one in data.rglob("*") if one.is_file()}
    given = ["rules", "replay", "--from", str(T0), "--to", str(T0 + 1000 * S), "--description", str(file)]
    assert run([*given, "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one: one.read_bytes() for one in data.rglob("*") if one.is_file()} == before
    (rule,) = found["rules"]
    assert [((one["time_ns"] - T0) / S, one["kind"]) for one in rule["replayed"]] == [(50, "fired")]
    (interlock,) = found["interlocks"]
    told = [((one["time_ns"] - T0) / S, one["kind"]) for one in interlock["replayed"]]
    # The reset comes at 250 s, when the bath is cold again; then it trips anew.
    assert told[:4] == [(105, "trip"), (105, "act"), (250, "reset"), (250, "release")]
    assert (305, "trip") in told
    assert "device.chiller.state" in {one["alarm"] for one in found["alarms"]}

"""Rules of the section `pvs`: access security of EPICS, what a put becomes, and what `check` tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from countingroom.app import bus_users
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.streams import prepare
from countingroom.cli.check_devices import build_devices
from countingroom.cli.check_pvs import pvs_problems, pvs_warnings
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.messages import Catalogue, Command, Event, Readings, Reply, decode, encode
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality
from countingroom.experiment import load_with_problems
from countingroom.pvs.access import READ_ONLY, Access
from countingroom.pvs.description import PvsSection
from countingroom.pvs.table import INVALID, MINOR, PvTable
from countingroom.pvs.wire import PvEnd, PvPut
from countingroom.pvs.writer import PvWriter
from countingroom.testing.clock import FakeClock

HERE: dict[str, Any] = {"hosts": ["10.0.0.5", "control.example"], "roles": {"device.psu": "shifter"}}
RULES: dict[str, Any] = {
    "desk": {"points": ["psu.*"], **HERE, "users": ["op"]},
    "all": {"points": ["*"], **HERE, "hosts": ["*"]},
}
POINTS = (
    Point(name="v", unit="V", writable=True, confirm_s=1.0),
    Point(name="mode", type=Type.INT, codes={"0": "off", "1": "on"}, writable=True, dangerous=True),
    Point(name="t"),
    Point(name="start", type=Type.BOOL, writable=True, command_only=True),
)


def _table(access: Access) -> PvTable:
    table = PvTable("lab", "{experiment}:{device}:{point}", ["*"], access)
    table.catalogue("psu", Catalogue(device="psu", title="", driver="fake", group="", points=POINTS))
    return table


def test_nothing_can_be_written_without_a_rule_and_the_first_rule_counts() -> None:
    assert Access({}).text() == READ_ONLY
    assert {record.access for record in _table(Access({})).records()} == {""}
    access = Access(PvsSection(write=RULES).rules)
    assert access.text() == READ_ONLY + (
        'HAG(write0_hosts) { "10.0.0.5", "control.example" }\nUAG(write0_users) { "op" }\n'
        "ASG(write0) { RULE(1, READ) RULE(0, WRITE, TRAPWRITE) { HAG(write0_hosts) UAG(write0_users) } }\n"
        "ASG(write1) { RULE(1, READ) RULE(0, WRITE, TRAPWRITE) }\n"
    )
    groups = {record.name: record.access for record in _table(access).records()}
    assert groups == {"lab:psu:v": "write0", "lab:psu:mode": "write0", "lab:psu:t": ""}
    assert access.principal("desk").name == "pvs.desk" and PvsSection(write=RULES).principals == ["pvs.desk", "pvs.all"]


@pytest.mark.parametrize(
    "wrong",
    [{"hosts": []}, {"hosts": ['a" }']}, {"users": ['x"']}, {"users": ["a b"]}, {"points": []}, {"roles": {}}],
)
def test_a_rule_that_would_open_more_than_it_says_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PvsSection.model_validate({"write": {"desk": {**RULES["desk"], **wrong}}})


def test_the_alarm_of_a_refused_put_is_shown_for_a_while() -> None:
    table = _table(Access(PvsSection(write=RULES).rules))
    table.records()
    assert not table.refused("lab:psu:v"), "it has no value yet"
    table.readings(
        Readings(
            device="psu",
            boot="b",
            sequence=1,
            full=True,
            sent_ns=1,
            points=["v"],
            values=[1.5],
            qualities=[int(Quality.GOOD)],
            device_ns=[1],
            received_ns=[1],
        )
    )
    table.take_waiting()
    assert table.refused("lab:psu:v")
    assert [(row.value, row.severity, row.status) for row in table.take_waiting()] == [(None, MINOR, 2)]
    assert table.shown_again("lab:psu:v", 1)
    assert [(row.value, row.severity) for row in table.take_waiting()] == [(1.5, 0)]
    table.leave(["psu"], 1)
    table.take_waiting()
    table.shown_again("lab:psu:v", 1)
    assert [row.severity for row in table.take_waiting()] == [INVALID]


class Stand:
    """A writer, and a device host that accepts all and ends nothing."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock).client()
        self.got: list[Command] = []
        self.ends: list[PvEnd] = []
        self.audit: list[AuditEntry] = []
        self.events: list[Event] = []
        self.access = Access(PvsSection(write=RULES).rules)
        self.table = _table(self.access)
        self.table.records()
        self.writer = PvWriter(
            self.bus,
            self.clock,
            find=self.table.writable,
            principal=self.access.principal,
            audit=self.keep,
            ended=lambda name, end: self.ends.append(end),
        )

    async def keep(self, entry: AuditEntry) -> None:
        self.audit.append(entry)

    async def answer(self, message: Message) -> bytes:
        self.got.append(decode(message.data, Command))
        return encode(Reply(id=self.got[-1].id, accepted=True))

    def put(self, id: int, name: str, value: float | str | None, *, age_s: float = 0.0, **more: bool) -> None:
        time_s = self.clock.now_ns() / 1e9 - age_s
        self.writer.take(PvPut(id=id, name=name, value=value, user="op", host="10.0.0.5", time_s=time_s, **more))


async def test_a_put_is_a_command_of_its_principal_or_refused_with_its_cause() -> None:
    stand = Stand()
    await prepare(stand.bus)
    async with (
        stand.bus.respond(subjects.command("pvs.desk", "devices", "psu"), stand.answer),
        stand.bus.subscribe(subjects.events_of("pvs"), limit=100) as events,
    ):
        run = asyncio.create_task(stand.writer.run())
        stand.put(1, "lab:psu:v", 5.0)
        stand.put(2, "lab:psu:mode", 1.0)
        stand.put(3, "lab:psu:mode", 1)
        stand.put(4, "lab:psu:v", None)
        stand.put(5, "lab:psu:v", 5.0, age_s=6.0)
        stand.put(6, "lab:psu:v", 5.0, is_early=True)
        stand.put(7, "lab:psu:t", 5.0)
        stand.put(8, "lab:psu:v", 6.0, waits=True)
        await stand.clock.advance(0.1)
        assert {end.id: end.is_done for end in stand.ends} == {1: True} | dict.fromkeys(range(2, 8), False)
        assert [(one.action, one.arguments["value"], one.origin) for one in stand.got] == [
            *(("set", 5.0, "epics"), ("set", 6.0, "epics"))
        ]
        codes: set[str] = set()
        for _ in range(6):
            event = decode((await anext(events)).data, Event)
            codes.add(event.cause.code if event.cause else "")
        assert codes == {"out_of_range", "denied", "too_late", "busy", "not_found"}
        assert [entry.outcome for entry in stand.audit] == ["refused", "accepted", "accepted"]
        for _ in range(12):
            await stand.clock.advance(1.0)
        assert stand.ends[-1] == PvEnd(8, False), "its end did not come in time"
        run.cancel()
        await asyncio.wait([run])


def _checked(tmp_path: Path, write: dict[str, Any], **section: Any) -> tuple[list[str], list[str]]:
    file = tmp_path / "experiment.yaml"
    limits = {"write_low": 0, "write_high": 9}
    values = {"v": {"query": "V?", "set": "V {value}", **limits}, "t": {"query": "T?"}}
    devices = {"psu": {"driver": "text", "port": "socket://h:1", "values": values}}
    file.write_text(
        yaml.safe_dump(
            {"experiment": {"name": "lab"}, "devices": devices, "pvs": {"points": ["*.v"], **section, "write": write}}
        )
    )
    loaded = load_with_problems(file)
    hosted, found = build_devices(loaded)
    assert (*found, *loaded.problems) == ()
    told = [f"{problem.path}: {problem.message}" for problem in pvs_problems(loaded, hosted)]
    sends = {one.name: one for one in bus_users.users(loaded.experiment)}["pvs"]
    assert "command.pvs=desk.devices.*" in str(sends)
    return told, [f"{problem.path}: {problem.message}" for problem in pvs_warnings(loaded)]


def test_check_tells_rules_that_do_nothing_and_those_that_open_to_all(tmp_path: Path) -> None:
    right = {"points": ["psu.v"], **HERE}
    assert _checked(tmp_path, {"desk": right}) == ([], [])
    for points, told in (("psu.w", "no point fits psu.w"), ("psu.t", "can be written, as psu.t")):
        ((message,), _) = _checked(tmp_path, {"desk": {**right, "points": ["psu.v", points]}})
        assert told in message and "points" in message
    ((message,), _) = _checked(tmp_path, {"desk": {**right, "roles": {"device.*": "viewer"}}})
    assert "psu.v could not be written: pvs.desk is viewer" in message and "roles" in message
    ((message,), _) = _checked(tmp_path, {"desk": right}, points=["*.t"])
    assert "is served: add it to pvs.points" in message
    _, (message,) = _checked(tmp_path, {"desk": {**right, "hosts": ["*"]}}, interface="0.0.0.0")
    assert "every program of the network" in message

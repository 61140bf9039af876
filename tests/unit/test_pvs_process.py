"""The process with the server of EPICS takes its values for old when nothing comes from the role `pvs` any more."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from countingroom.core.errors import LinkError
from countingroom.pvs import server
from countingroom.pvs.ioc_process import answered, batches_of, lines_of
from countingroom.pvs.table import INVALID, PvRow
from countingroom.pvs.wire import IocBatch, PvEnd


def test_lines_come_as_they_are_and_a_silence_is_told() -> None:
    reader, writer = os.pipe()
    lines = lines_of(reader, 0.001)
    os.write(writer, b"one\ntwo\nth")
    assert [next(lines), next(lines), next(lines)] == [b"one", b"two", None]
    os.write(writer, b"ree\n")
    os.close(writer)
    said: list[bytes] = []
    assert list(answered(iter([*lines, None]), said.append)) == [b"three", None] and said == [b"taken\n"]
    os.close(reader)


def test_every_record_is_invalid_in_a_silence_and_afterwards_as_before() -> None:
    first, second = PvRow("a", 1.5, 0, 0, 1.0), PvRow("b", None, INVALID, 1, 2.0)
    end, nothing = PvEnd(7, True), msgspec.json.encode(IocBatch())
    lines = [msgspec.json.encode(IocBatch(rows=(first, second))), None, None, nothing, nothing]
    lines[3] = msgspec.json.encode(IocBatch(ends=(end,)))
    came = list(batches_of(iter(lines), ("a", "b", "c")))
    assert came[0].rows == (first, second)
    assert [(row.name, row.value, row.severity) for row in came[1].rows] == [(name, None, INVALID) for name in "abc"]
    assert came[2:] == [IocBatch(rows=(first, second), ends=(end,)), IocBatch()], "one silence is told once"


async def test_a_server_that_takes_no_values_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = await asyncio.create_subprocess_exec("sleep", "60", stdin=-1, stdout=-1)
    monkeypatch.setattr(server, "SEND_S", 0.02)
    one = server.PvServer(frozen, lambda put: None)
    with pytest.raises(LinkError, match="has taken no values"):
        await one.send(IocBatch())
    frozen.kill()
    await one.hear()
    with pytest.raises(LinkError, match="has ended"):
        await one.send(IocBatch())

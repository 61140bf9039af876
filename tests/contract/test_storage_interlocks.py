"""On every database the state of an interlock and its history outlive the process; only the present one writes."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.core.errors import Conflict
from countingroom.core.interlocks.events import ActionKind
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryQuery
from countingroom.core.interlocks.specs import MatrixCell
from countingroom.core.interlocks.states import (
    Bypass,
    CauseState,
    EffectState,
    InputState,
    InterlockState,
    ProofTest,
    Truth,
)
from tests.contract.storage.stand import Stand

STATE = InterlockState(
    name="cooling",
    title="Cooling lost",
    causes=(
        CauseState(
            name="warm",
            inputs=(InputState(text="bath is high", points=("chiller.bath",), truth=Truth.STALE, value=36.1),),
            bypass=Bypass(by="eva", reason='"repair" µ', since_ns=1, until_ns=2),
            tripped_ns=1_800_000_000_000_000_001,
        ),
    ),
    effects=(EffectState(name="off", kind="commands", acting_ns=5, attempts=2, trouble="not reached"),),
    matrix=(MatrixCell(cause="warm", effect="off", delay_ns=7),),
    trip=3,
    tripped_ns=1_800_000_000_000_000_001,
    first_out="warm",
    proof=ProofTest(time_ns=9, by="eva", passed=False, comment="stuck"),
    proof_due_ns=9,
)
ROW = InterlockEntry(time_ns=5, interlock="cooling", kind=ActionKind.TRIP, name="warm", trip=3, text="bath is high")


async def test_what_is_saved_is_read_by_the_next_process_as_it_was(shared_stand: Stand) -> None:
    first = await shared_stand.open()
    writer = await first.alarms.take_over("one")
    for _ in range(2):  # a call whose outcome is not known is repeated
        await first.interlocks.save(writer, [STATE], [ROW])
    second = await shared_stand.open()
    assert await second.interlocks.load() == (STATE,)
    rows = await second.interlocks.history(InterlockHistoryQuery(interlock="cooling"))
    assert [structs.replace(one, sequence=0) for one in rows] == [ROW]
    newer = structs.replace(STATE, tripped_ns=None)
    later = structs.replace(ROW, time_ns=8, kind=ActionKind.RESET, person="anna")
    await second.interlocks.save(await second.alarms.take_over("two"), [STATE, newer], [later])
    assert await first.interlocks.load() == (newer,)
    assert [one.time_ns for one in await first.interlocks.history(InterlockHistoryQuery())] == [8, 5]
    assert [one.time_ns for one in await first.interlocks.history(InterlockHistoryQuery(from_ns=6))] == [8]
    assert [one.time_ns for one in await first.interlocks.history(InterlockHistoryQuery(before_ns=6))] == [5]
    with pytest.raises(Conflict, match="has taken over"):
        await first.interlocks.save(writer, [STATE], [ROW])
    assert await first.interlocks.load() == (newer,)

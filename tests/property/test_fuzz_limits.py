"""What has no natural limit has one: numbers of messages, files of states, texts of pages, counters of programs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from countingroom.console.live.subscription import parse
from countingroom.core.errors import RequestError
from countingroom.core.messages import (
    Malformed,
    MessageDecoder,
    decode,
    encode,
)
from countingroom.core.systems import Order, SystemState
from countingroom.runs.agents.port import Recovery
from countingroom.runs.agents.reports import MOST_COUNTERS, counted
from countingroom.runs.agents.saved_state import SavedState
from countingroom.runs.owner_messages import Hold, Release
from tests.property.payloads import SCALARS, VALID, mutated, payload


def test_no_duration_or_number_of_an_order_or_a_notice_is_beyond_what_a_receiver_can_count() -> None:
    order = {"id": "1", "action": "stop", "partition": "a", "fence": 1, "deadline_ns": 1}
    assert decode(msgspec.msgpack.encode(order), Order).fence == 1
    wrong: list[dict[str, object]] = [{"within_s": bad} for bad in BAD_DURATIONS]
    wrong += [{name: (1 << 64) - 1} for name in ("fence", "deadline_ns", "run")]
    for more in wrong:
        with pytest.raises(Malformed):
            decode(msgspec.msgpack.encode(order | more), Order)
    hold = {"type": "Hold", "id": "1"}
    assert isinstance(decode(msgspec.msgpack.encode(hold), MessageDecoder(Hold | Release)), Hold)
    for bad in BAD_DURATIONS:  # one that is no number would be held for ever
        with pytest.raises(Malformed):
            decode(msgspec.msgpack.encode(hold | {"for_s": bad}), MessageDecoder(Hold | Release))


BAD_DURATIONS = (float("nan"), float("inf"), float("-inf"), 1e300, -1.0)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(payload, mutated(msgspec.json.encode({"recovery": {"state": "Active"}, "machine": "x"}))))
def test_a_damaged_file_of_a_saved_state_is_no_state(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "trd.json").write_bytes(data)
    kept = SavedState(tmp_path, "trd")
    assert kept.found("") is None
    kept.keep("", Recovery(state="Active"))
    assert SavedState(tmp_path, "trd").found("") == Recovery(state="Active")


WATCH = b'{"watch": {"devices": ["a"], "points": true, "states": true, "events": true}, "since": 5}'


@settings(max_examples=200)
@given(st.one_of(payload, mutated(WATCH)))
@example(b'{"watch": ' + b'{"x":' * 3000)
def test_a_message_of_a_page_is_a_subscription_or_refused(data: bytes) -> None:
    with suppress(RequestError):
        parse(data.decode(errors="replace"))


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=150), SCALARS, max_size=12), st.dictionaries(st.text(max_size=3), SCALARS))
def test_counters_can_be_sent_and_their_number_is_bounded(first: dict[str, Any], more: dict[str, Any]) -> None:
    known = counted({str(number): number for number in range(MOST_COUNTERS - 5)}, first)
    known = counted(known, more)
    assert len(known) <= MOST_COUNTERS
    encode(structs.replace(decode(VALID[6], SystemState), counters=known))
    assert counted(known, {"0": 7})["0"] == 7

"""A number that a board does not have, written as C writes it, spoils no other value of its document."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt.description import Availability
from countingroom.devices.drivers.mqtt.payloads import is_online, sample
from countingroom.devices.port import Sample
from tests.unit.test_mqtt_topics import route


def read(payload: bytes, field: str, kind: str = "float") -> Sample:
    said = sample(route(field=field, type=kind), payload, retained=False, now_ns=0)
    assert said is not None
    return said


@pytest.mark.parametrize("word", ["nan", "NaN", "-nan", "inf", "-inf", "INF", "Infinity", "-Infinity", "+inf"])
def test_a_number_that_is_none_spoils_no_other_value(word: str) -> None:
    payload = b'{"t": %s, "name": "nan, inf", "list": [%s,7], "h":41.5}' % (word.encode(), word.encode())
    assert (read(payload, "h").value, read(payload, "h").quality) == (41.5, Quality.GOOD)
    assert read(payload, "name", "string").value == "nan, inf"
    assert read(payload, "list.1").value == 7
    for field in ("t", "list.0"):
        assert read(payload, field).quality is Quality.BAD
        assert "no float" in read(payload, field).reason
    assert is_online(Availability(topic="a", field="name", online="nan, inf"), payload) is True


@pytest.mark.parametrize(
    "payload", [b'{"h": 1, "t": nano}', b'{"h": 1, "t": xnan}', b'{"h": 1 nan', b'{"h": 1, nan: 2}']
)
def test_what_is_no_document_stays_none(payload: bytes) -> None:
    assert read(payload, "h").quality is Quality.BAD


def test_a_document_without_an_end_costs_little() -> None:
    payload = b'{"h": ' + b'"\\' * 30_000
    began = time.process_time()
    assert read(payload, "h").quality is Quality.BAD
    assert time.process_time() - began < 0.5


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.floats() | st.none(), max_size=4))
def test_a_text_of_the_document_is_never_changed(document: dict[str, str | float | None]) -> None:
    wanted = {"k": "nan", **document}
    payload = json.dumps({"k": "nan", **document, "t": 0})[:-2].encode() + b"nan}"
    for key, value in wanted.items():
        if isinstance(value, str) and key not in ("", "t") and "." not in key:
            assert read(payload, key, "string").value == value

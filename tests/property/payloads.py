"""Payloads for fuzz tests: random bytes, bytes known to be harmful, and valid messages that were changed a little."""

from __future__ import annotations

from hypothesis import strategies as st

from countingroom.core.errors import Cause
from countingroom.core.messages import (
    Command,
    DeviceState,
    Event,
    EventKind,
    Link,
    Presence,
    Readings,
    encode,
)
from countingroom.core.series import LastQuery, RangeQuery
from countingroom.core.systems import Placement, SystemState
from tests.console.stage import CHILLER, caen

CAUSE = Cause(code="a", message="b", causes=(Cause(code="c", message="d"),))
VALID = [
    encode(message)
    for message in (
        Presence(
            role="devices", instance="main", boot="b", host="h", pid=1, interval_s=1.0, sent_ns=0, targets=("caen",)
        ),
        Readings(
            device="caen",
            boot="b",
            sequence=9,
            full=False,
            sent_ns=1,
            points=["0.hv_vMon", "x"],
            values=[1.5, "text"],
            qualities=[0, 3],
            device_ns=[1, 2],
            received_ns=[1, 2],
        ),
        DeviceState(device="caen", state="HV_ON", link=Link.CONNECTED, since_ns=1, cause=CAUSE),
        CHILLER,
        caen(1),
        Event(id="1", kind=EventKind.NOTE, time_ns=1, department="devices", source="caen", message="m", cause=CAUSE),
        SystemState(system="sts", state="Idle", common="Idle", sequence=1, boot="b", since_ns=1),
        Command(id="1", action="a", arguments={"x": 1}, issued_ns=0, deadline_ns=1),
        Placement(partitions=("a",), detectors={"sts": "a"}),
        RangeQuery(point="caen.x", start_ns=0, end_ns=10),
        LastQuery(points=("caen.x",), at_ns=5),
    )
]
POISON = [
    bytes.fromhex("81a17a"),
    b"\x91" * 2000,
    b"\xc0",
    b"\x81\xa1z" + b"\x91" * 2000,
    b"\x81\xa1z\xa2\xff\xff",
    b"[" * 1100,
    b'{"a":' * 1100,
    b"\xdd\xff\xff\xff\xff",
    b"1" * 5000,
    b'"\\ud800"',
    b"\xef\xbb\xbf{}",
    b"&a [*a, *a]",
    b"a: &a [1]\nb: *a\n<<: *a",
    b"\x00" * 64,
]


@st.composite
def mutated(draw: st.DrawFn, *valid: bytes) -> bytes:
    """One of these messages with some bytes changed, inserted or cut off."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case _:
                del data[at:]
    return bytes(data)


payload = st.one_of(st.binary(max_size=80), st.sampled_from(POISON), mutated(*VALID))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(1 << 70), 1 << 70), st.text(st.characters(codec="utf-8"))
)

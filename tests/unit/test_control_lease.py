"""Control of a target: each holder has a greater token, and what can harm is for the holder alone."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.policy import Control, Permission, Principal, Role, decide
from countingroom.runs.access.control_lease import ControlLease
from countingroom.testing.clock import FakeClock

ANNA = Principal(name="anna", role=Role.EXPERT)
BEN = Principal(name="ben", role=Role.EXPERT)


async def lease(idle_s: float = 100.0) -> tuple[FakeClock, MemoryBus, ControlLease]:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    return clock, bus, ControlLease(bus, clock, "A", lambda message, by: None, idle_s=idle_s)


async def test_the_token_grows_with_every_new_holder() -> None:
    clock, bus, control = await lease()
    tokens = [control.present.token]
    await control.take("anna")
    tokens.append(control.present.token)
    await control.hand_over("anna", "ben")
    tokens.append(control.present.token)
    await control.take("anna")  # taken over
    tokens.append(control.present.token)
    await control.release("anna")
    await control.take("anna")  # the same user again, after the lease was free
    tokens.append(control.present.token)
    await clock.advance(101)  # idle for too long
    await control.take("ben")
    tokens.append(control.present.token)
    assert tokens == sorted(set(tokens))
    following = ControlLease(bus, clock, "A", lambda message, by: None)  # of the next owner of the target
    await following.load()
    await following.take("carl")
    assert following.present.token > tokens[-1]


async def test_the_token_grows_after_an_idle_holder_has_lost_control() -> None:
    clock, bus, control = await lease()
    await control.take("anna")
    before = control.present.token
    task = asyncio.create_task(control.run())
    await clock.advance(102)
    task.cancel()
    assert control.present.holder == ""
    following = ControlLease(bus, clock, "A", lambda message, by: None)  # of the next owner of the target
    await following.load()
    for one in (control, following):
        assert one.present.token == before
    await following.take("ben")
    assert following.present.token > before


async def test_the_token_stays_while_the_same_user_is_in_control() -> None:
    _, _, control = await lease()
    await control.take("anna")
    before = control.present.token
    await control.take("anna")
    await control.used("anna")
    assert control.present.token == before


async def test_a_command_under_the_token_of_an_earlier_time_in_control_is_refused() -> None:
    clock, _, control = await lease()
    await control.take("anna")
    before = control.present.token
    await control.take("ben")
    await control.take("anna")
    refused = decide(ANNA, Permission.OPERATE, "A", control=control.present, token=before, now_ns=clock.now_ns())
    assert refused is not None
    assert refused.code == "lease_lost"


@pytest.mark.parametrize("permission", [Permission.OPERATE, Permission.ENDANGER, Permission.TAKE_CONTROL])
def test_what_acts_and_what_can_harm_is_for_the_holder_alone(permission: Permission) -> None:
    control = Control(holder="anna", token=1, until_ns=100)
    assert decide(ANNA, permission, "A", control=control, now_ns=1) is None
    refused = decide(BEN, permission, "A", control=control, now_ns=1)
    assert refused is not None
    assert refused.code == "in_control"


@pytest.mark.parametrize("permission", [Permission.MAKE_SAFE, Permission.ACKNOWLEDGE, Permission.VIEW])
def test_what_makes_safe_needs_no_control(permission: Permission) -> None:
    control = Control(holder="anna", token=1, until_ns=100)
    assert decide(BEN, permission, "A", control=control, now_ns=1) is None

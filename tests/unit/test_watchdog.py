"""The watchdog counts the time in which a process does not tick, and no time in which this process did not run."""

from __future__ import annotations

from countingroom.app.watchdog import HUNG_S, LOOK_S, Watchdog
from countingroom.testing.clock import FakeClock


async def looks(watchdog: Watchdog, clock: FakeClock, count: int) -> float:
    silent_s = 0.0
    for _ in range(count):
        await clock.advance(LOOK_S)
        silent_s = watchdog.look()
    return silent_s


async def test_a_process_that_ticks_is_not_silent() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    for _ in range(60):
        watchdog.tick()
        assert await looks(watchdog, clock, 2) <= 2 * LOOK_S


async def test_a_process_that_ceases_to_tick_is_hung_after_its_time() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    assert await looks(watchdog, clock, round(HUNG_S / LOOK_S) - 1) < HUNG_S
    assert await looks(watchdog, clock, 1) >= HUNG_S


async def test_a_program_that_never_ticked_is_not_watched() -> None:
    clock = FakeClock()
    assert await looks(Watchdog(clock), clock, 100) == 0.0


async def test_time_in_which_the_supervisor_did_not_run_does_not_count() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    await clock.advance(3600)
    assert watchdog.look() < 2 * LOOK_S

"""Law: a process looks through all it has for garbage at set times, not whenever it happens to be busy.

Python's collector does it after so many new objects, which a process with thousands of things to look after makes in
every burst: with 2,000 agents it then stands still for 0.4 s in the middle of each configuration. What is young is
collected as it comes; nearly everything else goes by itself when nobody refers to it.
"""

from __future__ import annotations

import gc

from countingroom.core.clock import Clock

WHOLE_S = 600.0
"""Between two looks through everything."""
_YOUNG = 20_000
_MIDDLE = 20
_NEVER = 1_000_000


async def collect(clock: Clock) -> None:
    """Until cancelled; what is set then stays set."""
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
    while True:
        await clock.sleep(WHOLE_S)
        gc.collect()

"""Whether the bus refuses a login."""

from __future__ import annotations

from countingroom.bus import nats
from countingroom.core.errors import Denied, LinkError
from tests.patience import PATIENCE_S


async def is_refused(url: str, **login: object) -> bool:
    """A refusal is told at the end of the time for connecting. So a short time is tried first, and a longer one where
    the server was too slow to say anything."""
    for timeout_s in (1.0, 5.0, PATIENCE_S / 2):
        try:
            bus = await nats.connect(url, name="test", timeout_s=timeout_s, **login)  # type: ignore[arg-type]
        except Denied:
            return True
        except LinkError:
            continue
        await bus.close()
        return False
    return False

"""Client of the live feed (a WebSocket), from the present on, until the server ends it or Ctrl-C is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from countingroom.cli.client import authorization
from countingroom.core.errors import LinkError
from countingroom.core.plain_text import readable

CONNECT_S = 5.0


def messages(url: str, exact: bool, /, **watch: Any) -> Iterator[Any]:
    """Yield every message of the feed for this subscription: a snapshot first, then the changes. `exact`: every text as
    it is; else as a terminal may show it."""
    import msgspec
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    feed_url = "ws" + url.rstrip("/").removeprefix("http") + "/api/v1/live"
    try:
        with connect(feed_url, open_timeout=CONNECT_S, additional_headers=authorization()) as feed:
            feed.send(msgspec.json.encode({"watch": watch, "resume": None}).decode())
            for message in feed:
                said = msgspec.json.decode(message)
                yield said if exact else readable(said)
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        raise LinkError(
            f"the live feed of {url} ended: {error or 'closed'}",
            source="cli",
            suggestion="check that `countingroom up` still runs",
            code="unreachable",
        ) from error

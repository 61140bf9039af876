"""One question over HTTP, with one deadline for all of it and a bound on the answer: what is asked may be slow or
hostile, and a deadline for each piece of an answer never ends an answer that comes in pieces."""

from __future__ import annotations

from typing import Any

import httpx

from countingroom.core.clock import timeout


class AnswerTooLarge(Exception):
    """The answer has more bytes than any right one."""


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    within_s: float,
    most_bytes: int,
    cut: bool = False,
    **request: Any,
) -> tuple[int, bytes]:
    """Status and body of the answer. `request`: as for `httpx.AsyncClient.request`.

    `cut`: an answer with more bytes ends there, with one byte more than `most_bytes`.

    TimeoutError or httpx.TimeoutException where it is late, AnswerTooLarge, else httpx.HTTPError or OSError.
    """
    async with timeout(within_s), client.stream(method, url, **request) as answer:
        pieces: list[bytes] = []
        size = 0
        async for piece in answer.aiter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > most_bytes:
                if cut:
                    break
                raise AnswerTooLarge
    return answer.status_code, b"".join(pieces)[: most_bytes + 1]

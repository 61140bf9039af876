"""Figures for Prometheus, asked until they are there: some come over the bus, or are counted after what they count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from tests.patience import PATIENCE_S


async def figures_with(ask: Callable[[], Awaitable[str]], *texts: str) -> str:
    """The answer of `ask` that contains all of these texts."""
    missing, answer = list(texts), ""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while missing:
                answer = await ask()
                missing = [text for text in texts if text not in answer]
                await asyncio.sleep(0.02 if missing else 0.0)
    except TimeoutError:
        raise AssertionError(f"no {missing} in:\n{answer}") from None
    return answer


async def console_figures_with(web: httpx.AsyncClient, *texts: str) -> str:
    """What `/metrics` of the console answers once it contains all of these texts."""

    async def ask() -> str:
        return (await web.get("/metrics")).text

    return await figures_with(ask, *texts)

"""The dependency of routes with large answers: a place for the answer, kept until it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fastapi import Depends, Request

from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester


async def _heavy(console: Console, request: Request) -> AsyncGenerator[None]:
    with console.long_work.place(requester(request).name):
        yield


HEAVY = Depends(_heavy)
"""Of a route whose answer is always large."""

"""A page that is rendered in slices while its request is answered: that of a large experiment takes half a second."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from countingroom.console.long_work import LongWork


class RenderedPage(HTMLResponse):
    """An HTML page, given by the pieces of its text. It is sent whole, so an error in a template is still a status."""

    def __init__(self, work: LongWork, pieces: Iterator[str]) -> None:
        super().__init__()
        self._work = work
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Render, then send."""
        text = "".join(await self._work.all(self._pieces))
        await HTMLResponse(text, self.status_code)(scope, receive, send)

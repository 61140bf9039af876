"""The page for a wrong address or parameter."""

from __future__ import annotations

from countingroom.core.errors import Cause
from countingroom.site.answers import SiteAnswer
from countingroom.site.rendering import Renderer


class ErrorPage:
    """Says what is wrong and where to go."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def answer(self, status: int, phrase: str, cause: Cause) -> SiteAnswer:
        """The page of a status."""
        text = self._renderer.page("error.html", None, status=status, phrase=phrase, cause=cause)
        return SiteAnswer(body=text.encode(), status=status, max_age_s=0)

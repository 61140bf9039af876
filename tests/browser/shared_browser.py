"""One browser and one page of it, which the tests of a worker use in turn.

A new browser takes 1.2 s of processor time, and a new page 0.7 s: its process begins anew and compiles all scripts
again. A page that is left has forgotten what its visitor chose, so that the next one meets it as a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urljoin

from playwright.sync_api import Browser, Error, Page, Playwright, ViewportSize, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Fewer processes that tell each other what to draw and to fetch: a quarter less for each page.
    "--in-process-gpu",
    "--no-zygote",
    "--enable-features=NetworkServiceInProcess2,CDPScreenshotNewSurface",
)
Theme = Literal["light", "dark"]
_AT_REST = "/static/icon.svg"
"""Without scripts, and of the same site: for the next page after `about:blank` the browser starts a new process."""
_FORGET = "try { localStorage.clear(); sessionStorage.clear() } catch { /* it was never opened */ }"


class SharedBrowser:
    """Headless Chromium. Its shell, without windows and a menu, needs less than half the processor time."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._page: Page | None = None

    def at(self, program: Callable[[], str]) -> Browser:
        """The browser, started where it is not running. `program`: its path."""
        if self._browser is None:
            path = program()
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        return self._browser

    def close(self) -> None:
        """End it. Until then no loop of asyncio can run in this thread."""
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._playwright = self._browser = self._page = None

    @contextmanager
    def page(self, browser: Browser, size: ViewportSize, theme: Theme) -> Generator[Page]:
        """The page for one visitor. What cannot be undone on it, as a clock or a feed that is played, needs `drop`."""
        if self._page is None:
            self._page = browser.new_context(viewport=size, color_scheme=theme).new_page()
        else:
            self._page.set_viewport_size(size)
            self._page.emulate_media(color_scheme=theme)
        page = self._page
        try:
            yield page
        except BaseException:
            self.drop()
            raise
        if page is self._page:
            self._forget(page)

    def drop(self) -> None:
        """The next visitor gets a new page."""
        if self._page is not None:
            self._page.context.close()
        self._page = None

    def _forget(self, page: Page) -> None:
        try:
            page.unroute_all()
            for other in page.context.pages:
                if other is not page:
                    other.close()
            page.evaluate(_FORGET)
            if page.url.startswith("http"):
                page.goto(urljoin(page.url, _AT_REST))
            page.mouse.move(-1, -1)
            page.context.clear_cookies()
        except Error:  # as where it was just going to another page
            self.drop()

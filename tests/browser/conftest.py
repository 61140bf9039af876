"""A page under test is watched: an error, a policy violation or a request to another host fails the test."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import not_
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, Response, ViewportSize, expect

from tests.browser.shared_browser import SharedBrowser, Theme
from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up

T = TypeVar("T")
V = TypeVar("V", bound="Requester")

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo" / "experiment.yaml"
SCREENSHOTS = ROOT / "screenshots"
KEEPS_PICTURES = bool(os.environ.get("COUNTINGROOM_SCREENSHOTS"))
"""Only where COUNTINGROOM_SCREENSHOTS is set: no test looks at them, and 150 pictures take 20 s of processor time."""
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """options => {
    const minor = axe._audit.rules.filter(({ impact }) => ['minor', 'moderate'].includes(impact));
    const rules = Object.fromEntries(minor.map(({ id }) => [id, { enabled: false }]));
    return axe.run(document, { ...options, rules }) }"""
"""Without the rules whose violations are never more than moderate: they take a fifth of the time."""
_AXE_AGAIN_MS = 1000
"""A colour on its way to another one, or a dialog that just opens, may be seen in between."""
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci")
SCREEN: ViewportSize = {"width": 1600, "height": 900}
DESK: ViewportSize = {"width": 1440, "height": 900}
WIDTHS = (1280, 900, 420)
PATIENCE_MS = PATIENCE_S * 1000
expect.set_options(timeout=PATIENCE_MS)
OWN = "globalThis.own = name => import(new URL(name, document.querySelector('script[type=module]').src))"
"""For a page: the module of the console with that name, as the page itself has it."""
POLICY = "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
_LEFT_EARLY = "WebSocket is closed before the connection is established"
"""Of a page that is left, as a quick person leaves it, before its feed is there."""
_SHARED = SharedBrowser()
_PREPARED: WeakSet[Page] = WeakSet()
"""Pages with the scripts that each visitor needs."""
_LINK_LOST = ("WebSocket connection to", "net::ERR_CONNECTION", "Failed to fetch", "status of 504")


class Requester:
    """A person at a browser, and everything that went wrong on the way."""

    def __init__(self, page: Page, demo: Running) -> None:
        self.page = page
        self.demo = demo
        self.wrong: list[str] = []
        self.loses_link = False
        self.is_without_feed = False
        self._late = 0
        self._hears: dict[str, Callable[..., None]] = {
            "console": self._said,
            "pageerror": self._failed,
            "request": self._asked,
            "response": self._answered,
        }
        prepare(page)
        for event, hear in self._hears.items():
            page.on(event, hear)  # type: ignore[call-overload]

    def open(self, path: str) -> Page:
        """Go to a page of the console and wait until its script runs and the feed has begun."""
        self.page.goto(self.demo.url + path)
        self.page.wait_for_selector("body[data-script=ready]:not(.lost)")
        return self.page

    def lose_feed(self) -> None:
        """From the next page on there is no live feed of any kind."""
        self.loses_link = self.is_without_feed = True
        self.page.route("**/api/v1/live*", lambda route: route.abort("connectionrefused"))
        self.page.route_web_socket("**/api/v1/live", lambda socket: socket.close())

    def leave(self) -> None:
        """What happens on the page from now on is that of the next visitor."""
        for event, hear in self._hears.items():
            self.page.remove_listener(event, hear)

    def picture(self, name: str) -> None:
        """Keep what is seen, to be compared by eye."""
        keep(self.page, name)

    def cell(self, point: str) -> str:
        """The text of a live cell."""
        return self.page.locator(f'td[data-p="{point}"]').first.inner_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it is so, while the page goes on."""

        def look() -> object:
            self.page.wait_for_timeout(50)
            return condition()

        until(look, what)

    def command(self, press: Callable[[], object], *, commands: int = 1) -> bool:
        """Press what gives so many commands, and wait for the answer to each. False: one was refused because it came
        more than 2 s after the decision, as it can on a busy machine; a user then decides again."""
        answers: list[Response] = []

        def answered(response: Response) -> None:
            if "/commands/" in response.url:
                answers.append(response)

        self.page.on("response", answered)
        press()
        self.until(lambda: len(answers) >= commands, "the commands are answered")
        self.page.remove_listener("response", answered)
        refused = [one.json()["cause"] for one in answers if one.status == 409]
        late = [cause for cause in refused if cause["code"] == "too_old"]
        self.wrong += [cause["message"] for cause in refused if cause not in late]
        self._late += len(late)
        return not late

    def order(self, button: Locator, fill: Callable[[], object] = lambda: None) -> None:
        """Press the button of a command, `fill` in its dialog what it needs and confirm it; again where it came too
        late."""

        def confirmed() -> bool:
            button.click()
            fill()
            return self.command(self.page.locator("dialog[open] .acts button").last.click)

        self.until(confirmed, "the command comes in time")

    def ended_well(self) -> None:
        """Nothing may have gone wrong. The browser itself reports each refused command as an error."""
        for one in [one for one in self.wrong if "status of 409" in one][: self._late]:
            self.wrong.remove(one)
        assert self.wrong == []

    def _said(self, message: ConsoleMessage) -> None:
        expected = self.loses_link and any(word in message.text for word in _LINK_LOST)
        if _LEFT_EARLY in message.text:
            return
        if message.type in ("error", "warning") and not expected:
            self.wrong.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _failed(self, error: Error) -> None:
        self.wrong.append(f"error: {error}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(url := request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.demo.url).netloc:
            self.wrong.append(f"another host: {url}")

    def _answered(self, answer: Response) -> None:
        # A console that was stopped answers what it was asked before with a time-out.
        if answer.status >= 500 and not (self.loses_link and answer.status == 504):
            self.wrong.append(f"{answer.status}: {answer.url}")


def prepare(page: Page) -> None:
    """What each visitor needs of a page, once."""
    if page not in _PREPARED:
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(POLICY)
        page.add_init_script(OWN)
        _PREPARED.add(page)


def keep(page: Page, name: str) -> None:
    """A picture of the page in the folder of screenshots, where they are asked for."""
    if KEEPS_PICTURES:
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


@contextmanager
def strict_page(browser: Browser, width: int, height: int) -> Generator[Page]:
    """The page without a login; a violated policy or an error of a script fails the test at its end."""
    wrong: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.text.startswith("policy: "):
            wrong.append(message.text)

    def failed(error: Error) -> None:
        wrong.append(str(error))

    with _SHARED.page(browser, {"width": width, "height": height}, "light") as page:
        prepare(page)
        page.on("console", said)
        page.on("pageerror", failed)
        yield page
        page.remove_listener("console", said)
        page.remove_listener("pageerror", failed)
    assert wrong == []


def serious(page: Page, *rules: str) -> list[str]:
    """What axe finds on the page, also at a second look; nothing where axe is not installed. `rules`: these alone."""
    if not AXE.exists():
        return []
    if found := _found_by_axe(page, rules):
        page.wait_for_timeout(_AXE_AGAIN_MS)
        found = _found_by_axe(page, rules)
    return found


def _found_by_axe(page: Page, rules: Sequence[str]) -> list[str]:
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate(RUN_AXE, options)["violations"]
    return [
        f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def looks_right(requester: Requester, pages: Mapping[str, str]) -> None:
    """Every page opens, lives, keeps axe content in both themes and fits smaller screens. Opening a page costs most of
    the time, so each is opened once."""
    page = requester.page
    for name, path in pages.items():
        page.set_viewport_size(SCREEN)
        requester.open(path)
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        page.wait_for_timeout(600)  # values and curves arrive
        assert "NaN" not in page.locator("body").inner_text(), name
        requester.picture(f"{name}-light")
        assert serious(page) == [], name
        looks_right_in_the_dark(requester, name)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert wider_than_seen(page) == [], f"{name} at {width}"
            if width == WIDTHS[-1]:
                requester.picture(f"{name}-{width}")


def looks_right_in_the_dark(requester: Requester, name: str) -> None:
    """The page that is open becomes dark at a press, axe finds its texts readable, and it becomes light again. Of what
    axe looks for nothing else depends on the theme."""
    page = requester.page
    for theme in ("dark", "light"):
        page.locator("#theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        if theme == "dark":
            page.wait_for_timeout(200)  # what moves from colour to colour has arrived
            requester.picture(f"{name}-dark")
            assert serious(page, "color-contrast") == [], name


def settled(page: Page, look: Callable[[Page], T], good: Callable[[T], bool] = not_) -> T:
    """What is found once it is good, or at last: a page needs a moment for its layout, on a slow machine a longer one.
    `good`: it is empty, unless given."""
    end = time.monotonic() + PATIENCE_S
    while not good(found := look(page)) and time.monotonic() < end:
        page.wait_for_timeout(50)
    return found


def wider_than_seen(page: Page) -> list[str]:
    """What of the shell is wider than the screen shows, or what of it its own card cuts off, once it has settled."""
    return settled(page, _wider_than_seen)


def _wider_than_seen(page: Page) -> list[str]:
    return page.evaluate(
        """() => ['html', '.top', '#main', '#main > .head'].flatMap(one => [...document.querySelectorAll(one)])
        .filter(node => node.scrollWidth > node.clientWidth
            || (node.matches('.head') && node.scrollHeight > node.clientHeight + 1))
        .map(node => node.id || node.className || node.tagName)"""
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo experiment with its simulators, all devices live."""
    description = tmp_path_factory.mktemp("description") / "demo"
    shutil.copytree(DEMO.parent, description)
    if not os.environ.get("COUNTINGROOM_PICTURES"):
        # Its interlock rightly forbids runs, and switches off, while the state of the chiller is not known. On a busy
        # machine a heartbeat may be late at any time. What interlocks do has tests of its own.
        alarms = description / "alarms.yaml"
        before, _, rest = alarms.read_text().partition("  interlocks:\n")
        alarms.write_text(before + "  rules:\n" + rest.partition("  rules:\n")[2])
    with up(description / DEMO.name, tmp_path_factory.mktemp("demo"), "--simulate") as running:
        until(running.has_live_devices, "all devices are live")
        until(lambda: running.state("caen") == "LV_OFF", "the crate is off")
        until(lambda: len(running.get("/partitions")["partitions"]) == 2, "both partitions are owned")
        yield running


@pytest.fixture(scope="module")
def browser(needs: Callable[..., str]) -> Browser:
    """The browser of this worker; for visitors that need a context of their own."""
    return _SHARED.at(lambda: needs("chromium-headless-shell", "chromium"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """The browser ends where the next file of this worker needs none: it keeps a loop of asyncio running."""
    try:
        return (yield)
    finally:
        if not nextitem or (nextitem.path != item.path and "browser" not in getattr(nextitem, "fixturenames", ())):
            _SHARED.close()


@contextmanager
def visit(
    browser: Browser, arrive: Callable[[Page], V], size: ViewportSize = DESK, theme: Theme = "light"
) -> Generator[V]:
    """A visitor at the page that all have in common, from its arrival to its leave; nothing may have gone wrong."""
    with _SHARED.page(browser, size, theme) as page:
        here = arrive(page)
        yield here
        here.leave()
        if here.is_without_feed:
            _SHARED.drop()
    here.ended_well()


@pytest.fixture(params=["light"])
def requester(request: pytest.FixtureRequest, browser: Browser, demo: Running) -> Iterator[Requester]:
    """A visitor with a screen of 1600x900; nothing may have gone wrong when it leaves."""
    with visit(browser, lambda page: Requester(page, demo), SCREEN, request.param) as here:
        yield here

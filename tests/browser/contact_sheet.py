"""`python -m tests.browser.contact_sheet`: every page in light and dark at six widths, to be looked at.

    python -m tests.browser.contact_sheet [--url URL] [--only overview,trends] [--themes light] [--widths 420,1440]

Without --url a demo of its own is started, with alarms, a snapshot and results; pages of fleet and mirror have
consoles of their own. The pictures, and a sheet per page, are in screenshots/sheets.
What can be computed is told as text: contents wider than the screen, texts that are cut, contrast below WCAG AA.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import AXE, DEMO, SCREENSHOTS, wider_than_seen
from tests.browser.shared_browser import FLAGS
from tests.browser.sheet_stands import STANDS
from tests.system.running import Running, until, up

SHEETS = SCREENSHOTS / "sheets"
WIDTHS = (420, 768, 1280, 1440, 1920, 2560)
HEIGHTS: Mapping[int, int] = {420: 860, 768: 1024, 1280: 800, 1440: 900, 1920: 1080, 2560: 1440}
THEMES = ("light", "dark")
PAGES = {
    "overview": "/",
    "partition": "/partitions/mCBM",
    "device": "/devices/caen",
    "chiller": "/devices/chiller",
    "trends": "/trends?point=caen.0.hv_vMon&point=co2.PT04_CO2&point2=chiller.internal_temp&span=600",
    "trends-empty": "/trends",
    "events": "/events",
    "runs": "/runs",
    "run": "/runs/1",
    "compare": "/runs/compare?run=1&run=2",
    "configurations": "/configurations?system=STS",
    "detectors": "/detectors",
    "users": "/users",
    "account": "/account",
    "audit": "/audit",
    "alarms": "/alarms",
    "interlocks": "/interlocks",
    "rules": "/rules",
    "climate": "/devices/climate",
    "cleanroom": "/devices/cleanroom",
    "stand": "/synoptics/test_stand",
    "power": "/synoptics/power",
    "results": "/results",
    "result": "/results/2",
    "results-compare": "/results/compare?result=1&result=2",
    "snapshots": "/snapshots",
    "snapshot": "/snapshots/nominal",
    "description": "/description",
    "missing": "/runs/99999",
}
CUT = """() => [...document.querySelectorAll('.top *, .nav a, #main *, .alarmbar *')]
    .filter(node => node.childElementCount === 0 && node.textContent.trim() && node.scrollWidth > node.clientWidth + 1
        && getComputedStyle(node).overflow !== 'visible' && node.clientWidth > 0 && !node.closest('.vh')
        && !node.closest('[title]'))
    .map(node => node.textContent.trim().slice(0, 60))"""
"""Texts that are cut though pointing at them shows nothing more."""


@contextmanager
def demo_with_alarms() -> Generator[Running]:
    """The demo, with a tripped channel, a stopped plant and what follows from them."""
    with (
        tempfile.TemporaryDirectory(prefix="countingroom-sheets-") as folder,
        up(DEMO, Path(folder), "--simulate") as running,
    ):
        recording = "a run goes on"
        until(lambda: running.get("/partitions/mCBM")["partition"]["state"] == "Recording", recording)
        assert running.http.post("/api/v1/partitions/mCBM/stop", json={"wait_s": 30}).status_code == 200
        assert running.http.post("/api/v1/partitions/mCBM/start", json={"wait_s": 30}).status_code == 200
        for channel in ("0", "1", "2"):
            running.command("caen", "lv_on", channel=channel, wait_s=60)
            running.command("caen", "hv_on", channel=channel, wait_s=60)
        taken = running.http.post(
            "/api/v1/snapshots/nominal/take", json={"points": ["caen", "chiller"], "reason": "beam"}
        )
        assert taken.status_code == 200, taken.text
        for _ in range(2):
            begun = running.http.post("/api/v1/results/programs/threshold_scan/commands/start", json={"wait_s": 60})
            assert begun.is_success, begun.text
            until(lambda: running.get("/results/programs")["programs"][0]["result"] == 0, "the program ended")
        running.fault("caen", "trip", channel="1", side="hv", now=True)
        running.fault("co2", "trip")
        yield running


def contrast(page: Page) -> list[str]:
    """Texts whose contrast axe computes as less than WCAG AA; nothing where axe is not installed."""
    if not AXE.exists():
        return []
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {runOnly: ['color-contrast'], resultTypes: ['violations']})")["violations"]
    return [node["html"][:120] for one in found for node in one["nodes"]]


def take(browser: Browser, url: str, name: str, path: str, theme: str, widths: Sequence[int]) -> list[str]:
    """One page in one theme at each width; what is wrong with it, a line each."""
    context = browser.new_context(color_scheme="dark" if theme == "dark" else "light")
    page = context.new_page()
    page.set_viewport_size({"width": widths[0], "height": HEIGHTS.get(widths[0], 900)})
    page.goto(url + path)
    page.wait_for_selector("body[data-script=ready]:not(.lost)")
    page.wait_for_timeout(1200)
    wrong: list[str] = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 900)})
        page.wait_for_timeout(500)
        page.screenshot(path=SHEETS / f"{name}-{theme}-{width}.png")
        told = {"wider than the screen": wider_than_seen(page), "cut": page.evaluate(CUT)}
        wrong += [f"{name} {theme} {width}: {what}: {found}" for what, found in told.items() if found]
    wrong += [f"{name} {theme}: contrast: {one}" for one in contrast(page)]
    context.close()
    return wrong


def sheet(browser: Browser, name: str, themes: Sequence[str], widths: Sequence[int]) -> None:
    """All pictures of one page on one picture, each scaled to the same height."""
    page = browser.new_page(viewport={"width": 2600, "height": 200})
    figures = "".join(
        f"<figure><figcaption>{name} {theme} {width}</figcaption>"
        f'<img src="{(SHEETS / f"{name}-{theme}-{width}.png").as_uri()}"></figure>'
        for theme in themes
        for width in widths
    )
    style = "body{margin:8px;display:flex;flex-wrap:wrap;gap:8px;font:13px sans-serif}figure{margin:0}img{height:560px}"
    file = SHEETS / f"{name}.html"
    file.write_text(f"<!doctype html><style>{style}</style>{figures}")
    page.goto(file.as_uri())
    page.wait_for_function("[...document.images].every(one => one.complete)")
    page.screenshot(path=SHEETS / f"{name}.png", full_page=True)
    page.close()
    file.unlink()


def main() -> int:
    """Take them all; status 1 where something computed is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--url", default="")
    parser.add_argument("--only", default=",".join((*PAGES, *STANDS)))
    parser.add_argument("--themes", default=",".join(THEMES))
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    parser.add_argument("--program", default=shutil.which("chromium-headless-shell") or shutil.which("chromium"))
    asked = parser.parse_args()
    names, themes = asked.only.split(","), asked.themes.split(",")
    widths = [int(one) for one in asked.widths.split(",")]
    SHEETS.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []

    def pages_of(url: str, paths: Mapping[str, str]) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=asked.program, args=list(FLAGS))
            for name, path in paths.items():
                for theme in themes:
                    wrong.extend(take(browser, url, name, path, theme, widths))
                sheet(browser, name, themes, widths)
            browser.close()

    of_the_demo = {name: PAGES[name] for name in names if name in PAGES}
    if asked.url:
        pages_of(asked.url, of_the_demo)
    elif of_the_demo:
        with demo_with_alarms() as running:
            pages_of(running.url, of_the_demo)
    for name in names:
        if name in STANDS:
            made, path = STANDS[name]
            with made() as url:
                pages_of(url, {name: path})
    print("\n".join(wrong) or "nothing computed is wrong")
    print(f"to be looked at: {SHEETS}/*.png")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

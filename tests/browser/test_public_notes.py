"""The page Public notes: what is written is shown as it will be seen outside, published, updated, ended, withdrawn."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.mirror_stage import mirror_console
from tests.scenario.test_mirror_notes import Inside
from tests.system.running import Running


async def begin(inside: Inside) -> None:
    await inside.publish("add", sort="maintenance", title="Filters are changed", **{"from": "2026-01-05"})


def console(folder: Path) -> AbstractContextManager[tuple[str, Inside]]:
    """The address of a console without a login, and the mirror behind it."""
    return mirror_console(lambda bus, clock: Inside(bus, clock, folder), begin)


def test_a_note_is_previewed_published_updated_ended_and_withdrawn(browser: Browser, tmp_path: Path) -> None:
    with console(tmp_path) as (url, _):
        told = cast(Running, SimpleNamespace(url=url))
        with visit(browser, lambda page: Requester(page, told)) as here:
            page = here.open("/public-notes")
            rows, seen, publish = page.locator("#notes tr"), page.locator("#note-seen"), page.locator("#note-publish")
            expect(rows).to_have_count(1)
            page.locator("#note-new").click()
            expect(publish).to_be_disabled()
            page.get_by_label("Title").fill("The cooling is off")
            page.get_by_label("Text").fill("Planted-host does not answer.")
            expect(seen).to_contain_text("the last check finds the host")
            expect(publish).to_be_disabled()
            page.get_by_label("Text").fill("<b>chiller-2</b> and pc7x do not answer.\nWe look into it.")
            page.get_by_label("Affects").fill("chiller-2")
            expect(seen.locator(".mask")).to_have_text("[name]")
            expect(seen).to_contain_text("<b>chiller-2</b> and [name] do not answer.")
            expect(seen).to_contain_text("Stays inside: author")
            assert serious(page) == []
            here.picture("public-notes-1440-light")
            looks_right_in_the_dark(here, "public-notes-1440")
            page.set_viewport_size({"width": 420, "height": 900})
            here.picture("public-notes-420-light")
            assert wider_than_seen(page) == []
            page.set_viewport_size({"width": 1440, "height": 900})
            publish.click()
            expect(rows).to_have_count(2)
            expect(page.locator("#note-writing")).to_be_hidden()
            expect(rows.first).to_contain_text("The cooling is off")
            rows.first.get_by_role("button", name="Update").click()
            page.get_by_label("What is known now").fill("The pump runs again.")
            expect(seen.locator("li")).to_contain_text("The pump runs again.")
            publish.click()
            expect(page.locator("#note-writing")).to_be_hidden()
            rows.first.get_by_role("button", name="End").click()
            expect(publish).to_be_enabled()
            publish.click()
            expect(rows.first).to_contain_text("ended")
            rows.last.get_by_role("button", name="Withdraw").click()
            page.get_by_role("button", name="Withdraw", exact=True).click()
            expect(rows).to_have_count(1)

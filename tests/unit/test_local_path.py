"""After a login a page leads to a path of this console, never to another site."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.auth.local_path import local_path
from countingroom.core.clock import SystemClock
from tests.console.people import house
from tests.console.stage import stage

ELSEWHERE = [
    "/\t/evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    " //evil.example",
    "\x00//evil.example",
    "http://evil.example",
    "javascript:alert(1)",
    "evil.example",
    "",
    "/\u202eevil",
]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_anything_else_than_a_local_path_becomes_the_overview(text: str) -> None:
    assert local_path(text) == "/"


@pytest.mark.parametrize("path", ["/", "/devices/chiller", "/runs?quality=good&from=-1d", "/trends?point=a.b#x"])
def test_a_local_path_is_kept(path: str) -> None:
    assert local_path(path) == path


def as_a_browser_reads_it(text: str) -> str:
    """The host that a browser finds: it drops tabs, line ends and leading controls, and takes `\\` for `/`."""
    text = re.sub(r"[\t\n\r]", "", text.lstrip("".join(map(chr, range(33)))))
    return urlsplit(text.replace("\\", "/"), scheme="").netloc or re.sub(r"^/.*|:.*", "", text, flags=re.DOTALL)


@given(st.text("/\\\t\n\r :.@?#ahtp\u202e", max_size=12) | st.text(max_size=20))
def test_no_text_leads_to_another_host(text: str) -> None:
    found = local_path(text)
    assert found in {text, "/"}
    assert as_a_browser_reads_it(found) == ""


async def test_the_login_page_carries_only_a_local_path() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        for wanted, kept in (("/%09/evil.example/", "/"), ("/devices/caen", "/devices/caen")):
            page = (await home.client().get(f"/login?next={wanted}")).text
            assert f'data-next="{kept}"' in page

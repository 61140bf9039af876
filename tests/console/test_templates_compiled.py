"""The templates are compiled one by one after the start, and others have their turn between two of them."""

from __future__ import annotations

import asyncio

from countingroom.testing.clock import FakeClock
from tests.console.people import house
from tests.console.stage import stage


async def test_templates_are_compiled_one_in_a_turn() -> None:
    async with stage(FakeClock()) as here, house(here) as there:
        pages = there.app.state.pages
        compiling = asyncio.create_task(pages.compile_templates())
        compiled: list[int] = []
        while not compiling.done():
            await asyncio.sleep(0)
            compiled.append(len(pages._jinja.cache))
        assert compiled[-1] == len(pages._jinja.list_templates()) > 10
        assert len(compiled) >= compiled[-1]

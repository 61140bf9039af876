"""What several scenarios begin with."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.scenario.alarm_stage import AlarmStage


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    """An alarm department without an engine yet, and the host of the chiller."""
    made = AlarmStage()
    await made.prepare()
    async with made.host("chiller"):
        yield made

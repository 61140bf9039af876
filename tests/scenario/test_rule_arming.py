"""Which counts: what a person did to a rule, or what its description says."""

from __future__ import annotations

from typing import Any

from tests.scenario.rule_stage import RuleStage

WARM: dict[str, Any] = {
    "title": "Warm bath",
    "when": {"limit": {"point": "chiller.bath", "alarm_high": 30}},
    "do": [{"command": {"device": "chiller", "command": "stop"}}],
}


async def test_a_changed_description_counts_against_what_a_person_did_before_and_is_told() -> None:
    stage = RuleStage({"warm": WARM})
    await stage.prepare()
    async with stage.owner("devices", "chiller"), stage.host("chiller"):
        async with stage.engine():
            assert await stage.order("disarm", "warm", reason="repair") is None
        stage.describe({"warm": {**WARM, "title": "Bath is warm"}})
        async with stage.engine():
            assert not (await stage.rule("warm")).armed, "armed was not changed in the description"
        stage.describe({"warm": {**WARM, "armed": False}})
        async with stage.engine():
            state = await stage.rule("warm")
            assert (state.armed, state.armed_by) == (False, "anna"), "it is so already"
        stage.describe({"warm": {**WARM, "armed": True}})
        async with stage.engine():
            await stage.clock.advance(1)
            state = await stage.rule("warm")
            assert (state.armed, state.armed_by, state.armed_reason) == (True, "", "the description says so now")
            await stage.read(bath=20.0)
            await stage.read(bath=31.0)
            assert stage.given() == ["rule.warm: stop"]
            assert await stage.order("disarm", "warm", reason="again") is None
        async with stage.engine():
            assert not (await stage.rule("warm")).armed, "the change counts once"
        assert "Warm bath armed: the description says so now" in await stage.record_of("warm")


async def test_a_rule_that_no_person_touched_follows_its_description() -> None:
    stage = RuleStage({"warm": WARM})
    await stage.prepare()
    async with stage.engine():
        assert (await stage.rule("warm")).armed
    stage.describe({"warm": {**WARM, "armed": False}})
    async with stage.engine():
        await stage.clock.advance(1)
        assert not (await stage.rule("warm")).armed
    assert await stage.record_of("warm") == ["Warm bath disarmed: the description says so now"]

"""Rules act, once, with rights of their own; what they did outlives their engine, and nothing is done twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from countingroom.core.messages import EventKind
from countingroom.core.policy import Role
from countingroom.core.rules.states import ActionResult, RulePhase
from countingroom.core.values import Quality
from tests.scenario.rule_stage import RuleStage

STOP = [{"command": {"device": "chiller", "command": "stop"}}]
WARM = {"when": {"limit": {"point": "chiller.bath", "alarm_high": 30}}, "do": STOP}


def warm(**keys: Any) -> dict[str, dict[str, Any]]:
    return {"warm": {**WARM, **keys}}


async def test_a_rule_acts_when_its_condition_becomes_true_and_is_recorded() -> None:
    stage = RuleStage(warm(title="Warm bath", **{"for": 10}))
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        await stage.clock.advance(5)
        assert (await stage.rule("warm")).phase is RulePhase.HOLDING
        assert stage.given() == []
        await stage.clock.advance(6)
        assert stage.given() == ["rule.warm: stop"]
        state = await stage.rule("warm")
        assert (state.phase, state.firings, state.title) == (RulePhase.SPENT, 1, "Warm bath")
        assert state.last is not None
        assert state.last.evidence == {"chiller.bath": 31.0}
        assert [one.result for one in state.last.outcomes] == [ActionResult.DONE]
        assert await stage.record_of("warm") == [
            "Warm bath acts: chiller.bath 31",
            "Warm bath: firing 1 done, 1 action",
        ]
        (entry,) = stage.record
        assert (entry.who, entry.what, entry.target, entry.outcome) == (
            "rule.warm",
            "stop",
            "device.chiller",
            "accepted",
        )


async def test_it_acts_once_while_the_condition_stays_true_and_again_after_it_was_false() -> None:
    stage = RuleStage(warm())
    async with stage.running():
        for value in (20.0, 31.0, 32.0, 33.0):
            await stage.read(bath=value)
        await stage.read(Quality.STALE, bath=33.0)
        await stage.read(bath=33.0)
        assert len(stage.given()) == 1
        await stage.clock.advance(61)
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert len(stage.given()) == 2


async def test_more_often_than_its_rate_it_is_held_back_and_told_once() -> None:
    stage = RuleStage(warm(most={"times": 2, "per": 100}))
    async with stage.running():
        for _ in range(5):
            await stage.read(bath=20.0)
            await stage.read(bath=31.0)
        assert len(stage.given()) == 2
        assert (await stage.rule("warm")).held_back == 3
        held = [text for text in await stage.record_of("warm") if "held back" in text]
        assert held == ["warm is held back: it acts at most 2 times in 1 min 40 s: chiller.bath 31"]


async def test_without_a_grant_nothing_is_done() -> None:
    stage = RuleStage(warm(roles={"device.caen": "expert"}))
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert stage.given() == []
        state = await stage.rule("warm")
        assert state.last is not None
        assert state.last.cause is not None
        assert (state.last.outcomes[0].result, state.last.cause.code) == (ActionResult.REFUSED, "denied")
        (*_, event) = [one for one in await stage.events() if one.source == "warm"]
        assert (event.kind, event.severity, event.principal) == (EventKind.FAILED, 3, "rule.warm")
        assert "stop was refused: rule.warm is viewer on device.chiller" in event.message
        assert [entry.outcome for entry in stage.record] == ["refused"]


async def test_a_dangerous_command_needs_an_expert_grant() -> None:
    burn = [{"command": {"device": "chiller", "command": "burn"}}]
    stage = RuleStage({"a": {**WARM, "do": burn}, "b": {**WARM, "do": burn, "roles": {"device.*": "expert"}}})
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert stage.given() == ["rule.b: burn"]


@pytest.mark.parametrize("go_on", [False, True])
async def test_after_a_refusal_the_further_actions_are_done_only_where_it_is_described(go_on: bool) -> None:
    do = [{"command": {"device": "chiller", "command": "burn"}}, *STOP, {"log": "over"}]
    stage = RuleStage(warm(do=do, go_on=go_on, roles={"device.*": "expert"}))
    stage.refuses["burn"] = "it is cold"
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        state = await stage.rule("warm")
        assert state.last is not None
        rest = ActionResult.DONE if go_on else ActionResult.NOT_BEGUN
        assert [one.result for one in state.last.outcomes] == [ActionResult.REFUSED, rest, rest]
        assert ("over" in await stage.record_of("warm")) is go_on


async def test_a_command_without_an_end_fails_after_its_deadline() -> None:
    stage = RuleStage(warm(do=[{"command": {"device": "chiller", "command": "stop", "deadline": 20}}]))
    stage.is_silent = True
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert (await stage.rule("warm")).phase is RulePhase.ACTING
        await stage.clock.advance(21)
        state = await stage.rule("warm")
        assert state.last is not None
        assert state.last.cause is not None
        assert (state.last.outcomes[0].result, state.last.cause.code) == (ActionResult.FAILED, "timeout")


async def test_a_setpoint_is_ramped_in_steps_until_the_rule_is_disarmed() -> None:
    ramp = [{"ramp": {"point": "chiller.set", "to": 20, "rate": 1, "every": 2}}]
    stage = RuleStage(warm(do=ramp))
    async with stage.running():
        await stage.read(bath=20.0, set=10.0)
        await stage.read(bath=31.0)
        await stage.clock.advance(9)
        assert stage.given() == [f"rule.warm: set set {value}" for value in (12.0, 14.0, 16.0, 18.0, 20.0)]
        await stage.clock.advance(60)
        await stage.read(bath=20.0, set=10.0)
        await stage.read(bath=31.0)
        await stage.clock.advance(3)
        assert await stage.order("disarm", "warm", reason="too fast") is None
        await stage.clock.advance(60)
        assert stage.given()[5:] == [f"rule.warm: set set {value}" for value in (12.0, 14.0)]
        state = await stage.rule("warm")
        assert state.last is not None
        assert state.last.cause is not None
        assert state.last.cause.message == "it was disarmed at 16 of 20"


async def test_disarmed_it_does_nothing_and_stays_so_after_a_restart() -> None:
    stage = RuleStage(warm())
    await stage.prepare()
    async with stage.owner("devices", "chiller"), stage.host("chiller"):
        async with stage.engine():
            await stage.read(bath=20.0)
            assert await stage.order("disarm", "warm", reason="repair") is None
            assert not stage.rules.saved["warm"].memory.armed
            cause = await stage.order("disarm", "warm", reason="repair")
            assert cause is None  # there is nothing to do
            await stage.read(bath=31.0)
        async with stage.engine():
            state = await stage.rule("warm")
            assert (state.armed, state.armed_by, state.armed_reason) == (False, "anna", "repair")
            await stage.read(bath=20.0)
            await stage.read(bath=31.0)
            assert stage.given() == []
            assert await stage.order("arm", "warm") is None
            assert (await stage.rule("warm")).phase is RulePhase.SPENT  # it was true when it was armed
            await stage.read(bath=20.0)
            await stage.read(bath=31.0)
            assert stage.given() == ["rule.warm: stop"]


async def test_who_may_arm_stands_in_the_description() -> None:
    stage = RuleStage(warm(arming="expert"))
    stage.roles = {"ben": Role.SHIFTER, "vera": Role.VIEWER}
    async with stage.running():
        for user in ("ben", "vera"):
            cause = await stage.order("disarm", "warm", user=user, reason="x")
            assert cause is not None
            assert cause.code == "denied"
        cause = await stage.order("disarm", "other", reason="x")
        assert cause is not None
        assert cause.code == "not_found"
        cause = await stage.order("disarm", "warm")
        assert cause is not None
        assert cause.code == "missing_argument"
        assert (await stage.rule("warm")).armed


async def test_a_condition_that_is_true_at_the_start_waits_unless_it_is_described_otherwise() -> None:
    stage = RuleStage({"waits": WARM, "acts": {**WARM, "if_already_true": "act"}})
    await stage.prepare()
    async with stage.owner("devices", "chiller"), stage.host("chiller"):
        await stage.read(bath=31.0, full=True)
        async with stage.engine():
            await stage.clock.advance(1)
            assert stage.given() == ["rule.acts: stop"]
            assert "was true already" in (await stage.record_of("waits"))[0]
        async with stage.engine():
            await stage.clock.advance(1)
            assert stage.given() == ["rule.acts: stop"]  # it acted for this truth


async def test_a_time_of_cron_and_the_times_that_no_engine_saw() -> None:
    stage = RuleStage({"minute": {"when": {"cron": "* * * * *"}, "do": STOP}})
    await stage.prepare()
    async with stage.owner("devices", "chiller"), stage.host("chiller"):
        async with stage.engine():
            due_ns = (await stage.rule("minute")).due_ns
            assert due_ns is not None
            await stage.clock.advance((due_ns - stage.clock.now_ns()) / 1e9 - 1)
            assert stage.given() == []
            await stage.clock.advance(2)
            assert stage.given() == ["rule.minute: stop"]
        await stage.clock.advance(3 * 60 + 40)
        async with stage.engine():
            await stage.clock.advance(5)
            assert len(stage.given()) == 1
            (text,) = [one for one in await stage.record_of("minute") if "missed" in one]
            assert text.startswith("minute missed 3 times, the last at")


async def test_an_event_is_a_trigger() -> None:
    trigger = {"department": "runs", "kind": "done", "action": "start"}
    stage = RuleStage({"begun": {"when": {"event": trigger}, "do": STOP}})
    async with stage.running():
        await stage.tell("runs", "mCBM", EventKind.FAILED, "start")
        await stage.tell("devices", "chiller", EventKind.DONE, "start")
        await stage.clock.advance(0.1)
        assert stage.given() == []
        await stage.tell("runs", "mCBM", EventKind.DONE, "start")
        await stage.clock.advance(0.1)
        assert stage.given() == ["rule.begun: stop"]
        state = await stage.rule("begun")
        assert state.last is not None
        assert state.last.evidence["event.source"] == "mCBM"


async def test_without_the_database_no_rule_acts_and_it_is_told() -> None:
    stage = RuleStage(warm())
    async with stage.running():
        await stage.read(bath=20.0)
        stage.rules.is_away = True
        await stage.read(bath=31.0)
        await stage.clock.advance(0.1)
        assert stage.given() == []
        assert "stop was not begun: the disk is full" in (await stage.record_of("warm"))[-1]
        cause = await stage.order("disarm", "warm", reason="x")
        assert cause is not None
        assert cause.code == "disk_full"
        assert (await stage.rule("warm")).armed
        stage.rules.is_away = False
        await stage.clock.advance(3)
        assert stage.rules.saved["warm"].memory.firings == 1
        assert await stage.order("disarm", "warm", reason="x") is None


async def test_an_interrupted_firing_is_told_and_not_repeated() -> None:
    do = [*STOP, {"command": {"device": "chiller", "command": "burn"}}, {"log": "over"}]
    stage = RuleStage(warm(do=do, roles={"device.*": "expert"}))
    await stage.prepare()
    async with stage.owner("devices", "chiller"), stage.host("chiller"):
        async with stage.engine() as engine:
            await stage.read(bath=20.0)
            stage.is_silent = True
            await stage.read(bath=31.0)
            await stage.clock.advance(1)
            assert stage.given() == ["rule.warm: stop"]
            saved = stage.rules.saved["warm"]
            assert saved.under_way is not None
            stage.rules.is_away = True  # what it would save at its end is not saved, as after a kill
            engine.cancel()
        stage.rules.is_away = False
        stage.is_silent = False
        await stage.clock.advance(10)
        async with stage.engine("second"):
            await stage.clock.advance(10)
            await stage.read(bath=31.0)
            await stage.clock.advance(100)
            assert stage.given() == ["rule.warm: stop"]
            state = await stage.rule("warm")
            assert state.last is not None
            assert [one.result for one in state.last.outcomes] == [
                ActionResult.UNKNOWN,
                ActionResult.NOT_BEGUN,
                ActionResult.NOT_BEGUN,
            ]
            failed = [text for text in await stage.record_of("warm") if "may or may not" in text]
            assert len(failed) == 1
        async with stage.engine("third"):
            await stage.clock.advance(10)
            assert len([text for text in await stage.record_of("warm") if "may or may not" in text]) == 1
            assert stage.rules.saved["warm"].under_way is None


async def test_a_firing_during_the_one_before_is_recorded_and_does_nothing() -> None:
    stage = RuleStage(warm(most={"times": 5, "per": 60}))
    stage.is_silent = True
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert len(stage.given()) == 1
        assert any("firing 2 failed: chiller: stop was not begun" in text for text in await stage.record_of("warm"))
        await stage.clock.advance(70)
        state = await stage.rule("warm")
        assert (state.firings, state.phase) == (2, RulePhase.SPENT)


async def test_a_rule_that_is_no_longer_described_is_no_longer_published_and_stays_disarmed() -> None:
    stage = RuleStage(warm())
    await stage.prepare()
    async with stage.engine():
        assert await stage.order("disarm", "warm", reason="x") is None
    stage.describe({"other": WARM})
    async with stage.engine():
        await stage.clock.advance(1)
        entry = await stage.bus.get("state", "rule.warm")
        assert entry is None or entry.data is None
        assert (await stage.rule("other")).armed
    stage.describe(warm())
    async with stage.engine():
        assert not (await stage.rule("warm")).armed


TOLD = [{"notify": {"to": ["anna"], "text": "the bath is warm"}}]
NOTIFY = {
    "channels": {"mail": {"webhook": {"address": "http://127.0.0.1:9/never"}}},
    "people": {"anna": {"channels": ["mail"]}},
    "routes": {"all": {"to": ["anna"]}},
}


async def test_people_are_told_through_the_channels_of_the_description() -> None:
    stage = RuleStage(warm(do=TOLD, title="Warm bath"), notify=NOTIFY)
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        state = await stage.rule("warm")
        assert state.last is not None
        assert state.last.outcomes[0].result is ActionResult.DONE
        assert stage.outbox is not None
        sent = [one.notification for one in stage.outbox.entries.values() if one.notification.kind.value == "rule"]
        assert [(one.channel, one.title, one.text.splitlines()[0]) for one in sent] == [
            ("mail", "[bench] Warm bath", "the bath is warm")
        ]
        assert "rule.warm" in sent[0].text


async def test_without_channels_a_message_fails() -> None:
    stage = RuleStage(warm(do=TOLD))
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        state = await stage.rule("warm")
        assert state.last is not None
        assert state.last.cause is not None
        assert (state.last.outcomes[0].result, state.last.cause.code) == (ActionResult.FAILED, "no_messages")


async def test_each_of_two_firings_at_once_has_an_end_on_record() -> None:
    trigger = {"department": "runs", "kind": "done", "action": "start"}
    stage = RuleStage({"begun": {"when": {"event": trigger}, "do": STOP, "most": {"times": 5, "per": 60}}})
    async with stage.running():
        await asyncio.gather(*(stage.tell("runs", "mCBM", EventKind.DONE, "start") for _ in range(2)))
        await stage.clock.advance(1)
        assert stage.given() == ["rule.begun: stop"]
        told = await stage.record_of("begun")
        assert any("firing 1" in text and "done" in text for text in told), told
        assert any("firing 2 failed" in text and "not begun" in text for text in told), told


async def test_a_rule_that_is_disarmed_while_it_acts_begins_no_further_action() -> None:
    stage = RuleStage(warm(do=[*STOP, *STOP], go_on=True))
    stage.is_silent = True
    async with stage.running():
        await stage.read(bath=20.0)
        await stage.read(bath=31.0)
        assert len(stage.given()) == 1
        assert await stage.order("disarm", "warm", reason="it does harm") is None
        await stage.clock.advance(120)
        assert len(stage.given()) == 1
        state = await stage.rule("warm")
        assert state.last is not None
        last = state.last.outcomes[1]
        assert (last.result, last.cause and last.cause.code) == (ActionResult.NOT_BEGUN, "disarmed")

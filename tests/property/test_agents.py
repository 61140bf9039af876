"""An agent that gets any messages in any order moves along its chart, answers, and keeps partitions apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, NotAllowed
from countingroom.core.systems import Action, Order, Placement, SystemKind
from countingroom.runs.agents import model as words
from countingroom.runs.agents.step import born, step

COMMON = {"Step1": "Configuring", "Step2": "Configuring"}
ROWS = (
    Row("Unconfigured", "configure", "Step1"),
    Row("Step1", "success", "Step2"),
    Row("Step1", "abort", "Unconfigured"),
    Row("Step1", "error", "Error"),
    Row("Step2", "success", "Active"),
    Row("Step2", "abort", "Unconfigured"),
    Row("Step2", "error", "Error"),
    Row("Active", "configure", "Step1"),
    Row("Active", "abort", "Unconfigured"),
    Row("Active", "error", "Error"),
    Row("Active", "start", "Recording"),
    Row("Recording", "stop", "Active"),
    Row("Recording", "abort", "Unconfigured"),
    Row("Recording", "error", "Error"),
    Row("Error", "resolved", "Unconfigured"),
    Row("Error", "reset", "Unconfigured"),
)
CHART = Chart(name="test", rows=ROWS, initial="Unconfigured", common=COMMON)
PARTITIONS = ("p", "q")
ARROWS = {(row.state, row.next) for row in ROWS} | {(state, state) for state in CHART.states}


def agent(kind: SystemKind = SystemKind.GLOBAL) -> words.AgentModel:
    where = Placement(partitions=PARTITIONS, detectors={"s": "p"})
    return step(born("s", kind, CHART, boot="b"), words.Placed(placement=where), now_ns=0)[0]


def order(action: Action, partition: str = "p", **more: Any) -> words.Ordered:
    given = {"id": f"{action}-{partition}", "fence": 1, "deadline_ns": 10**9, **more}
    return words.Ordered(order=Order(action=action, partition=partition, **given))


orders = st.builds(
    order,
    st.sampled_from(Action),
    st.sampled_from((*PARTITIONS, "nowhere", "not a name")),
    id=st.sampled_from([str(n) for n in range(12)]),
    fence=st.integers(0, 4),
    deadline_ns=st.sampled_from([50, 10**9]),
    key=st.sampled_from(["", "k1", "k2"]),
    base=st.sampled_from(["", "b1", "b2"]),
    tag=st.sampled_from(["t1", "t2"]),
    run=st.integers(0, 2),
)
at = st.sampled_from(PARTITIONS)
cause = st.none() | st.just(Cause(code="broken", message="it broke"))
events = st.one_of(
    orders,
    orders,
    st.builds(lambda at, cause: ("end", at, cause), at, cause),
    st.builds(lambda at, cause: ("end", at, cause), at, st.none()),
    st.builds(lambda at: ("overdue", at, None), at),
    st.builds(words.Ended, at=at, ticket=st.integers(0, 20), cause=cause),
    st.builds(
        words.StateMoved, at=at, event=st.sampled_from(["error", "resolved", "configure", "success"]), cause=cause
    ),
    st.builds(words.SystemReport, at=at, comment=st.text(max_size=3), counters=st.just({"events": 1})),
)


def concrete(known: words.AgentModel, event: Any) -> words.Event:
    """Ends and deadlines of what is really being done."""
    if not isinstance(event, tuple):
        return event
    what, where, why = event
    task = known.contexts[where].task
    if what == "end":
        return words.Ended(at=where, ticket=task.ticket if task else 0, cause=why)
    return words.Overdue(at=where, order=task.order.id if task else "")


def told(
    known: words.AgentModel, event: words.Event, now_ns: int = 100
) -> tuple[words.AgentModel, tuple[words.Effect, ...]]:
    try:
        return step(known, event, now_ns=now_ns)
    except NotAllowed:
        assert isinstance(event, words.StateMoved)
        return known, ()


def of(event: words.Event) -> str:
    return event.order.partition if isinstance(event, words.Ordered) else event.at  # type: ignore[union-attr]


@given(st.lists(events, max_size=60))
def test_it_moves_only_along_its_chart_and_answers_every_order_once(history: list[Any]) -> None:
    known = agent()
    for raw in history:
        event = concrete(known, raw)
        after, effects = told(known, event)
        for name, context in after.contexts.items():
            before = known.contexts[name]
            assert (before.state.state, context.state.state) in ARROWS
            assert context.state.common == CHART.to_common(context.state.state)
            assert context.state.sequence >= before.state.sequence
            if context.state != before.state:
                assert context.state.sequence > before.state.sequence
                assert words.Publish(at=name) in effects
            if context.state.common not in ("Active", "Recording"):
                assert context.state.key == ""
            assert (context.state.run != 0) <= (context.state.common == "Recording")
        answers = [effect for effect in effects if isinstance(effect, words.AnswerOrder)]
        assert len(answers) == (1 if isinstance(event, words.Ordered) else 0)
        if answers and answers[0].answer.accepted and len(effects) > 1:
            assert answers[0].answer.state
            assert answers[0].answer.state.order == answers[0].answer.id
            assert words.Publish(at=of(event)) in effects
        known = after


@given(st.lists(events, max_size=60))
def test_what_happens_to_one_partition_touches_no_other(history: list[Any]) -> None:
    together, alone = agent(), {name: agent() for name in PARTITIONS}
    for raw in history:
        event = concrete(together, raw)
        together, effects = told(together, event)
        where = of(event)
        for effect in effects:
            assert isinstance(effect, words.AnswerOrder) or effect.at == where
        if where in alone:
            alone[where], own = told(alone[where], event)
            assert own == effects
    for name, one in alone.items():
        assert one.contexts[name] == together.contexts[name]


@given(st.lists(events, max_size=60))
def test_an_earlier_owner_and_a_repeated_order_begin_nothing(history: list[Any]) -> None:
    known, highest = agent(), dict.fromkeys(PARTITIONS, 0)
    answered: dict[tuple[str, str], tuple[bool, Cause | None]] = {}
    for raw in history:
        event = concrete(known, raw)
        known, effects = told(known, event)
        if not isinstance(event, words.Ordered) or event.order.partition not in PARTITIONS:
            assert not any(isinstance(e, words.Begin) for e in effects) or not isinstance(event, words.Ordered)
            continue
        the, (answer,) = event.order, [e.answer for e in effects if isinstance(e, words.AnswerOrder)]
        if the.fence < highest[the.partition]:
            assert answer.cause
            assert answer.cause.code == "outdated"
            assert len(effects) == 1
        elif (said := answered.get((the.partition, the.id))) is not None:
            assert (answer.accepted, answer.cause) == said
            assert len(effects) == 1
        else:
            answered[the.partition, the.id] = answer.accepted, answer.cause
            highest[the.partition] = max(highest[the.partition], the.fence)
            late = answer.cause is not None and answer.cause.code == "too_late"
            assert not (late and the.action in (Action.STOP, Action.ABORT))
            if the.deadline_ns <= 100 and the.action not in (Action.STOP, Action.ABORT):
                assert answer.cause
                assert answer.cause.code == "too_late"


def test_a_configuration_it_has_is_not_done_again() -> None:
    known, _ = step(agent(), order(Action.CONFIGURE, key="k", tag="t"), now_ns=1)
    for ticket in (1, 2):
        known, effects = step(known, words.Ended(at="p", ticket=ticket), now_ns=2)
    assert known.contexts["p"].state.state == "Active"
    assert (known.contexts["p"].state.tag, known.contexts["p"].state.key) == ("t", "k")
    again, effects = step(known, order(Action.CONFIGURE, key="k", tag="t", id="again"), now_ns=3)
    assert [type(effect) for effect in effects] == [words.Publish, words.AnswerOrder]
    assert again.contexts["p"].state.sequence > known.contexts["p"].state.sequence
    _, effects = step(again, order(Action.CONFIGURE, key="other", id="other"), now_ns=3)
    assert [type(effect) for effect in effects] == [words.Begin, words.Publish, words.AnswerOrder]


def test_a_step_that_is_over_after_its_deadline_ends_in_error_with_the_cause() -> None:
    known, _ = step(agent(), order(Action.CONFIGURE), now_ns=1)
    known, effects = step(known, words.Overdue(at="p", order="configure-p"), now_ns=10**9)
    assert effects == (words.Kill(at="p"), words.Publish(at="p"))
    assert known.contexts["p"].state.common == "Error"
    assert known.contexts["p"].state.cause
    assert known.contexts["p"].state.cause.code == "not_in_time"
    assert step(known, words.Ended(at="p", ticket=1), now_ns=10**9) == (known, ())


def test_abort_is_reached_when_the_system_has_aborted() -> None:
    known, _ = step(agent(), order(Action.CONFIGURE), now_ns=1)
    known, effects = step(known, order(Action.ABORT), now_ns=2)
    assert [type(effect) for effect in effects] == [words.Kill, words.Begin, words.Publish, words.AnswerOrder]
    assert known.contexts["p"].state.state == "Step1"
    known, _ = step(known, words.Ended(at="p", ticket=2), now_ns=3)
    assert known.contexts["p"].state.state == "Unconfigured"
    assert known.contexts["q"].state.sequence == 1


@pytest.mark.parametrize("kind", SystemKind)
def test_a_partition_it_does_not_know_gets_an_answer(kind: SystemKind) -> None:
    for partition in ("nowhere", "", "no name", "_experiment", "q" if kind is SystemKind.DETECTOR else "r"):
        _, (reply,) = step(agent(kind), order(Action.CONFIGURE, partition), now_ns=1)
        assert isinstance(reply, words.AnswerOrder)
        assert reply.answer.cause
        assert reply.answer.cause.suggestion


def test_a_partition_that_is_no_more_takes_its_context_with_it() -> None:
    known, _ = step(agent(), order(Action.CONFIGURE), now_ns=1)
    known, effects = step(known, words.Placed(placement=Placement(partitions=("q", "r"))), now_ns=2)
    assert effects == (words.Kill(at="p"), words.Forget(at="p"), words.Publish(at="r"))
    assert set(known.contexts) == {"q", "r"}


def test_a_detector_that_is_moved_says_where_it_is_and_is_aborted() -> None:
    known, _ = step(agent(SystemKind.DETECTOR), words.StateMoved(at="", event="configure"), now_ns=1)
    known, effects = step(known, words.Placed(placement=Placement(partitions=("q",), detectors={"s": "q"})), now_ns=2)
    (begun,) = [effect for effect in effects if isinstance(effect, words.Begin)]
    assert begun.action is Action.ABORT
    assert (known.contexts[""].state.partition, known.contexts[""].state.state) == ("q", "Step1")

"""The alarm chart against a slow, plain model of ISA-18.2, over random histories.

The model keeps no state from event to event. Each of its answers is a search in the whole history up to a moment: when
did the condition last become true, was there an acknowledgement since, which shelf is in force. It shares no code with
the chart but the types of the events.
"""

from __future__ import annotations

from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.alarms.chart import AlarmRecord, ChartRules, next_due_ns, step
from countingroom.core.alarms.events import (
    ANNOUNCEMENTS,
    Acknowledge,
    AlarmEvent,
    ConditionActive,
    ConditionClear,
    EndSuppression,
    PutInService,
    ReAlarm,
    Reset,
    Shelve,
    Suppress,
    TakeOutOfService,
    TimePassed,
    Unshelve,
)
from countingroom.core.alarms.states import BaseState
from tests.examples import examples

History = tuple[tuple[int, AlarmEvent], ...]


class Model:
    """Answers about a history. Moment 0 is its beginning; event n has the moments 2n - 1 just before and 2n after."""

    def __init__(self, history: History, rules: ChartRules) -> None:
        self.history = history
        self.rules = rules
        # The answers depend on earlier ones; without a cache the search would be exponential.
        self.shelved = cache(self._shelved)
        self.out_of_service = cache(self._out_of_service)
        self.asks = cache(self._asks)
        self.refusal = cache(self._refusal)

    # The history.

    def event(self, n: int) -> AlarmEvent:
        return self.history[n - 1][1]

    def time(self, moment: int) -> int:
        n = (moment + 1) // 2
        # What is clear by now ends first, before the flags whose time is over.
        if moment % 2 and isinstance(self.event(n), ConditionClear):
            n -= 1
        return self.history[n - 1][0] if n else -1

    def events(self, moment: int, *kinds: type) -> list[int]:
        """The events of these kinds up to a moment, the newest first."""
        return [n for n in range(moment // 2, 0, -1) if isinstance(self.event(n), kinds)]

    # The condition.

    def active(self, moment: int) -> bool:
        last = self.events(moment, ConditionActive, ConditionClear)
        return bool(last) and isinstance(self.event(last[0]), ConditionActive)

    def rises(self, n: int) -> bool:
        return isinstance(self.event(n), ConditionActive) and not self.active(2 * n - 2)

    def falls(self, n: int) -> bool:
        return isinstance(self.event(n), ConditionClear) and self.active(2 * n - 2)

    def occurrence(self, moment: int) -> int:
        return sum(self.rises(n) for n in self.events(moment, ConditionActive))

    def priority(self, moment: int) -> int:
        found = self.events(moment, ConditionActive)
        event = self.event(found[0]) if found else None
        return event.priority if isinstance(event, ConditionActive) else 4

    def realarms(self, n: int) -> bool:
        """The same occurrence asks again: it has been active for so long, or its priority rose."""
        if not self.active(2 * n - 2):
            return False
        event = self.event(n)
        if isinstance(event, ConditionActive):
            return event.priority < self.priority(2 * n - 2)
        return isinstance(event, ReAlarm)

    # The flags.

    def _shelved(self, moment: int) -> bool:
        for n in self.events(moment, Shelve):
            event = self.event(n)
            assert isinstance(event, Shelve)
            if self.refusal(n):
                continue
            between = range(n + 1, moment // 2 + 1)
            ended = any(isinstance(self.event(k), Unshelve) for k in between)
            ended |= event.once and any(self.falls(k) for k in between)
            ended |= any(self.time(k) >= event.until_ns for k in range(2 * n, moment + 1))
            return not ended
        return False

    def suppressed(self, moment: int) -> bool:
        begun = self.events(moment, Suppress)
        if not begun:
            return False
        ends = [n for n in self.events(moment, EndSuppression) if n > begun[0]]
        if not ends:
            return True
        event = self.event(min(ends))
        assert isinstance(event, EndSuppression)
        over = self.history[min(ends) - 1][0] + event.delay_ns
        return all(self.time(k) < over for k in range(2 * min(ends), moment + 1))

    def _out_of_service(self, moment: int) -> bool:
        for n in self.events(moment, TakeOutOfService, PutInService):
            if not self.refusal(n):
                return isinstance(self.event(n), TakeOutOfService)
        return False

    def flagged(self, moment: int) -> bool:
        return self.shelved(moment) or self.suppressed(moment) or self.out_of_service(moment)

    def comes_back(self, moment: int) -> bool:
        return self.flagged(moment - 1) and not self.flagged(moment) and self.active(moment)

    # Acknowledgement and latch.

    def _asks(self, moment: int) -> bool:
        """Whether a person still has to acknowledge: something asked, and neither an answer nor a return ended it."""
        for k in range(moment, 0, -1):
            if self.comes_back(k):
                return True
            if k % 2:
                continue
            n = k // 2
            before = k - 1
            if self.realarms(n) and not self.flagged(before):
                return True
            if self.rises(n):
                return self.asks(before) or not self.flagged(before)
            if isinstance(self.event(n), Acknowledge) and not self.refusal(n):
                return False
            if self.falls(n) and not self.rules.needs_acknowledgement:
                return False
        return False

    def latched(self, moment: int) -> bool:
        """A fall has latched it, and it was not reset since."""
        for n in range(moment // 2, 0, -1):
            if isinstance(self.event(n), Reset) and not self.refusal(n):
                return False
            before = 2 * n - 1
            latches = self.rules.latching and not self.suppressed(before) and not self.out_of_service(before)
            if self.falls(n) and latches:
                return True
        return False

    def base(self, moment: int) -> BaseState:
        asks = self.asks(moment)
        if self.active(moment):
            return BaseState.UNACKNOWLEDGED if asks else BaseState.ACKNOWLEDGED
        if self.latched(moment):
            return BaseState.LATCHED_UNACKNOWLEDGED if asks else BaseState.LATCHED
        return BaseState.RETURNED if asks else BaseState.NORMAL

    # Answers.

    def _refusal(self, n: int) -> str:
        before = 2 * n - 1
        event = self.event(n)
        is_out = isinstance(event, Acknowledge | Reset | Shelve) and self.out_of_service(before)
        if is_out:
            return "out_of_service"
        match event:
            case Acknowledge():
                if not self.asks(before):
                    return "already_acknowledged" if self.base(before) != "normal" else "nothing_to_acknowledge"
                return "" if event.occurrence == self.occurrence(before) else "happened_again"
            case Reset():
                if self.active(before):
                    return "still_active"
                if not self.latched(before):
                    return "nothing_to_reset"
                return "acknowledge_first" if self.asks(before) else ""
            case Shelve():
                length = event.until_ns - self.history[n - 1][0]
                if length <= 0:
                    return "time_over"
                return "shelf_too_long" if length > self.rules.longest_shelf_ns else ""
            case Unshelve():
                return "" if self.shelved(before) else "not_shelved"
            case PutInService():
                return "" if self.out_of_service(before) else "not_out_of_service"
            case _:
                return ""

    def announcements(self, n: int) -> list[str]:
        """What event n announces."""
        event = self.event(n)
        before = 2 * n - 1
        found = ["announce_back"] if self.comes_back(before) else []
        is_told = not getattr(event, "as_consequence", False) and not self.flagged(before)
        if self.rises(n) and is_told:
            found.append("announce_by_rate" if self.asks(before) else "announce")
        if self.realarms(n) and is_told:
            found.append("re_announce")
        return [*found, "announce_back"] if self.comes_back(2 * n) else found


LONGEST = 40
TIMES = st.integers(0, 25)


# Their times count from the moment of the event: a strategy of its own for every moment would take most of the time.
EVENTS: st.SearchStrategy[AlarmEvent] = st.one_of(
    st.builds(ConditionActive, priority=st.integers(1, 4), since_ns=st.just(0), as_consequence=st.booleans()),
    st.just(ConditionClear()),
    st.just(ReAlarm()),
    st.builds(Acknowledge, by=st.just("anna"), occurrence=st.integers(0, 4)),
    st.just(Reset(by="anna")),
    st.builds(
        Shelve, by=st.just("anna"), reason=st.just("why"), until_ns=st.integers(-1, LONGEST + 2), once=st.booleans()
    ),
    st.just(Unshelve(by="anna")),
    st.just(Suppress(why="off")),
    st.builds(EndSuppression, delay_ns=st.integers(0, 20)),
    st.just(TakeOutOfService(by="anna", owner="ben", reason="why", due_ns=1)),
    st.just(PutInService(by="anna")),
    st.just(TimePassed()),
)
LENGTHS = st.integers(0, 18)


def at(now: int, event: AlarmEvent) -> AlarmEvent:
    """The event with the times that it has at that moment."""
    match event:
        case ConditionActive():
            return replace(event, since_ns=now)
        case Shelve():
            return replace(event, until_ns=now + event.until_ns)
        case TakeOutOfService():
            return replace(event, due_ns=now + event.due_ns)
        case _:
            return event


@st.composite
def histories(draw: st.DrawFn) -> History:
    now = 0
    history: list[tuple[int, AlarmEvent]] = []
    for _ in range(draw(LENGTHS)):
        now += draw(TIMES)
        history.append((now, at(now, draw(EVENTS))))
    return tuple(history)


RULES = st.builds(
    ChartRules, latching=st.booleans(), needs_acknowledgement=st.booleans(), longest_shelf_ns=st.just(LONGEST)
)
LATCHED_THEN_SUPPRESSED: History = (
    (0, ConditionActive(priority=2, since_ns=0)),
    (1, Acknowledge(by="anna", occurrence=1)),
    (2, ConditionClear()),
    (3, Suppress(why="off")),
    (4, ConditionActive(priority=2, since_ns=4)),
    (5, ConditionClear()),
)
CLEAR_WHILE_SUPPRESSED: History = (
    (0, ConditionActive(priority=2, since_ns=0)),
    (1, Suppress(why="off")),
    (2, ConditionClear()),
)


@settings(max_examples=examples(150, part=3), deadline=None)
@given(histories(), RULES)
@example(LATCHED_THEN_SUPPRESSED, ChartRules(latching=True))
@example(CLEAR_WHILE_SUPPRESSED, ChartRules(latching=True))
def test_the_chart_and_the_plain_model_agree_on_every_history(history: History, rules: ChartRules) -> None:
    model = Model(history, rules)
    record = AlarmRecord()
    for n, (now_ns, event) in enumerate(history, start=1):
        before = record
        record, effects = step(before, event, now_ns, rules)
        said = [effect.kind.value for effect in effects if effect.kind in ANNOUNCEMENTS]
        assert said == model.announcements(n)
        assert "".join(effect.cause.code for effect in effects if effect.cause) == model.refusal(n)
        assert record.base is model.base(2 * n)
        assert record.occurrence == model.occurrence(2 * n)
        assert record.priority == model.priority(2 * n)
        assert (record.shelf is not None) == model.shelved(2 * n)
        assert bool(record.suppressed) == model.suppressed(2 * n)
        assert (record.service is not None) == model.out_of_service(2 * n)
        if said:
            assert record.announced_ns == now_ns
        due = next_due_ns(record)
        assert due is None or due > now_ns, "an end that has come was not taken"
        if not effects and record.suppression_ends_ns == before.suppression_ends_ns:
            assert record is before


@settings(max_examples=examples(50, part=3), deadline=None)
@given(histories(), RULES)
def test_a_repeated_event_of_the_condition_changes_nothing(history: History, rules: ChartRules) -> None:
    record = AlarmRecord()
    for now_ns, event in history:
        record, _ = step(record, event, now_ns, rules)
        if isinstance(event, ConditionActive | ConditionClear):
            again, effects = step(record, event, now_ns, rules)
            assert again is record
            assert effects == ()

"""Of a device that answers in order, however late and with whatever losses, no answer is another question's."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from countingroom.devices.serial.pending_answers import GIVEN_UP_S, PendingAnswers, Probe

WHO = Probe(b"who", lambda answer: answer == b"me")
HOW = Probe(b"how", lambda answer: answer == b"well")
ANSWERS = {b"who": b"me", b"how": b"well"}

ACTIONS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from([b"a", b"b", b"who", b"how"])),
    st.tuples(st.sampled_from(["deliver", "lose", "give up", "reopen"]), st.just(b"")),
)


class Talk:
    """A line between a ledger and a device, at any speed."""

    def __init__(self) -> None:
        self.pending = PendingAnswers((WHO, HOW))
        self.under_way: deque[tuple[int, bytes]] = deque()
        self.current: int | None = None
        self.number = 0

    def send(self, request: bytes) -> int:
        self.number += 1
        self.pending.asked(request, 0.0)
        self.under_way.append((self.number, request))
        return self.number

    def ask(self, request: bytes) -> None:
        """The question itself where it may be asked, a probe where not."""
        if self.current is not None:
            return
        if self.pending.may_ask(request):
            self.current = self.send(request)
            return
        probe = self.pending.probes_for(request)[0]
        self.send(probe.request)

    def deliver(self) -> None:
        if not self.under_way:
            return
        number, request = self.under_way.popleft()
        answer = ANSWERS.get(request, b"42")
        if self.current is None:
            self.pending.stray(answer)
        elif self.pending.belongs(answer):
            assert number == self.current
            self.current = None

    def lose(self) -> None:
        if self.under_way:
            self.under_way.popleft()


@given(st.lists(ACTIONS, max_size=60))
def test_no_answer_is_another_questions(actions: list[tuple[str, bytes]]) -> None:
    talk = Talk()
    talk.pending.opened(0.0)
    for action, request in actions:
        match action:
            case "ask":
                talk.ask(request)
            case "deliver":
                talk.deliver()
            case "lose":
                talk.lose()
            case "give up":
                talk.current = None
            case _:
                talk.current = None
                talk.pending.opened(0.0)


@given(st.lists(ACTIONS, max_size=40), st.sampled_from([b"a", b"who"]))
def test_a_device_that_answers_again_is_back_in_step_after_a_few_probes(
    actions: list[tuple[str, bytes]], request: bytes
) -> None:
    talk = Talk()
    for action, asked in actions:
        talk.ask(asked) if action == "ask" else talk.lose()
        talk.current = None
    probes = 0
    while not talk.pending.may_ask(request):
        probe = talk.pending.probes_for(request)[0]
        talk.send(probe.request)
        while talk.under_way:
            talk.deliver()
        probes += 1
    assert probes <= 1 + len(actions)


def test_a_line_without_probes_waits_for_silence() -> None:
    pending = PendingAnswers(())
    pending.opened(0.0)
    assert pending.may_ask(b"a")
    pending.asked(b"a", 0.0)
    assert not pending.may_ask(b"b") and pending.probes_for(b"b") == ()
    pending.answered()
    assert pending.may_ask(b"b")


def test_what_is_asked_long_ago_is_given_up_and_the_line_probed_all_the_same() -> None:
    pending = PendingAnswers((WHO, HOW))
    for second in range(10):
        pending.asked(b"slow", float(second))
    pending.give_up_old(GIVEN_UP_S)
    assert not pending.may_ask(b"next")
    pending.give_up_old(GIVEN_UP_S + 9.5)
    pending.asked(WHO.request, GIVEN_UP_S + 9.5)
    assert not pending.may_ask(b"next")
    assert pending.stray(b"me")
    assert pending.may_ask(b"next")

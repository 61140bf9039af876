"""Every question has an answer; a higher role may never less; what makes safe is never stopped by a lease."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.policy import LOCAL, NEEDS, UNDER_LEASE, Control, Permission, Principal, Role, decide

names = st.sampled_from(["anna", "ben", "local"])
roles = st.sampled_from(Role)
actions = st.sampled_from(Permission)
times = st.integers(0, 100)
controls = st.none() | st.builds(
    Control, holder=st.sampled_from(["", "anna", "ben"]), token=st.integers(0, 3), until_ns=times
)
tokens = st.none() | st.integers(0, 3)


def test_every_action_has_a_lowest_role() -> None:
    assert set(NEEDS) == set(Permission)


@given(names, roles, actions, controls, tokens, times)
def test_every_question_is_answered_and_a_refusal_says_why_and_what_to_do(
    name: str, role: Role, action: Permission, control: Control | None, token: int | None, now: int
) -> None:
    cause = decide(Principal(name=name, role=role), action, "hv", control=control, token=token, now_ns=now)
    if cause is None:
        assert role >= NEEDS[action]
    else:
        assert cause.code in {"denied", "in_control", "lease_lost"}
        assert cause.message and cause.suggestion
        assert (cause.code == "denied") == (role < NEEDS[action])


@given(names, roles, roles, actions, controls, tokens, times)
def test_a_higher_role_is_never_refused_what_a_lower_one_may(
    name: str, one: Role, other: Role, action: Permission, control: Control | None, token: int | None, now: int
) -> None:
    low, high = sorted((one, other))
    if decide(Principal(name=name, role=low), action, "hv", control=control, token=token, now_ns=now) is None:
        assert decide(Principal(name=name, role=high), action, "hv", control=control, token=token, now_ns=now) is None


@given(names, controls, tokens, times)
def test_a_shifter_may_always_make_safe(name: str, control: Control | None, token: int | None, now: int) -> None:
    shifter = Principal(name=name, role=Role.SHIFTER)
    assert decide(shifter, Permission.MAKE_SAFE, "hv", control=control, token=token, now_ns=now) is None


@given(st.sampled_from(sorted(UNDER_LEASE)), times, times)
def test_while_somebody_else_is_in_control_nobody_operates_and_afterwards_anybody_may(
    action: Permission, until: int, now: int
) -> None:
    control = Control(holder="anna", token=1, until_ns=until)
    cause = decide(LOCAL, action, "hv", control=control, now_ns=now)
    assert (cause is not None and cause.code == "in_control") == (now < until)
    anna = Principal(name="anna", role=Role.EXPERT)
    assert decide(anna, action, "hv", control=control, token=None, now_ns=now) is None


@given(st.integers(0, 5), st.integers(0, 5), times)
def test_a_request_of_an_earlier_lease_is_refused_even_for_its_own_holder(asked: int, present: int, now: int) -> None:
    anna = Principal(name="anna", role=Role.SHIFTER)
    control = Control(holder="anna", token=present, until_ns=50)
    cause = decide(anna, Permission.OPERATE, "hv", control=control, token=asked, now_ns=now)
    assert (cause is None) == (now < 50 and asked == present)


def test_an_expert_may_take_over_and_a_shifter_may_not() -> None:
    control = Control(holder="anna", token=1, until_ns=50)
    shifter, expert = Principal(name="ben", role=Role.SHIFTER), Principal(name="ben", role=Role.EXPERT)
    assert decide(expert, Permission.TAKE_OVER, "hv", control=control, now_ns=1) is None
    refused = decide(shifter, Permission.TAKE_OVER, "hv", control=control, now_ns=1)
    assert refused is not None and refused.message == "ben is shifter on hv; take_over needs expert"

"""A pattern made from a subject means that subject, and only subjects of its shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countingroom.bus.memory.subjects import matches

tokens = st.lists(st.sampled_from(["a", "b", "caen", "0"]), min_size=1, max_size=5)


@given(subject=tokens, data=st.data())
def test_stars_in_place_of_tokens_still_match(subject: list[str], data: st.DataObject) -> None:
    pattern = [data.draw(st.sampled_from([token, "*"])) for token in subject]
    assert matches(".".join(pattern), ".".join(subject))


@given(subject=tokens, cut=st.integers(0, 5))
def test_an_arrow_stands_for_one_or_more_tokens(subject: list[str], cut: int) -> None:
    pattern = [*subject[:cut], ">"]
    assert matches(".".join(pattern), ".".join(subject)) == (cut < len(subject))


@given(subject=tokens, pattern=tokens)
def test_without_wildcards_only_the_same_subject_matches(subject: list[str], pattern: list[str]) -> None:
    assert matches(".".join(pattern), ".".join(subject)) == (subject == pattern)


@given(subject=tokens)
def test_a_star_is_exactly_one_token(subject: list[str]) -> None:
    assert matches("*", ".".join(subject)) == (len(subject) == 1)
    assert not matches(".".join([*subject, "*"]), ".".join(subject))

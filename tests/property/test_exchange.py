"""An export as YAML is imported with the same values, for any names and texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.configurations import ConfigurationSet, covers
from countingroom.core.plain_text import hidden_character
from countingroom.storage.exchange import from_yaml, to_yaml

names = st.from_regex(r"[A-Za-z0-9_\-]{1,12}", fullmatch=True)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(lambda text: not hidden_character(text)),
    st.sampled_from(["on", "true", "~", "1e5", "0o17", "12:30", "<<", "2026-11-22", "- a", "a: b", " ", "#", "0b1"]),
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
parameters = st.dictionaries(texts.filter(bool), values, max_size=5)
schemas = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
sets = st.builds(
    ConfigurationSet,
    configurations=st.dictionaries(names, st.dictionaries(names, parameters, min_size=1, max_size=3), max_size=3),
    tags=st.dictionaries(names, st.dictionaries(names, names, max_size=3), max_size=3),
    schemas=st.dictionaries(names, st.dictionaries(texts, schemas, max_size=3), max_size=2),
)


def _typed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    return type(value), repr(value)


@given(sets)
def test_a_set_comes_back_as_it_was(kept: ConfigurationSet) -> None:
    found = from_yaml(to_yaml(kept))
    assert _typed(found.configurations) == _typed(kept.configurations)
    assert found.tags == kept.tags
    assert _typed(found.schemas) == _typed(kept.schemas)


@given(sets)
def test_two_exports_of_the_same_are_the_same_text(kept: ConfigurationSet) -> None:
    backwards = ConfigurationSet(
        configurations=dict(reversed(kept.configurations.items())),
        tags=dict(reversed(kept.tags.items())),
        schemas=dict(reversed(kept.schemas.items())),
    )
    assert to_yaml(backwards) == to_yaml(kept)


@given(st.dictionaries(names, names), st.sets(names))
def test_a_tag_covers_its_own_systems_and_no_others(tag: dict[str, str], systems: set[str]) -> None:
    assert covers(tag, tag)
    assert covers(tag, systems) == (set(tag) == systems)

"""Any file: a drawing is refused with its place, or written without anything that loads or runs."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.synoptics.allowed import ELEMENTS, PROPERTIES
from countingroom.core.synoptics.drawing import read_drawing
from countingroom.core.yaml.located import Mistaken
from tests.examples import examples
from tests.unit.test_synoptic_drawing import assert_harmless, shown, svg

BAD = ("javascript:alert(1)", "url(//evil)", "url(#a)", "#a", "//evil", "expression(1)", "\"'><script>", "\\75rl(x)")
values = st.one_of(
    st.sampled_from(BAD),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30),
    st.builds("{}{}".format, st.sampled_from(("1 ", "#fff", "none ", "M0 0 ", "rotate(1) ")), st.sampled_from(BAD)),
)
attribute_names = st.sampled_from(
    (*PROPERTIES, "href", "xlink:href", "style", "onclick", "id", "class", "d", "transform", "x", "viewBox", "src")
)
names = st.sampled_from((*sorted(ELEMENTS), "script", "foreignObject", "a", "style", "animate", "iframe", "switch"))


attributes = st.lists(st.tuples(attribute_names, values), max_size=3, unique_by=lambda one: one[0]).map(
    lambda given_: "".join(f" {key}={quoteattr(one)}" for key, one in given_)
)
element = st.tuples(names, attributes, values.map(escape))


def nested(parts: list[tuple[str, str, str]], depth: int) -> str:
    """The elements, each in the one before it until this depth."""
    text = ""
    for number, (name, given_, words) in enumerate(reversed(parts)):
        inner, text = (text, "") if number % depth else ("", text)
        text = f"<{name}{given_}>{words}{inner}</{name}>{text}"
    return text


@settings(max_examples=examples(120, part=3))
@given(st.lists(element, max_size=6), st.integers(1, 4))
def test_a_drawing_of_anything_is_harmless(parts: list[tuple[str, str, str]], depth: int) -> None:
    try:
        drawing = read_drawing(svg(nested(parts, depth)), "d.svg")
    except Mistaken:
        return
    assert_harmless(shown(drawing))


@settings(max_examples=examples(100, part=3))
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda one: svg("")[:-6] + one + b"</svg>")))
def test_any_bytes_are_a_drawing_or_a_mistake_with_its_place(data: bytes) -> None:
    try:
        assert_harmless(shown(read_drawing(data, "d.svg")))
    except Mistaken as error:
        assert all(problem.place.file == "d.svg" for problem in error.problems)

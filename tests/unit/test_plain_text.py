"""Characters that change how a text is shown are refused where users write, and escaped where evidence is kept."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.clock import SystemClock
from countingroom.core.plain_text import escaped, find_hidden, hidden_character
from countingroom.core.yaml.located import parse
from tests.console.people import PASSWORD, house
from tests.console.stage import stage

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
COMMENT = "/api/v1/devices/caen/commands/lv_on"


@pytest.mark.parametrize("text", ["", "Größe 5 µA", "日本語", "שלום", "a\tb\r\nc", "👩‍🔬", "−5 °C ≤ x"])
def test_ordinary_text_of_any_language_passes(text: str) -> None:
    assert hidden_character(text) == ""


@given(st.characters())
def test_every_control_and_every_direction_is_found(letter: str) -> None:
    kind = unicodedata.category(letter)
    if (kind in {"Cc", "Cs", "Zl", "Zp"} and letter not in "\t\r\n") or unicodedata.bidirectional(letter) in BIDI:
        assert hidden_character(f"x{letter}y") == f"U+{ord(letter):04X}"
    if kind[0] in "LNS":
        assert hidden_character(letter) == ""


@given(st.text(), st.integers(0, 50))
def test_what_is_escaped_is_plain_one_line_and_bounded(text: str, most: int) -> None:
    shown = escaped(text, most=most)
    assert len(shown) <= most
    assert hidden_character(shown) == ""
    assert not set("\t\r\n") & set(shown)


def test_the_place_is_named_and_secrets_are_left_out() -> None:
    assert find_hidden({"a": [1, {"b": "x\u202ey"}]}) == "a.1.b contains U+202E"
    assert find_hidden({"a\u2066": 1}) == "the name a\\u2066 contains U+2066"
    assert find_hidden({"password": "\u202e", "a": None}, but={"password"}) == ""


@pytest.mark.parametrize("text", ['title: "a\\u202eb"', "title: a\u202eb", '"ti\\u200btle": b'])
def test_a_description_has_no_hidden_characters(text: str) -> None:
    (problem,) = parse(text, file="experiment.yaml").problems
    assert "hidden character" in problem.message
    assert problem.place.line == 1


async def test_a_comment_with_a_hidden_character_is_refused_and_a_password_is_not_looked_at() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        sam = await home.browser("sam")
        answer = await sam.post(COMMENT, json={"arguments": {"text": "good\u202enur"}})
        cause = answer.json()["cause"]
        assert (answer.status_code, cause["code"]) == (400, "hidden_character")
        assert "arguments.text contains U+202E" in cause["message"]
        assert here.asked == []
        entry = (await home.record())[0]
        assert (entry.who, entry.what, entry.outcome) == ("sam", "lv_on", "refused")
        wrong = await home.client().post("/api/v1/login", json={"name": "sam", "password": f"{PASSWORD}\u202e"})
        assert wrong.status_code == 401


async def test_a_failed_login_is_recorded_with_the_name_that_was_tried() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        for name in ("sam", "nobody", "x" * 900):
            await home.client().post("/api/v1/login", json={"name": name, "password": "wrong"})
        entries = await home.record()
        assert [one.target for one in entries] == [f"name.{'x' * 900}"[:200], "name.nobody", "name.sam"]
        assert {(one.who, one.what, one.outcome) for one in entries} == {("", "login", "refused")}
        await home.client().post("/api/v1/%E2%80%AEx%0Ay", json={}, headers={"host": "evil.example"})
        assert (await home.record())[0].what == "/api/v1/\\u202ex\\u000ay"
